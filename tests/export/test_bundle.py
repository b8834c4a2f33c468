"""An export is whole or not there, and says harmlessly what it is."""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from export_cases import Case, make_card
from markdown_it import MarkdownIt
from safetensors import safe_open

from hpsearch.data import preprocess
from hpsearch.data.dataset import Target
from hpsearch.data.preprocess import Category, Number, TableSchema
from hpsearch.errors import DiskFullError, UserError
from hpsearch.export import bundle, manifest
from hpsearch.export.card import plain, readme
from hpsearch.export.predict import load

ALL = {"manifest.json", "model.onnx", "model.safetensors", "preprocess.json", "README.md"}


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def ready(table_export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that is there already, where a test is not about it."""
    graph = onnx.load(table_export / "model.onnx")
    monkeypatch.setattr(bundle, "build_graph", lambda *_: graph)


def test_the_folder_holds_what_the_contract_names(table_export: Path, table_case: Case) -> None:
    assert {path.name for path in table_export.iterdir()} == ALL
    assert [path.name for path in table_export.parent.iterdir()] == ["export"]
    about = json.loads((table_export / "manifest.json").read_text())
    assert about["format"] == manifest.FORMAT
    assert set(about["versions"]) == {"hpsearch", "torch", "onnx", "onnxruntime"}
    assert (about["task"], about["classes"]) == ("classification", list(table_case.target.classes))
    assert about["metrics"]["validation"] == {"log_loss": 0.25, "auroc": None}
    assert about["members"][1] == {"trial": 11, "kind": "best", "epoch": 7, "weight": 0.2}
    assert about["missing"] == ["", "?"]
    assert [entry["column"] for entry in about["inputs"]] == [c.name for c in table_case.schema.columns]
    for name, digest in about["files"].items():
        assert hashlib.sha256((table_export / name).read_bytes()).hexdigest() == digest
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in [table_export, *table_export.iterdir()])


def test_the_weights_and_the_schema_come_back(table_export: Path, table_case: Case) -> None:
    schema = preprocess.from_json(json.loads((table_export / "preprocess.json").read_text()))
    assert schema == table_case.schema
    with safe_open(table_export / "model.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["weights"]) == table_case.weights
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for i, member in enumerate(table_case.members):
        for name, value in member.state_dict().items():
            assert torch.equal(tensors.pop(f"member.{i}.{name}"), value)
    assert not tensors


@pytest.mark.parametrize("name", sorted(ALL))
@pytest.mark.parametrize("change", ["flip", "cut", "remove"])
def test_an_altered_file_is_refused_by_name(array_export: Path, tmp_path: Path, name: str, change: str) -> None:
    folder = Path(shutil.copytree(array_export, tmp_path / "export"))
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    if change == "remove":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(data if change == "flip" else data[:-5])
    with pytest.raises(UserError, match=re.escape(name)):
        load(folder)


def test_a_figure_changed_in_the_manifest_is_refused(array_export: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(array_export, tmp_path / "export"))
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("0.75", "0.95"))
    with pytest.raises(UserError, match="altered"):
        load(folder)


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", '{"format": "1"}', '{"format": 1}', "\xff", "[" * 100_000])
def test_a_manifest_that_is_none_is_refused(array_export: Path, tmp_path: Path, text: str) -> None:
    folder = Path(shutil.copytree(array_export, tmp_path / "export"))
    (folder / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match="altered"):
        load(folder)


def test_a_newer_format_is_refused(array_export: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(array_export, tmp_path / "export"))
    about = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(about | {"format": manifest.FORMAT + 1}))
    with pytest.raises(UserError, match=rf"format {manifest.FORMAT + 1}.*newer hpsearch"):
        load(folder)
    with pytest.raises(UserError, match="not an export"):
        load(tmp_path / "nowhere")


def test_an_older_format_is_refused(array_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(shutil.copytree(array_export, tmp_path / "export"))
    monkeypatch.setattr(manifest, "FORMAT", manifest.FORMAT - 1)
    about = json.loads((folder / "manifest.json").read_text())
    body = {key: value for key, value in about.items() if key not in ("format", "files", "seal")}
    (folder / "manifest.json").write_text(json.dumps(manifest.sealed(body, folder)))
    monkeypatch.undo()
    with pytest.raises(
        UserError, match=rf"format {manifest.FORMAT - 1}, which .* no longer reads; export it again"
    ):
        load(folder)


def test_an_export_keeps_the_ranges_of_its_inputs(
    table_export: Path, array_export: Path, array_case: Case
) -> None:
    entries = {e["column"]: e for e in json.loads((table_export / "manifest.json").read_text())["inputs"]}
    assert entries["new\nline"]["training"]["maximum"] == 3.0
    assert entries["<script>"]["training"] == {"categories": 2}
    assert "3 alone" in (table_export / "README.md").read_text()
    (entry,) = json.loads((array_export / "manifest.json").read_text())["inputs"]
    x = np.asarray(array_case.data)[:15]
    assert entry["training"]["dtype"] == "float32"
    assert [one["maximum"] for one in entry["training"]["ranges"]] == x.max((0, 2, 3)).tolist()
    assert f"| 1 | {x[:, 1].min():.6g} to {x[:, 1].max():.6g}, mean " in (array_export / "README.md").read_text()


def test_an_export_replaces_an_old_one(ready: None, table_case: Case, array_export: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(array_export, tmp_path / "deep" / "export"))
    bundle.write(folder, *table_case[:4], make_card(3))
    assert load(folder).about["task"] == "classification"
    assert [path.name for path in folder.parent.iterdir()] == ["export"]
    first = snapshot(folder)
    bundle.write(folder, *table_case[:4], make_card(3))
    assert snapshot(folder) == first  # the same export, the same bytes


@pytest.mark.parametrize("failing", ["write_json", "_put"])
def test_a_failed_export_leaves_the_old_one(
    ready: None,
    table_case: Case,
    array_export: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
) -> None:
    folder = Path(shutil.copytree(array_export, tmp_path / "export"))
    before = snapshot(folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, failing, full)
    with pytest.raises(DiskFullError, match="no space left"):
        bundle.write(folder, *table_case[:4], make_card(3))
    assert snapshot(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_a_failed_rename_brings_the_old_one_back(
    ready: None, table_case: Case, array_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(array_export, tmp_path / "export"))
    rename, calls = os.rename, []

    def second_fails(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(bundle.Path, "rename", second_fails)
    with pytest.raises(UserError, match="Input/output"):
        bundle.write(folder, *table_case[:4], make_card(3))
    assert load(folder).about["task"] == "regression"
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_a_folder_with_anything_else_in_it_is_never_touched(ready: None, table_case: Case, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("ten years")
    with pytest.raises(UserError, match=r"thesis\.tex"):
        bundle.write(tmp_path, *table_case[:4], make_card(3))
    with pytest.raises(UserError, match="is a file"):
        bundle.write(tmp_path / "thesis.tex", *table_case[:4], make_card(3))
    assert snapshot(tmp_path) == {"thesis.tex": b"ten years"}


def test_a_link_stays_a_link(ready: None, table_case: Case, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    bundle.write(tmp_path / "link", *table_case[:4], make_card(3))
    assert (tmp_path / "link").is_symlink()
    assert {path.name for path in (tmp_path / "real").iterdir()} == ALL


HOSTILE = [
    "a|b",
    "<script>alert(1)</script>",
    "`code`",
    "**bold**",
    "# head",
    "[x](http://e.com)",
    "line\n# two",
    "",
    "~~s~~",
]


def test_hostile_names_are_plain_text_in_the_card() -> None:
    markdown = MarkdownIt("commonmark", {"linkify": False}).enable("table")
    columns = [Number(name, 0, 1, 0, True) for name in HOSTILE] + [
        Category(f"c{HOSTILE[1]}", tuple(HOSTILE), False)
    ]
    text = readme(make_card(2), TableSchema(tuple(columns)), Target("classification", tuple(HOSTILE)), [1, 3])
    html = markdown.render(text)
    assert not re.search(r"<(script|b|strong|s|a|img)\b", html)
    assert len(re.findall(r"<h1>", html)) == 1
    rows = [row for row in html.split("<tr>") if "<td" in row]
    assert {row.count("<td") for row in rows if "double" in row or "string" in row} == {5}
    shown = "".join(f"<li>{name}</li>\n" for name in ("a|b", "&lt;script&gt;alert(1)&lt;/script&gt;", "`code`"))
    assert shown in html
    assert plain("x" * 500) == "x" * 79 + "…"


def test_the_card_says_what_a_person_asks_first(table_export: Path, array_export: Path) -> None:
    text = (table_export / "README.md").read_text()
    for part in (
        "one of 3 classes",
        "| log\\_loss | 0.2500 | 0.5000 |",
        "| auroc | - | 0.7500 |",
        "| 12 | best | 7 | 0.3000 |",
    ):
        assert part in text
    for part in (
        "hpsearch predict EXPORT INPUT --out FILE.csv",
        'hpsearch.load("export/").predict(X)',
        "## Limits",
    ):
        assert part in text
    single = (array_export / "README.md").read_text()
    assert "[N, 2, 2, 3]" in single and "spread" not in single and "1500" in single


@pytest.mark.parametrize("kind", ["table", "array"])
def test_the_card_s_own_code_runs(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(request.getfixturevalue(f"{kind}_export"), tmp_path / "export"))
    data = request.getfixturevalue(f"{kind}_case").data
    if kind == "table":
        data = data.astype({"value_": str}).replace({"value_": {"True": "true", "False": "false"}})
        data.to_csv(folder / "new.csv", index=False)
    else:
        np.savez(folder / "new.npz", x=data)
    wanted = load(folder).predict(data)
    monkeypatch.chdir(folder)
    scope: dict[str, dict[str, np.ndarray]] = {}
    exec(re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)[1], scope)
    main = scope["outputs"].get("value", scope["outputs"].get("probability"))
    assert main is not None
    np.testing.assert_allclose(
        main.reshape(len(data), -1),
        wanted.filter(regex="^(probability|prediction)").select_dtypes("number"),
        rtol=1e-6,
    )


def test_links_that_lead_in_a_circle_are_refused(table_case: Case, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(UserError, match=r"--to: .*in a circle"):
        bundle.write(tmp_path / "a", *table_case[:4], make_card(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_private_export_behind_a_link_stays_private(array_case: Case, tmp_path: Path) -> None:
    link, real = tmp_path / "link", tmp_path / "real"
    link.symlink_to("real")
    for umask in (0o077, 0o022):  # the folder is made, then replaced
        before = os.umask(umask)
        try:
            bundle.write(link, *array_case[:4], make_card(1))
        finally:
            os.umask(before)
        assert link.is_symlink() and {path.name for path in real.iterdir()} == ALL
        assert all(path.stat().st_mode & 0o077 == 0 for path in (real, *real.iterdir()))
