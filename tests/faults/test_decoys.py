"""Modules that lie in the working directory are imported by no process of a launch, whoever started it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SITE = '''
import os, sys

class Record:
    """Writes down every name that is imported or tried, of any process."""

    def find_spec(self, name, path=None, target=None):
        if path is None:
            with open(os.environ["RECORDED"], "a") as file:
                file.write(name + "\\n")

sys.meta_path.insert(0, Record())
'''
DECOY = "open({made!r}, 'a').write(__name__ + ' in ' + ' '.join(__import__('sys').argv[:2]) + '\\n')\n"
NETS = """
import torch
from torch import nn
from near import SIZE

def build(input_shape, outputs, width):
    import nearer
    return nn.Sequential(nn.Flatten(), nn.Linear(input_shape[0], width), nn.ReLU(), nn.Linear(width, outputs))
"""
STUDY = """
name: s
data: {source: "sklearn:iris"}
net: my_nets:build
search: {trials: 2, block: 1, metric: accuracy}
params: {epochs: 2, batch_size: 32, width: 8, lr: 1e-2}
squeeze: {ensemble: 2, student: null}
resources: {workers: 1}
"""
STARTS = {
    "the command": [str(Path(sys.executable).with_name("hpsearch")), "launch", "s.yaml"],
    "python -m": [sys.executable, "-m", "hpsearch", "launch", "s.yaml"],
    "python -c": [sys.executable, "-c", "from hpsearch.cli import main; main()", "launch", "s.yaml"],
    "a prompt": [sys.executable, "-c", "import hpsearch; hpsearch.launch('s.yaml')"],
}
BEFORE_US = {  # what Python imports for `-m`, or the installed script, before the first line of hpsearch
    "pkgutil", "collections", "functools", "types", "typing", "warnings", "weakref", "importlib", "keyword",
    "operator", "reprlib", "enum", "re", "contextlib", "copyreg",
}  # fmt: skip


def launched(folder: Path, start: str, **environment: str) -> None:
    command = STARTS[start]
    done = subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "runs" / "s" / "summary.json").is_file()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "s.yaml").write_text(STUDY)
    (folder / "my_nets.py").write_text(NETS)
    (folder / "near.py").write_text("SIZE = 8\n")
    (folder / "nearer.py").write_text("")
    return folder


@pytest.fixture(scope="module")
def names(study: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every top-level name that the processes of a launch import or try to import."""
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(SITE)
    launched(study, "the command", PYTHONPATH=str(site), RECORDED=str(site / "names"))
    found = set((site / "names").read_text().split())
    assert {"numpy", "torch", "pandas", "ray", "pynvml", "numexpr", "bottleneck"} <= found
    return found - {"hpsearch", "my_nets", "near", "nearer", "sitecustomize", "usercustomize"}


@pytest.mark.slow
@pytest.mark.parametrize("start", STARTS)
def test_no_process_imports_a_decoy(start: str, study: Path, names: set[str], tmp_path: Path) -> None:
    """The working directory is the study's folder, whose own modules are found all the same."""
    made = tmp_path / "imported"
    folder = tmp_path / "here"
    folder.mkdir()
    for file in study.glob("*.*"):
        (folder / file.name).write_text(file.read_text())
    path = f"{os.pathsep}." if start == "the command" else ""
    for name in names - (BEFORE_US if path or start == "python -m" else set()):
        (folder / f"{name}.py").write_text(DECOY.format(made=str(made)))
    (folder / "sub").mkdir()
    launched(folder, start, PYTHONPATH=path)
    assert not made.exists(), made.read_text()


def paths_of(folder: Path, **environment: str) -> dict[str, list[str]]:
    """The search paths of a process and of what it starts, as a launch starts its own."""
    code = """
import json, os, subprocess, sys
sys.path.insert(0, "")
from hpsearch.safe_path import SafeChildren, WithoutWorkingDirectory, restore_environment
with WithoutWorkingDirectory():
    ours = list(sys.path)
before = list(sys.path)
os.mkdir("scratch")
with SafeChildren("scratch"):
    tell = "import json, os, sys; print(json.dumps([os.path.realpath(p or '.') for p in sys.path]))"
    child = json.loads(subprocess.check_output([sys.executable, "-c", tell], text=True))
    inside = dict(os.environ)
after = dict(os.environ)
os.environ.update(inside)
restore_environment()
print(json.dumps({"ours": ours, "before": before, "child": child, "same": after == dict(os.environ)}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("path", [".", f"{os.pathsep}/nowhere", "../here"])
def test_children_have_another_search_path(path: str, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    found = paths_of(folder, PYTHONPATH=path)
    for entries in (found["ours"], found["child"]):
        assert str(folder) not in {os.path.realpath(folder / entry) for entry in entries}
    assert "" in found["before"] and found["same"]
    assert ("/nowhere" in found["child"]) == ("/nowhere" in path)


@pytest.mark.usefixtures("ray_cluster")
def test_a_worker_has_no_working_directory() -> None:
    import ray

    def look() -> list[str]:
        return [os.path.realpath(entry or ".") for entry in sys.path]

    before = Path.cwd()
    entries = ray.get(ray.remote(num_cpus=0)(look).remote())
    installed = next(place for place, entry in enumerate(entries) if entry.endswith("site-packages"))
    assert str(before.resolve()) not in entries[:installed]  # behind it, where hpsearch is installed from there


def test_a_library_finds_nothing_in_the_study_s_folder(tmp_path: Path) -> None:
    """Nor does hpsearch. The study's own code finds its neighbours, also by a name that is a string."""
    for name in ("numpy", "torch", "pynvml", "optional"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(__name__)")
    (tmp_path / "near.py").write_text("")
    (tmp_path / "nearer.py").write_text("HERE = True\n")
    (tmp_path / "mine.py").write_text(
        "import importlib, numpy, torch, near\n"
        "def build(): return importlib.import_module('near' + 'er').HERE, numpy.__file__, torch.__file__\n"
    )
    code = f"""
import importlib, importlib.util, pathlib, sys
from hpsearch.code import find
built = find("mine:build", pathlib.Path({str(tmp_path)!r}), "s.yaml: net").load("s.yaml: net")()
assert built[0] and all("site-packages" in file for file in built[1:]), built
import json.tool  # a library that looks for an optional module
look = compile("import importlib.util as u; found = [u.find_spec(n) for n in ('pynvml', 'optional', 'near')]",
               json.tool.__file__, "exec")
scope = {{"__name__": "json.tool"}}
exec(look, scope)
assert scope["found"][:2] == [None, None], scope["found"]
assert scope["found"][2] is not None  # which the study's code imports
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
