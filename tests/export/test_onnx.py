"""The graph answers as transform() and the members in torch do, for every task and kind of input."""

import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from export_cases import Case, make_case, reference
from torch import nn

from hpsearch.data import categories
from hpsearch.data.dataset import Target
from hpsearch.data.preprocess import ArraySchema, Category, Number, TableSchema
from hpsearch.errors import RunError
from hpsearch.export.onnx import build_graph
from hpsearch.export.preprocessing import input_names, missing_word
from hpsearch.export.session import open_session


def raw_feeds(case: Case) -> dict[str, np.ndarray]:
    """What a person with onnxruntime alone would give the graph."""
    if isinstance(case.schema, ArraySchema):
        return {"x": np.asarray(case.data)}
    feeds = {}
    for name, column in zip(input_names(case.schema), case.schema.columns, strict=True):
        series = case.data[column.name]
        if isinstance(column, Number):
            feeds[name] = series.to_numpy(np.float64)[:, None]
        else:
            words = categories.words(series)
            feeds[name] = np.array([[missing_word(column) if w is None else w] for w in words], dtype=object)
    return feeds


def run(graph: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = open_session(graph.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


@pytest.mark.parametrize(
    ("kind", "task", "count"),
    [
        ("table", "binary", 2),
        ("table", "classes", 1),
        ("table", "regression", 3),
        ("array", "binary", 1),
        ("array", "classes", 3),
        ("array", "regression", 2),
    ],
)
def test_the_graph_equals_transform_and_torch(kind: str, task: str, count: int) -> None:
    case = make_case(kind, task, count)
    graph = build_graph(case.members, case.weights, case.schema, case.target)
    mean, spread = reference(case)
    scale = case.target.std
    main = "value" if task == "regression" else "probability"
    feeds = raw_feeds(case)

    out = run(graph, feeds)
    assert set(out) == {main, "spread"} if count > 1 else {main}
    assert {name: value.dtype for name, value in out.items() if name != "value"} == {
        name: np.float32 for name in out if name != "value"
    }
    assert task != "regression" or out["value"].dtype == np.float64
    assert out[main].shape == ((len(mean),) if task == "regression" else (len(mean), case.target.outputs))
    np.testing.assert_allclose(out[main] / scale, mean / scale, atol=1e-5)
    if count > 1:
        assert spread.max() > 0.01
        np.testing.assert_allclose(out["spread"] / scale, spread / scale, atol=1e-5)
    one = run(graph, {name: value[7:8] for name, value in feeds.items()})
    np.testing.assert_allclose(one[main], out[main][7:8], rtol=1e-5)
    here = str(Path(__file__).parents[2]).encode()
    assert b"site-packages" not in graph.SerializeToString() and here not in graph.SerializeToString()


def test_the_inputs_are_the_columns_with_their_types() -> None:
    schema = TableSchema(
        (Number("spread", 0, 1, 0, False), Category("spread_", ("a",), False), Number("", 0, 1, 0, True))
    )
    graph = build_graph([nn.Linear(4, 1)], [1.0], schema, Target("regression"))
    session = open_session(graph.SerializeToString())
    assert [(i.name, i.type, i.shape) for i in session.get_inputs()] == [
        ("spread__", "tensor(double)", ["batch", 1]),
        ("spread_", "tensor(string)", ["batch", 1]),
        ("_", "tensor(double)", ["batch", 1]),
    ]
    assert [(o.name, o.type, o.shape) for o in session.get_outputs()] == [("value", "tensor(double)", ["batch"])]


def test_a_category_of_empty_text_is_not_missing() -> None:
    column = Category("c", ("", "missing", "z"), True)
    assert missing_word(column) == "missing_"
    net = nn.Linear(4, 4, bias=False)
    nn.init.eye_(net.weight)
    graph = build_graph([net], [1.0], TableSchema((column,)), Target("classification", tuple("abcd")))
    words = np.array([[""], ["missing"], ["z"], ["missing_"]], dtype=object)
    assert run(graph, {"c": words})["probability"].argmax(1).tolist() == [0, 1, 2, 3]
    unknown = run(graph, {"c": np.array([["?"]], dtype=object)})["probability"]
    np.testing.assert_allclose(unknown, 0.25)


def test_building_leaves_the_nets_alone_and_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    case = make_case("array", "regression", 1)
    case.members[0].train()
    before = {name: value.clone() for name, value in case.members[0].state_dict().items()}
    filters, disabled = list(warnings.filters), logging.root.manager.disable
    build_graph(case.members, case.weights, case.schema, case.target)
    assert capfd.readouterr() == ("", "")
    assert case.members[0].training
    assert all(torch.equal(value, before[name]) for name, value in case.members[0].state_dict().items())
    assert warnings.filters == filters and logging.root.manager.disable == disabled


class DropsAlways(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x[:, :1])  # training=True is its default


class Branches(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :1] if x.sum() > 0 else -x[:, :1]


@pytest.mark.parametrize("net", [DropsAlways(), Branches()])
def test_a_net_that_cannot_be_traced_has_no_export(net: nn.Module) -> None:
    schema = ArraySchema((3,), (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(RunError, match="ONNX form"):
        build_graph([net], [1.0], schema, Target("regression"))


def test_any_onnxruntime_sees_a_valid_model(table_export: Path) -> None:
    model = onnx.load(f"{table_export}/model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert {o.domain: o.version for o in model.opset_import} == {"": 18, "ai.onnx.ml": 3}
    onnxruntime.InferenceSession(f"{table_export}/model.onnx")


def test_a_value_with_a_large_offset_is_not_rounded() -> None:
    net, x = nn.Linear(1, 1), np.linspace(-1, 1, 9)[:, None]
    target = Target("regression", mean=1.7e9, std=30.0)  # seconds since 1970
    graph = build_graph([net, net], [1.0, 1.0], TableSchema((Number("a", 0, 1, 0, False),)), target)
    with torch.no_grad():
        wanted = net(torch.from_numpy(x).float()).double().numpy()[:, 0] * 30 + 1.7e9
    np.testing.assert_allclose(run(graph, {"a": x})["value"] - 1.7e9, wanted - 1.7e9, atol=1e-4)
