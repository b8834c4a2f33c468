"""Code that a study names comes from its own folder or an installed package, and from nowhere else."""

import inspect
import sys
from pathlib import Path

import pytest
import sklearn

from hpsearch.code import find, forget_edited
from hpsearch.errors import UserCodeExitError, UserError


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__in__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_a_function_of_the_studys_folder_with_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path, near="VALUE = 7", mine_a="import near\n\n\ndef build():\n    return near.VALUE")
    code = find("mine_a:build", tmp_path, "s.yaml: net")
    assert "mine_a" not in sys.modules
    assert code.told == f"mine_a:build is build of {tmp_path / 'mine_a.py'}"
    assert code.load("s.yaml: net")() == 7


def test_a_module_in_a_package_of_the_studys_folder(tmp_path: Path) -> None:
    write(tmp_path, own__in____init__="", own__in__nets="def build():\n    return 3")
    assert find("own.nets:build", tmp_path, "net").load("net")() == 3


def test_two_studies_may_have_modules_of_one_name(tmp_path: Path) -> None:
    for value in (1, 2, 1):
        folder = write(tmp_path / str(value), mine_b=f"def build():\n    return {value}")
        assert find("mine_b:build", folder, "net").load("net")() == value


def test_a_changed_file_has_another_fingerprint(tmp_path: Path) -> None:
    code = find("mine_c:build", write(tmp_path, mine_c="def build(): ..."), "net")
    before = code.fingerprint()
    write(tmp_path, mine_c="def build(): return 1")
    assert code.fingerprint() != before


def test_the_fingerprint_is_of_the_neighbours_too(tmp_path: Path) -> None:
    write(tmp_path, mine_d="def build():\n    from own_d.sizes import WIDTH\n    return WIDTH")
    write(
        tmp_path, own_d__in____init__="", own_d__in__sizes="from .more import WIDTH", own_d__in__more="WIDTH = 3"
    )
    write(tmp_path, stranger="A = 1")
    code = find("mine_d:build", tmp_path, "net")
    before = code.fingerprint()
    write(tmp_path, stranger="A = 2")
    assert code.fingerprint() == before
    write(tmp_path, own_d__in__more="WIDTH = 4")
    assert code.fingerprint() != before


def test_code_that_was_edited_since_is_imported_anew_with_its_neighbours(tmp_path: Path) -> None:
    for value in (1, 20, 300):
        write(
            tmp_path, mine_e="import near_e\n\n\ndef build():\n    return near_e.VALUE", near_e=f"VALUE = {value}"
        )
        forget_edited()
        assert find("mine_e:build", tmp_path, "net").load("net")() == value
    module = sys.modules["near_e"]
    forget_edited()
    find("mine_e:build", tmp_path, "net").load("net")
    assert sys.modules["near_e"] is module  # not without need


def test_an_edit_is_seen_in_folders_without_code_and_in_what_is_imported_late(tmp_path: Path) -> None:
    late = "    from lib_h.deep.late import LATE\n    return near.VALUE, LATE"
    text = f"from lib_h import near\n\n\ndef build():\n{late}"
    for value in (1, 20, 300):
        write(
            tmp_path, mine_h=text, lib_h__in__near=f"VALUE = {value}", lib_h__in__deep__in__late=f"LATE = {value}"
        )
        forget_edited()
        code = find("mine_h:build", tmp_path, "net")
        assert code.load("net")() == (value, value)
    assert code.fingerprint() == find("mine_h:build", tmp_path, "net").fingerprint()


def test_while_a_study_runs_it_keeps_its_code(tmp_path: Path) -> None:
    code = find("mine_g:build", write(tmp_path, mine_g="def build():\n    return 1"), "net")
    assert code.load("net")() == 1
    write(tmp_path, mine_g="def build():\n    return 22")
    assert code.load("net")() == 1


def test_two_studies_may_have_packages_of_one_name(tmp_path: Path) -> None:
    for value in (1, 2, 1):
        init, net = f"VALUE = {value}", f"from lib_k import VALUE\n\n\ndef build():\n    return VALUE, {value}"
        folder = write(tmp_path / str(value), lib_k__in____init__=init, lib_k__in__net=net)
        code = find("lib_k.net:build", folder, "net")
        assert code.load("net")() == (value, value)
    before = code.fingerprint()
    write(tmp_path / "1", lib_k__in____init__="VALUE = 44")
    assert code.fingerprint() != before


def test_two_studies_may_have_neighbours_of_one_name(tmp_path: Path) -> None:
    for value in (1, 2, 1):
        text = f"import near_f\n\n\ndef build():\n    return near_f.VALUE, {value}"
        folder = write(tmp_path / str(value), near_f=f"VALUE = {value}", **{f"mine_f{value}": text})
        assert find(f"mine_f{value}:build", folder, "net").load("net")() == (value, value)


def test_an_installed_package() -> None:
    code = find("sklearn.metrics:accuracy_score", Path(), "metric")
    assert not code.own
    assert code.fingerprint() == f"scikit-learn {sklearn.__version__}"
    assert code.load("metric")([1, 0], [1, 1]) == 0.5


def test_the_studys_folder_comes_before_installed_packages_and_takes_no_name_in_use(tmp_path: Path) -> None:
    code = find("sklearn:build", write(tmp_path, sklearn="def build(): ..."), "net")
    assert code.own
    import sklearn  # noqa: F401

    with pytest.raises(
        UserError, match=rf"net: the name sklearn is taken by .*; rename {tmp_path / 'sklearn.py'}"
    ):
        code.load("net")


@pytest.mark.parametrize("spec", ["os:system", "subprocess:run", "builtins:eval", "pickle:loads"])
def test_pythons_own_library_is_refused(spec: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"net: .*{spec.partition(':')[0]}"):
        find(spec, tmp_path, "net")


def test_the_working_directory_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path / "here", mine_d="def build(): ..."))
    monkeypatch.syspath_prepend("")
    with pytest.raises(UserError, match="net: there is no module 'mine_d' in "):
        find("mine_d:build", write(tmp_path / "there"), "net")


def test_a_folder_of_pythonpath_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(write(tmp_path / "elsewhere", mine_e="def build(): ...")))
    with pytest.raises(UserError, match=r"neither in .* nor in an installed package"):
        find("mine_e:build", tmp_path / "there", "net")


def test_a_link_out_of_the_studys_folder_is_refused(tmp_path: Path) -> None:
    outside, inside = write(tmp_path / "outside", mine_f="def build(): ..."), tmp_path / "inside"
    inside.mkdir()
    (inside / "mine_f.py").symlink_to(outside / "mine_f.py")
    with pytest.raises(UserError, match="leads out of the study's folder"):
        find("mine_f:build", inside, "net")


@pytest.mark.parametrize(
    "spec", ["mine:", ":build", "a/b:c", "../a:b", "mine:build()", "mine.:b", "a:b:c", "g h:i"]
)
def test_a_name_of_another_form_is_refused(spec: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must be module:name|there is no module"):
        find(spec, tmp_path, "net")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sys\n\nsys.exit(3)", r"cannot be imported: SystemExit: 3 \(line 3 of mine_h.py\)"),
        ("x = 1\ny = x / 0", r"cannot be imported: ZeroDivisionError: division by zero \(line 2 of mine_h.py\)"),
        ("def build(:", r"cannot be imported: SyntaxError: .* \(line 1 of mine_h.py\)"),
        ("import nowhere_to_be_found", r"ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def other(): ...\n\n\nbuild = 3", r"has no function 'build'; choose from other"),
    ],
)
def test_code_that_cannot_be_used_is_told_in_a_line(text: str, said: str, tmp_path: Path) -> None:
    code = find("mine_h:build", write(tmp_path, mine_h=text), "s.yaml: net")
    with pytest.raises(UserError, match=said) as caught:
        code.load("s.yaml: net")
    assert str(caught.value).startswith("s.yaml: net: ")
    assert "\n" not in str(caught.value)


EXITS = """
import asyncio
import sys


def leaves():
    sys.exit(0)


def leaves_deeper(status="no data here"):
    leaves() if status is None else sys.exit(status)


class Leaves:
    def __init__(self):
        raise SystemExit


def cancelled():
    raise asyncio.CancelledError("too late")
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("leaves", r"mine_i:leaves called sys.exit\(0\) \(line 7 of mine_i.py\)"),
        ("leaves_deeper", r"mine_i:leaves_deeper called sys.exit\('no data here'\) \(line 11 of mine_i.py\)"),
        ("Leaves", r"mine_i:Leaves called sys.exit\(\) \(line 16 of mine_i.py\)"),
        ("cancelled", r"mine_i:cancelled raised CancelledError: too late \(line 20 of mine_i.py\)"),
    ],
)
def test_an_exit_is_an_error_of_its_code(name: str, said: str, tmp_path: Path) -> None:
    function = find(f"mine_i:{name}", write(tmp_path, mine_i=EXITS), "net").load("net")
    with pytest.raises(UserCodeExitError, match=said):
        function()


def test_an_interrupt_in_user_code_stays_one(tmp_path: Path) -> None:
    text = "def interrupted():\n    raise KeyboardInterrupt"
    function = find("mine_j:interrupted", write(tmp_path, mine_j=text), "net").load("net")
    with pytest.raises(KeyboardInterrupt):
        function()


def test_a_loaded_function_keeps_its_signature(tmp_path: Path) -> None:
    text = "def build(width, outputs=3):\n    return width"
    function = find("mine_k:build", write(tmp_path, mine_k=text), "net").load("net")
    assert (list(inspect.signature(function).parameters), function.__name__) == (["width", "outputs"], "build")
    assert function(4) == 4


def test_fresh_code_has_its_first_globals(tmp_path: Path) -> None:
    text = "SEEN = []\n\n\ndef count():\n    SEEN.append(1)\n    return len(SEEN)"
    code = find("mine_l:count", write(tmp_path, mine_l=text), "net")
    used = code.load("net")
    assert (used(), used()) == (1, 2)
    assert code.load_fresh("net")() == 1
    assert (used(), code.load("net")()) == (3, 4)
