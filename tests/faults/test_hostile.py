"""Files from strangers: nothing in them runs, nothing is written where they say, and each ends in a sentence."""

import io
import json
import os
import pickle
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from safetensors.torch import load_file, save_file

from hpsearch import run
from hpsearch.cli import main
from hpsearch.data.sources import read_npz
from hpsearch.errors import DamagedError, UserError
from hpsearch.export import predict
from hpsearch.export.manifest import sealed
from hpsearch.pack import checkpoint
from hpsearch.pack.checkpoint import Record, RowState
from hpsearch.search import ledger, packing
from hpsearch.search.messages import Entry, Outcome
from hpsearch.study import load_study
from hpsearch.validate import check_names, check_task

# --- checkpoints ------------------------------------------------------------------------------------------------


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "00000.safetensors"
    states = [
        RowState(Record(t, {"epochs": 3, "lr": 0.1}, epoch=3), {"theta": torch.rand(4), "first": torch.rand(4)})
        for t in (0, 1)
    ]
    checkpoint.store(path, states, {"leg": 0})
    return path


def rewritten(path: Path, change: Any) -> None:
    with checkpoint._opened(path) as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors, metadata = change(tensors, json.loads(metadata["rows"]))
    save_file(tensors, path, metadata)


def swapped_rows(tensors: dict[str, Any], head: Any) -> Any:
    tensors["0/theta"], tensors["1/theta"] = tensors["1/theta"], tensors["0/theta"]
    return tensors, {"rows": json.dumps(head)}


def swapped_in_a_row(tensors: dict[str, Any], head: Any) -> Any:
    tensors["0/theta"], tensors["0/first"] = tensors["0/first"], tensors["0/theta"]
    return tensors, {"rows": json.dumps(head)}


def without_a_tensor(tensors: dict[str, Any], head: Any) -> Any:
    del tensors["0/first"]
    return tensors, {"rows": json.dumps(head)}


def with_another_record(tensors: dict[str, Any], head: Any) -> Any:
    head["records"][0]["best"] = {"accuracy": 1.0}
    return tensors, {"rows": json.dumps(head)}


def without_records(tensors: dict[str, Any], head: Any) -> Any:
    return tensors, {}


def with_odd_records(tensors: dict[str, Any], head: Any) -> Any:
    head["records"][0]["params"] = []
    return tensors, {"rows": json.dumps(head)}


def with_a_path_for_a_trial(tensors: dict[str, Any], head: Any) -> Any:
    return {"../../x": torch.zeros(1), **tensors}, {"rows": json.dumps(head)}


@pytest.mark.parametrize(
    "change",
    [
        swapped_rows,
        swapped_in_a_row,
        without_a_tensor,
        with_another_record,
        without_records,
        with_odd_records,
        with_a_path_for_a_trial,
    ],
)
def test_a_checkpoint_that_was_altered_is_refused(change: Any, rows: Path) -> None:
    rewritten(rows, change)
    with pytest.raises(DamagedError, match=str(rows)):
        checkpoint.load(rows)


def test_a_folder_in_the_place_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedError, match=str(tmp_path)):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_a_part_of_a_checkpoint_is_refused(share: float, rows: Path) -> None:
    data = rows.read_bytes()
    rows.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DamagedError, match=str(rows)):
        checkpoint.load(rows)


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.made),)


def test_pickles_are_never_opened(tmp_path: Path, rows: Path) -> None:
    made = tmp_path / "made"
    rows.write_bytes(pickle.dumps(Bomb(made)))
    with pytest.raises(DamagedError):
        checkpoint.load(rows)
    buffer = io.BytesIO()
    np.save(buffer, np.array([Bomb(made)], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as file:
        file.writestr("x.npy", buffer.getvalue())
    with pytest.raises(UserError, match="cannot be read as npz"):
        read_npz(tmp_path / "bomb.npz")
    assert not made.exists()


# --- archives ---------------------------------------------------------------------------------------------------


def test_entries_of_an_archive_are_never_unpacked(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.ones((4, 2)))
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    (tmp_path / "data").mkdir()
    with zipfile.ZipFile(tmp_path / "data" / "a.npz", "w") as file:
        file.writestr("x.npy", buffer.getvalue())
        file.writestr("../escaped.npy", buffer.getvalue())
        file.writestr(link, "/etc/passwd")
    x, y = read_npz(tmp_path / "data" / "a.npz")
    assert x.shape == (4, 2)
    assert y is None
    assert [path.name for path in tmp_path.rglob("*")] == ["data", "a.npz"]


def test_an_archive_that_claims_to_be_huge_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**13, 10)})
    for name in ("x.npy", "y.npy"):
        with zipfile.ZipFile(tmp_path / "huge.npz", "a") as file:
            file.writestr(name, header.getvalue())
    (tmp_path / "s.yaml").write_text("name: s\ndata: {source: huge.npz}\n")
    monkeypatch.setattr(
        "sys.argv", ["hpsearch", "launch", str(tmp_path / "s.yaml"), "--runs", str(tmp_path / "r")]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "huge.npz" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


# --- journals and plans -----------------------------------------------------------------------------------------

LINES = [
    {},
    {"op_code": 0},
    {"op_code": 99, "worker_id": "x"},
    {"op_code": 0, "worker_id": "x", "study_name": "other", "directions": [1]},
    {"op_code": "__import__('os').mkdir('made')"},
]


@pytest.mark.parametrize("line", LINES, ids=str)
def test_a_journal_of_nonsense_is_set_aside(line: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "ledger.journal"
    path.write_text(json.dumps(line) + "\n")
    with pytest.raises(DamagedError, match=str(path)):
        ledger.read(path, "study")
    (told,) = ledger.recover(path, "study")
    assert "set aside as ledger.journal.damaged-" in told
    assert ledger.Ledger(str(path), "study", "minimize").begin([]) == 1


@pytest.mark.parametrize(
    ("sound", "odd"),
    [
        ('"scores":{"log_loss":0.5}', '"scores":{}'),
        ('"values":[', '"values":null,"x":['),
        ('"leg":0', '"leg":"../x"'),
    ],
)
def test_a_journal_with_an_odd_outcome_is_set_aside(sound: str, odd: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.journal"
    book = ledger.Ledger(str(path), "study", "minimize")
    launch = book.begin([Entry({}, {}, {"epochs": 3})])
    book.report(launch, 0, {0: Outcome(0.5, {"log_loss": 0.5}, 1, 3, 1.0, leg=0)})
    assert len(ledger.read(path, "study")) == 1
    text = path.read_text()
    assert sound in text
    path.write_text(text.replace(sound, odd))
    with pytest.raises(DamagedError, match="is not the ledger of"):
        ledger.read(path, "study")


def test_a_status_of_a_broken_run_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("name: s\ndata: {source: 'sklearn:iris'}\n")
    (tmp_path / "ledger.journal").write_text('{"op_code": 99}\n')
    with pytest.raises(UserError, match="is not the ledger of 's'"):
        run.open_run(tmp_path).status()


@pytest.mark.parametrize(
    "leg",
    [
        {"forward": "__import__('os')"},
        {"threads": 10**9},
        {"threads": "2; rm"},
        {"trials": []},
        {"trials": ["../0"]},
        {"leg": "../../x"},
        {"leg": -1},
        {"more": 1},
    ],
    ids=str,
)
def test_a_hostile_plan_is_refused(leg: dict[str, Any], tmp_path: Path) -> None:
    sound = {"leg": 0, "trials": [0], "forward": "loop", "threads": 1, "row_ms": 1.0, "why": "", "after": []}
    (tmp_path / "plan.json").write_text(json.dumps({"version": 2, "legs": [sound | leg]}))
    with pytest.raises(UserError, match=r"plan\.json: is not a plan") as caught:
        packing.read(tmp_path / "plan.json")
    assert "\n" not in str(caught.value)


def test_a_plan_that_names_a_trial_twice_is_refused(tmp_path: Path) -> None:
    legs = (packing.Leg(0, (0, 1), "loop", 1, 1.0, ""), packing.Leg(1, (1,), "loop", 1, 1.0, ""))
    packing.Plan(legs).write(tmp_path / "plan.json")
    with pytest.raises(UserError, match="trial 1 is in two legs"):
        packing.read(tmp_path / "plan.json")


# --- exports ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relative", [False, True])
def test_an_export_reads_no_file_beside_its_own(
    relative: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph may say that its weights lie in another file: in anybody's."""
    monkeypatch.chdir(tmp_path)
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.arange(6, dtype=np.float32).tobytes())
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[6], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=secret.name if relative else str(secret))
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["value"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 6])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["batch", 6])],
        [weight],
    )
    folder = tmp_path / "export"
    folder.mkdir()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    schema = {"kind": "array", "shape": [6], "mean": [0.0], "std": [1.0], "seen": [], "dtype": "float32"}
    (folder / "preprocess.json").write_text(json.dumps(schema))
    save_file({"x": torch.zeros(1)}, folder / "model.safetensors")
    (folder / "README.md").write_text("")
    about = {"versions": {"onnxruntime": "1"}, "inputs": [], "outputs": ["value"], "classes": [], "missing": []}
    (folder / "manifest.json").write_text(json.dumps(sealed(about, folder)))
    with pytest.raises(UserError, match=r"onnxruntime .* cannot run it"):
        predict.load(folder)


# --- studies ----------------------------------------------------------------------------------------------------

KEYS = [
    "name", "seed", "data", "net", "search", "params", "resources", "squeeze", "source", "target", "task", "split",
    "trials", "block", "metric", "timeout", "lr", "epochs", "width", "low", "high", "log", "when", "value",
    "workers", "student", "validation", "column", "optimizer", "dropout", "gpus_per_pack", "disk_gb", "checkpoint",
    "choices",
]  # fmt: skip
WORDS = [
    "",
    "off",
    "1m",
    "mlp",
    "accuracy",
    "sklearn:iris",
    "adam",
    "../x",
    "\0",
    "é",
    "!!python/name:os",
    "<b>",
    "auto",
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from([*WORDS, *KEYS])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)
SOUND = {
    "name": "s", "data": {"source": "sklearn:iris"}, "search": {"trials": 4},
    "params": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "width": [8, 16], "epochs": 2},
}  # fmt: skip


def refused_or_sound(path: Path) -> None:
    """A study file is read, or refused in sentences that name it: nothing else comes out."""
    try:
        study = load_study(path)
        check_names(study, str(path))
        for task in ("classification", "regression"):
            check_task(study, task, str(path))
    except UserError as error:
        assert all(line.startswith(str(path)) for line in str(error).splitlines())


fuzz = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzz
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8))
@example({"params": {"lr": {"low": -(10**400), "high": 10**400}}})
def test_any_mapping_is_read_or_refused(tmp_path: Path, raw: dict[str, Any]) -> None:
    (tmp_path / "s.yaml").write_text(json.dumps({**SOUND, **raw}), encoding="utf-8")  # JSON is YAML
    refused_or_sound(tmp_path / "s.yaml")


@fuzz
@given(
    st.dictionaries(
        st.sampled_from([*KEYS, "momentum", "norm", "skip", "cycles", "schedule", "lr_min"]), VALUES, max_size=5
    )
)
def test_any_params_are_read_or_refused(tmp_path: Path, raw: dict[str, Any]) -> None:
    (tmp_path / "s.yaml").write_text(json.dumps({**SOUND, "params": raw}), encoding="utf-8")
    refused_or_sound(tmp_path / "s.yaml")


@fuzz
@given(st.data())
def test_a_sound_study_with_some_bytes_changed_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    text = bytearray(
        b"name: s\ndata: {source: 'sklearn:iris'}\nparams: {lr: {low: 1e-4, high: 1}, skip: [true, false]}\n"
    )
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    (tmp_path / "s.yaml").write_bytes(text)
    refused_or_sound(tmp_path / "s.yaml")


@fuzz
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.yaml").write_text(text, encoding="utf-8", errors="replace")
    refused_or_sound(tmp_path / "s.yaml")
