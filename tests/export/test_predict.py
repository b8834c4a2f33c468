"""Prediction: the same answer from every kind of input, and a sentence where the input does not fit."""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from export_cases import Case, reference
from torch import nn

import hpsearch
from hpsearch.cli import main
from hpsearch.data.dataset import Target
from hpsearch.data.preprocess import Category, Number, TableSchema
from hpsearch.errors import InputWarning, UserError
from hpsearch.export import bundle, inputs
from hpsearch.export.predict import Model, load, predict_file


@pytest.fixture(scope="module")
def model(table_export: Path) -> Model:
    return load(table_export)


@pytest.fixture(scope="module")
def arrays(array_export: Path) -> Model:
    return load(array_export)


def as_training_wrote(data: pd.DataFrame) -> pd.DataFrame:
    """A CSV whose every value is spelled otherwise than training spelled it, and means the same."""
    text = data.astype(object).where(data.notna(), "?")
    text["value_"] = text["value_"].map({True: "TRUE", False: "False"})
    text['say "hi"'] = [f"{value:03d}" if i % 2 else f"{value}.0" for i, value in enumerate(data['say "hi"'])]
    return text.assign(extra="ignored")


def test_a_data_frame_gives_the_contract_s_columns(model: Model, table_case: Case) -> None:
    data = table_case.data.sample(frac=1, random_state=0)
    out = model.predict(data)
    mean, spread = reference(table_case._replace(data=data))
    names = [f"probability.{name}" for name in table_case.target.classes]
    assert list(out.columns) == ["prediction", *names, "spread"]
    assert out.index.equals(data.index)
    np.testing.assert_allclose(out[names], mean, atol=1e-5)
    np.testing.assert_allclose(out["spread"], spread, atol=1e-5)
    assert out["prediction"].nunique() > 1
    assert out["prediction"].tolist() == [table_case.target.classes[i] for i in mean.argmax(1)]


def test_csv_parquet_and_data_frame_agree(
    model: Model, table_case: Case, table_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = model.predict(table_case.data)
    as_training_wrote(table_case.data).to_csv(tmp_path / "in.csv", index=False)
    table_case.data.to_parquet(tmp_path / "in.parquet")
    out = tmp_path / "new" / "out.csv"
    out.parent.mkdir()
    monkeypatch.setattr(inputs, "_MOST_ROWS", 7)  # many chunks, each with its own idea of a column's type
    for source in ("in.csv", "in.parquet"):
        pd.testing.assert_frame_equal(model.predict(tmp_path / source), wanted)
        assert predict_file(table_export, tmp_path / source, out) == len(wanted)
        read = pd.read_csv(out, float_precision="round_trip")
        pd.testing.assert_frame_equal(read, wanted, check_dtype=False, rtol=1e-6)
    assert list(out.parent.iterdir()) == [out]


def test_arrays_agree_in_every_form(arrays: Model, array_case: Case, array_export: Path, tmp_path: Path) -> None:
    x = np.asarray(array_case.data)
    wanted = arrays.predict(x)
    np.testing.assert_allclose(wanted["prediction"], reference(array_case)[0], rtol=1e-5)
    assert list(wanted.columns) == ["prediction"]
    np.savez(tmp_path / "in.npz", x=x.astype(np.float64), y=np.zeros(len(x)))
    flat = pd.DataFrame(x.reshape(len(x), -1))
    flat.assign(Target="a word").to_csv(tmp_path / "in.csv", index=False)
    flat.astype(float).rename(columns=str).to_parquet(tmp_path / "in.parquet")
    for source in (
        tmp_path / "in.npz",
        str(tmp_path / "in.csv"),
        tmp_path / "in.parquet",
        flat,
        x.reshape(len(x), -1),
    ):
        pd.testing.assert_frame_equal(arrays.predict(source), wanted)
    assert predict_file(str(array_export), str(tmp_path / "in.npz"), str(tmp_path / "out.csv")) == len(x)
    assert len((tmp_path / "out.csv").read_text().splitlines()) == len(x) + 1


def test_a_table_of_numbers_takes_an_array_in_order(tmp_path: Path) -> None:
    schema = TableSchema((Number("a", 1.0, 2.0, 0.0, False), Number("b", 0.0, 1.0, 5.0, True)))
    card = bundle.Card(
        "s", "best", {"validation": {}, "test": {}}, [{"trial": 0, "kind": "best", "epoch": 1}], "d", {}
    )
    bundle.write(tmp_path / "e", [nn.Linear(3, 2)], [1.0], schema, Target("classification", (3, 7)), card)
    model = load(tmp_path / "e")
    x = np.array([[1, 2], [3, np.nan]])
    out = model.predict(x)
    pd.testing.assert_frame_equal(out, model.predict(pd.DataFrame({"b": x[:, 1], "a": x[:, 0]})))
    assert set(out["prediction"]) <= {3, 7} and "probability.7" in out
    np.savez(tmp_path / "x.npz", x=x)
    pd.testing.assert_frame_equal(model.predict(tmp_path / "x.npz"), out)
    with pytest.raises(UserError, match=r"x must be \[N, 2\]"):
        model.predict(x[:, :1])


def test_no_rows_give_no_rows(model: Model, table_case: Case, arrays: Model, tmp_path: Path) -> None:
    none = table_case.data.iloc[:0]
    none.to_csv(tmp_path / "in.csv", index=False)
    none.to_parquet(tmp_path / "in.parquet")
    for source in (none, tmp_path / "in.csv", tmp_path / "in.parquet"):
        out = model.predict(source)
        assert len(out) == 0 and len(out.columns) == 5
    assert arrays.predict(np.zeros((0, 2, 2, 3))).shape == (0, 1)


WRONG_TABLES = {
    "missing column": (lambda t: t.drop(columns="<script>"), r"the column '<script>' is missing"),
    "text in a number": (lambda t: t.assign(x=["1"] * 44 + ["l0"] + ["1"] * 15), r"column 'x' .* row 44 has 'l0'"),
    "infinity": (lambda t: t.assign(x=[0.0] * 9 + [np.inf] * 51), r"column 'x' .* row 9 has"),
    "times": (
        lambda t: t.assign(x=pd.to_datetime("2026-01-01")),
        "the column 'x' holds numbers, got times",
    ),
    "more than float32 holds": (lambda t: t.assign(x=1e60), r"'x' has 1e\+60 in row 0, which is too large"),
    "a column twice": (lambda t: pd.concat([t, t[["x"]]], axis=1), r"column 'x' stands 2 times"),
    "an array": (lambda t: np.zeros((3, 8)), r"'colour\|`x`' holds words"),
    "a list": (lambda t: [1, 2], r"got list"),
}


@pytest.mark.parametrize("name", WRONG_TABLES)
def test_a_wrong_table_is_refused_by_column_and_row(
    model: Model, table_case: Case, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, message = WRONG_TABLES[name]
    monkeypatch.setattr(inputs, "_MOST_ROWS", 7)
    with pytest.raises(UserError, match=message):
        model.predict(make(table_case.data))


WRONG_ARRAYS = {
    "shape": (np.zeros((4, 11)), r"x must be \[N, 2, 2, 3\], got \[4, 11\]"),
    "no rows' axis": (np.zeros(12), r"x must be \[N, 2, 2, 3\]"),
    "one value": (np.array(3.0), "single value"),
    "words": (np.full((4, 12), "a"), "x must hold numbers"),
    "not a number": (np.where(np.arange(48).reshape(4, 12) == 30, np.nan, 0), "row 2 holds NaN"),
    "too large": (np.full((1, 12), 1e300), "row 0 holds NaN or infinity"),
    "channels last": (np.zeros((2, 3, 2, 2)), r"x must be \[N, 2, 2, 3\], got \[2, 3, 2, 2\]"),
    "another order": (np.zeros((2, 2, 3, 2)), r"x must be \[N, 2, 2, 3\], got \[2, 2, 3, 2\]"),
    "columns": (pd.DataFrame(np.zeros((2, 13))), "12 columns of numbers, in the order of x, got 13"),
    "a hole": (
        pd.DataFrame(np.where(np.arange(24).reshape(2, 12) == 17, np.nan, 0)),
        "column '5' has no value in row 1",
    ),
}


@pytest.mark.parametrize("name", WRONG_ARRAYS)
def test_a_wrong_array_is_refused(arrays: Model, name: str) -> None:
    x, message = WRONG_ARRAYS[name]
    with pytest.raises(UserError, match=message):
        arrays.predict(x)


WRONG_FILES = {
    "in.txt": (b"a,b\n", r"in\.txt.*choose from \.csv, \.npz, \.parquet"),
    "in.csv": (b"", r"cannot be read as csv"),
    "ragged.csv": (b"a,b\n1,2\n1,2,3\n", r"cannot be read as csv: line 3 has 3 cells, and its header 2"),
    "longer.csv": (b"a,b\n1,2,3\n4,5,6\n", r"rows with more cells than its header"),
    "twice.csv": (b"a,b,a\n1,2,3\n", r"its header has the column 'a' twice"),
    "semicolons.csv": (b"a;b\n1;2\n", r"the single column 'a;b'"),
    "latin.csv": (b"a,b\n\xff\xfe,1\n", r"cannot be read as csv"),
    "in.parquet": (b"PAR1 no", r"cannot be read as parquet"),
    "in.npz": (b"PK no", r"cannot be read as npz"),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_file_that_cannot_be_read_leaves_nothing_behind(table_export: Path, tmp_path: Path, name: str) -> None:
    data, message = WRONG_FILES[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message):
        predict_file(table_export, tmp_path / name, tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_and_a_run_are_told_what_was_meant(table_export: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is a folder; give a file: .*\.npz \(pictures as x in an npz\)"):
        predict_file(table_export, tmp_path, tmp_path / "out.csv")
    run = tmp_path / "run"
    (run / "export").mkdir(parents=True)
    (run / "study.yaml").write_text("")
    with pytest.raises(UserError, match=r"it has no manifest\.json; its run has none, or is not finished"):
        predict_file(run / "export", tmp_path / "in.csv", tmp_path / "out.csv")
    (run / "export" / "manifest.json").write_text("{}")
    with pytest.raises(UserError, match=r"run: is not an export: .*; did you mean .*/run/export\?"):
        predict_file(run, tmp_path / "in.csv", tmp_path / "out.csv")


def test_the_place_of_the_output_is_held_too(table_export: Path, table_case: Case, tmp_path: Path) -> None:
    table_case.data.to_csv(tmp_path / "in.csv", index=False)
    for out in (tmp_path / "in.csv", tmp_path, tmp_path / "in.csv" / "out.csv", tmp_path / "none" / "out.csv"):
        with pytest.raises(UserError):
            predict_file(table_export, tmp_path / "in.csv", out)
    with pytest.raises(UserError, match="no such file"):
        predict_file(table_export, tmp_path / "gone.csv", tmp_path / "out.csv")


def test_only_the_study_s_words_are_missing(model: Model, table_case: Case, tmp_path: Path) -> None:
    data = table_case.data.head(3).astype(object)
    data["<script>"] = ["NA", "?", ""]
    data.to_csv(tmp_path / "in.csv", index=False)
    wanted = model.predict(data.assign(**{"<script>": ["unknown", None, np.nan]}))
    pd.testing.assert_frame_equal(model.predict(tmp_path / "in.csv"), wanted)
    data.assign(x=["1", "NA", "2"]).to_csv(tmp_path / "in.csv", index=False)
    with pytest.raises(UserError, match=r"'x' .* row 1 has 'NA'"):
        model.predict(tmp_path / "in.csv")


SPELLINGS = {
    "numbers": (
        ("7", "0.5", "-2"),
        ["007", "7.0", "5e-1", "-2.", " 7", "x", "8"],
        ["7", "7", "0.5", "-2", "7", "x", "8"],
    ),
    "text with a number": (("7", "seven"), ["007", "7"], ["007", "7"]),
    "booleans": (("false", "true"), ["TRUE", "False", "no"], ["true", "false", "no"]),
    "booleans, some missing": (("False", "True"), [True, "true", None], ["True", "True", ""]),
    "floats beyond 2**53": (("9007199254740992", "5"), ["9007199254740993", "5"], ["9007199254740992", "5"]),
    "text": (("NaN", "b"), ["NaN", np.nan, "B"], ["NaN", "", "B"]),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_words_are_spelled_as_training_spelled_them(name: str) -> None:
    categories, given, wanted = SPELLINGS[name]
    schema = TableSchema((Category("c", categories, True),))
    table = pd.DataFrame({"c": pd.Series(given, dtype=object)})
    assert inputs.feeds(table, schema, ["c"], [""], "X", 0)["c"][:, 0].tolist() == wanted


def test_a_word_of_digits_that_training_read_as_text_stays_that_word() -> None:
    schema = TableSchema((Category("zip", ("7", "12345"), False, text=True),))
    table = pd.DataFrame({"zip": ["7", "007", "12345.0"]})
    assert inputs.feeds(table, schema, ["zip"], [""], "X", 0)["zip"][:, 0].tolist() == ["7", "007", "12345.0"]


def test_predicting_loads_neither_torch_nor_ray_nor_optuna(array_export: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from hpsearch.export.predict import load\n"
        f"print(len(load({str(array_export)!r}).predict(np.zeros((3, 2, 2, 3)))))\n"
        "print([name for name in ('torch', 'ray', 'optuna', 'onnx', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["3", "[]"]


@pytest.mark.parametrize(
    ("out", "said"),
    [("export/model.onnx", "lies in the export"), ("out.parquet", "written as CSV"), ("in.csv", "of its own")],
)
def test_predictions_are_written_where_nothing_is_lost(
    out: str, said: str, table_case: Case, table_export: Path, tmp_path: Path
) -> None:
    shutil.copytree(table_export, tmp_path / "export")
    table_case.data.to_csv(tmp_path / "in.csv", index=False)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=said):
        predict_file(tmp_path / "export", tmp_path / "in.csv", tmp_path / out)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_blank_line_of_one_column_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("x\n1\n\n3\n")
    schema = TableSchema((Number("x", 0.0, 1.0, 0.0, True),))
    (_, _, piece), *_ = inputs.chunks(path, schema, [""])
    assert piece["x"].isna().tolist() == [False, True, False]


def test_predictions_go_through_links_and_pipes(
    array_export: Path, array_case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "in.npz", x=array_case.data)
    predict_file(array_export, tmp_path / "in.npz", tmp_path / "plain.csv")
    wanted = (tmp_path / "plain.csv").read_text()
    monkeypatch.setattr(inputs, "_MOST_ROWS", 7)
    (tmp_path / "far").mkdir()
    (tmp_path / "link.csv").symlink_to("far/out.csv")
    predict_file(array_export, tmp_path / "in.npz", tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "far" / "out.csv").read_text() == wanted
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-pipe").symlink_to("pipe")
    for out in ("pipe", "to-pipe"):
        with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE, text=True) as reader:
            predict_file(array_export, tmp_path / "in.npz", tmp_path / out)
            assert reader.communicate(timeout=20)[0] == wanted
    assert (tmp_path / "pipe").is_fifo()


def test_predictions_are_printed_alone(array_export: Path, array_case: Case, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=array_case.data)
    predict_file(array_export, tmp_path / "in.npz", tmp_path / "plain.csv")
    for out in ("-", "/dev/stdout"):
        command = [sys.executable, "-m", "hpsearch", "predict", array_export, tmp_path / "in.npz", "--out", out]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == (tmp_path / "plain.csv").read_text()


@pytest.mark.parametrize("kind", ["link", "hard link"])
def test_an_input_under_another_name_is_not_replaced(
    kind: str, array_export: Path, array_case: Case, tmp_path: Path
) -> None:
    np.savez(tmp_path / "in.npz", x=array_case.data)
    before = (tmp_path / "in.npz").read_bytes()
    out = tmp_path / "out.csv"
    (out.symlink_to if kind == "link" else out.hardlink_to)(tmp_path / "in.npz")
    with pytest.raises(UserError, match="of its own"):
        predict_file(array_export, tmp_path / "in.npz", out)
    assert (tmp_path / "in.npz").read_bytes() == before


def test_a_link_into_the_export_is_not_followed(array_export: Path, array_case: Case, tmp_path: Path) -> None:
    shutil.copytree(array_export, tmp_path / "export")
    np.savez(tmp_path / "in.npz", x=array_case.data)
    (tmp_path / "out.csv").symlink_to("export/model.onnx")
    with pytest.raises(UserError, match="lies in the export"):
        predict_file(tmp_path / "export", tmp_path / "in.npz", tmp_path / "out.csv")
    load(tmp_path / "export")


def test_inputs_of_another_scale_warn_in_python(arrays: Model, array_case: Case) -> None:
    x = np.asarray(array_case.data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sound = arrays.predict(x)
    with pytest.warns(InputWarning, match=r"x, channel 0: training had .* 255 times the training values") as told:
        arrays.predict(255 * x)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert hpsearch.InputWarning is InputWarning
    pd.testing.assert_frame_equal(arrays.predict(x), sound)


def test_the_command_warns_and_writes_all_the_same(
    table_export: Path, table_case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    other = table_case.data.assign(x=table_case.data["x"] / 1000, value_=None)
    other.to_csv(tmp_path / "in.csv", index=False, na_rep="?")
    words = ["predict", str(table_export), str(tmp_path / "in.csv"), "--out", str(tmp_path / "out.csv")]
    monkeypatch.setattr("sys.argv", ["hpsearch", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert (ended.value.code or 0, out) == (0, f"wrote {tmp_path / 'out.csv'}\n")
    told = [line.removeprefix(f"warning: {tmp_path / 'in.csv'}: ") for line in err.splitlines()]
    assert told[0].startswith("x: training had values from 1.7e+09 to 1.7e+09")
    assert (
        told[1] == "colour|`x`: 4 of 60 rows have a category that training never had ('unknown', 'red ', 'RED', …)"
    )
    assert told[2].startswith("value in ") and "value_ in 60 of 60 rows" in told[2]
    assert len(told) == 3
    assert len(pd.read_csv(tmp_path / "out.csv")) == 60
