"""A schema's preprocessing as ONNX nodes: from raw inputs to the float32 numbers a net sees.

It computes what `TableSchema.transform` and `ArraySchema.transform` compute. A number comes in as a double:
float32 would round a column with a large offset (a timestamp, an identifier) before its mean is taken off. So does
a date, in seconds since 1970 UTC; the graph finds where it is in the day, the week and the year. Texts are read as
numbers and dates outside the graph.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from hpsearch.data.preprocess import ArraySchema, Category, Date, Number, Schema, TableSchema

OUTPUTS = ("probability", "value", "spread")
BATCH = "batch"
WORDS_DOMAIN = "ai.onnx.ml"


@dataclass
class Nodes:
    """Nodes in the making: owns the names inside the graph, all of which begin with `prefix`."""

    prefix: str
    inputs: list[ValueInfoProto] = field(default_factory=list)
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def take(self, name: str, kind: int, shape: tuple[int, ...]) -> str:
        """An input of the graph, [N, *shape]."""
        self.inputs.append(helper.make_tensor_value_info(name, kind, [BATCH, *shape]))
        return name

    def constant(self, value: np.ndarray) -> str:
        name = f"{self.prefix}constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """One node; gives the name of its output."""
        name = f"{self.prefix}{operator}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name, domain=domain, **attributes))
        return name


def input_names(schema: Schema) -> tuple[str, ...]:
    """The graph's inputs: `x` for arrays, else the column names in their order.

    A column that is called like an output of the graph, or not at all, gets `_` behind its name.
    """
    if isinstance(schema, ArraySchema):
        return ("x",)
    taken = {column.name for column in schema.columns} | {*OUTPUTS, ""}
    names = []
    for column in schema.columns:
        name = column.name
        if name in OUTPUTS or not name:
            while name in taken:
                name += "_"
            taken.add(name)
        names.append(name)
    return tuple(names)


def missing_word(column: Category) -> str:
    """The text that means "missing" in a category's input: the empty one, unless it is a category itself."""
    word = ""
    while word in column.categories:
        word = word + "_" if word else "missing"
    return word


def free_prefix(names: tuple[str, ...]) -> str:
    """A prefix for inner names that no input has."""
    prefix = "inner/"
    while any(name.startswith(prefix) for name in names):
        prefix = "_" + prefix
    return prefix


def add_preprocessing(nodes: Nodes, schema: Schema) -> str:
    """Adds a schema's inputs and nodes; gives the name of the features, float32 [N, D] or [N, *shape]."""
    if isinstance(schema, ArraySchema):
        return _array(nodes, schema)
    return _table(nodes, schema)


def _array(nodes: Nodes, schema: ArraySchema) -> str:
    x = nodes.take("x", TensorProto.FLOAT, schema.shape)
    tail = (1,) * (len(schema.shape) - 1)
    mean, std = (np.array(v, dtype=np.float32).reshape(-1, *tail) for v in (schema.mean, schema.std))
    return nodes.add("Div", nodes.add("Sub", x, nodes.constant(mean)), nodes.constant(std))


def _table(nodes: Nodes, schema: TableSchema) -> str:
    """All numbers and dates go through one set of nodes, each category through one; a last node orders them.

    A node a column would make the graph of a wide table slow to load.
    """
    names = input_names(schema)
    for name, column in zip(names, schema.columns, strict=True):
        nodes.take(name, TensorProto.STRING if isinstance(column, Category) else TensorProto.DOUBLE, (1,))
    numbers = {i: column for i, column in enumerate(schema.columns) if not isinstance(column, Category)}
    words = {i: c for i, c in enumerate(schema.columns) if isinstance(c, Category) and c.width}
    blocks = _numbers(nodes, [names[i] for i in numbers], list(numbers.values())) if numbers else []
    blocks += [_category(nodes, names[i], column) for i, column in words.items()]
    # whose features lie where in the blocks: all numbers, their flags, sines, cosines, then the categories
    cycles = [i for i, column in numbers.items() if isinstance(column, Date) for _ in column.cycles]
    owners = [*numbers, *(i for i, column in numbers.items() if column.flags_missing), *cycles, *cycles]
    owners += [i for i, column in words.items() for _ in range(column.width)]
    order = np.argsort(np.array(owners), kind="stable").astype(np.int64)
    features = nodes.add("Concat", *blocks, axis=1)
    return nodes.add("Gather", features, nodes.constant(order), axis=1)


def _numbers(nodes: Nodes, names: list[str], columns: list[Number | Date]) -> list[str]:
    """Float32 blocks: standardised numbers [N, n], flags of the columns that have one [N, f], dates' cycles."""

    def row(attribute: str) -> str:
        return nodes.constant(np.array([[getattr(column, attribute) for column in columns]], dtype=np.float64))

    values = nodes.add("Concat", *names, axis=1)
    missing = nodes.add("IsNaN", values)
    filled = nodes.add("Where", missing, row("fill"), values)
    scaled = nodes.add("Div", nodes.add("Sub", filled, row("mean")), row("std"))
    blocks = [nodes.add("Cast", scaled, to=TensorProto.FLOAT)]
    flagged = [i for i, column in enumerate(columns) if column.flags_missing]
    if flagged:
        picked = nodes.add("Gather", missing, nodes.constant(np.array(flagged, dtype=np.int64)), axis=1)
        blocks.append(nodes.add("Cast", picked, to=TensorProto.FLOAT))
    return blocks + _cycles(nodes, filled, columns)


def _cycles(nodes: Nodes, filled: str, columns: list[Number | Date]) -> list[str]:
    """Sines and cosines of where dates are in their cycles, [N, c] each, float32; none without dates."""
    dates = [
        (i, period) for i, column in enumerate(columns) if isinstance(column, Date) for period in column.periods
    ]
    if not dates:
        return []
    places, periods = (np.array(part) for part in zip(*dates, strict=True))
    seconds = nodes.add("Gather", filled, nodes.constant(places.astype(np.int64)), axis=1)
    period = nodes.constant(periods[None].astype(np.float64))
    phase = nodes.add("Div", nodes.add("Mod", seconds, period, fmod=1), period)
    angle = nodes.add("Mul", phase, nodes.constant(np.array([[2 * np.pi]])))
    return [nodes.add("Cast", nodes.add(name, angle), to=TensorProto.FLOAT) for name in ("Sin", "Cos")]


def _category(nodes: Nodes, name: str, column: Category) -> str:
    """One 0/1 feature a category, the missing word as one more where missing is flagged; [N, width]."""
    words = [*column.categories, *([missing_word(column)] if column.flags_missing else [])]
    hot = nodes.add("OneHotEncoder", name, domain=WORDS_DOMAIN, cats_strings=words, zeros=1)  # [N, 1, width]
    return nodes.add("Squeeze", hot, nodes.constant(np.array([1], dtype=np.int64)))
