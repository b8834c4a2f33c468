"""The same rows give the same features, as whatever types and files they come, in training and in prediction."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from export_cases import Case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper
from representations import tables

from hpsearch.data.missing import mark_missing
from hpsearch.data.preprocess import Category, TableSchema, fit_table
from hpsearch.data.sources import read_table
from hpsearch.export import inputs
from hpsearch.export.inputs import Source
from hpsearch.export.predict import load
from hpsearch.export.preprocessing import WORDS_DOMAIN, Nodes, add_preprocessing, input_names, missing_word
from hpsearch.export.session import open_session

TRAIN = np.arange(9)
MISSING = [""]


def as_file(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        spelled = frame.map(lambda cell: cell if pd.isna(cell) else str(cell)) if _is_mixed(frame) else frame
        spelled.to_parquet(path)
    return path


def _is_mixed(frame: pd.DataFrame) -> bool:
    """Whether Parquet has no type for a column."""
    kinds = [frame[name].dropna().map(type).nunique() for name in frame if frame[name].dtype == object]
    return max(kinds, default=0) > 1


def graph_of(schema: TableSchema) -> onnx.ModelProto:
    """The preprocessing alone."""
    nodes = Nodes("inner/")
    features = add_preprocessing(nodes, schema)
    output = helper.make_tensor_value_info(features, onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes.nodes, "g", nodes.inputs, [output], nodes.constants)
    imports = [helper.make_opsetid("", 18), helper.make_opsetid(WORDS_DOMAIN, 3)]
    return helper.make_model(graph, opset_imports=imports, ir_version=9)


def predicted(schema: TableSchema, sources: list[Source]) -> list[np.ndarray]:
    """The features that the exported graph makes of each source, read in pieces."""
    session = open_session(graph_of(schema).SerializeToString())
    names = list(input_names(schema))
    empties = [missing_word(c) if isinstance(c, Category) else "" for c in schema.columns]
    return [
        np.concatenate(
            [
                session.run(None, inputs.feeds(chunk, schema, names, empties, place, first))[0]
                for place, first, chunk in inputs.chunks(source, schema, MISSING)
            ]
        )
        for source in sources
    ]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables(), st.sampled_from(["a.csv", "a.parquet"]))
def test_every_form_of_a_table_is_one_table(
    tmp_path: Path, drawn: tuple[pd.DataFrame, pd.DataFrame, list[str]], name: str
) -> None:
    first, second, named = drawn
    file = as_file(second, tmp_path / name)
    trained = [mark_missing(first, MISSING), mark_missing(second, MISSING), read_table(file, MISSING, named)]
    schema, *others = [fit_table(table, named, TRAIN, "s") for table in trained]
    assert others == [schema, schema]
    wanted, *alike = [schema.transform(table, "s") for table in trained]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "_MOST_ROWS", 7)
        for features in [*alike, *predicted(schema, [second, file])]:
            np.testing.assert_array_equal(features, wanted)


def spelled(frame: pd.DataFrame) -> pd.DataFrame:
    """Every cell as Python's text, in the types that Arrow has."""
    return frame.astype(object).map(str, na_action="ignore").convert_dtypes(dtype_backend="pyarrow")


FORMS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "nullable": lambda frame: frame.convert_dtypes(),
    "Arrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "objects": lambda frame: frame.astype(object).where(frame.notna(), None),
    "categories": lambda frame: frame.astype("category"),
    "floats": lambda frame: frame.assign(**{'say "hi"': frame['say "hi"'] * 1.0, "value_": frame["value_"] * 1.0}),
    "text": spelled,
    "gaps": lambda frame: pd.concat([frame, frame.iloc[:1].assign(**{'say "hi"': None, "value_": None})]),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_table_is_predicted_alike(
    table_export: Path, table_case: Case, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gap makes pandas write 1.0 for 1, and makes objects of booleans."""
    model = load(table_export)
    rows = len(table_case.data)
    wanted = model.predict(table_case.data)
    frame = FORMS[name](table_case.data).reset_index(drop=True)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    monkeypatch.setattr(inputs, "_MOST_ROWS", 11)
    for source in (frame, tmp_path / "a.csv", tmp_path / "a.parquet"):
        pd.testing.assert_frame_equal(model.predict(source)[:rows], wanted)
