"""What a loader may return: each kind of thing is read rightly, or refused by name with what to do."""

import array
import collections
import datetime
import enum
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
import torch
from PIL import Image

from hpsearch.data.load import Dataset, load
from hpsearch.data.own import read_own
from hpsearch.data.raw import Raw
from hpsearch.errors import UserError
from hpsearch.study import Data

N = 30
X = np.arange(2.0 * N).reshape(N, 2)
Y = np.arange(N) % 2
WORDS = np.where(Y == 1, "yes", "no")


def read(value: Any) -> Raw:
    return read_own(lambda: value, "my:load", "s: data.source", str)


def loaded(value: Any, **data: Any) -> Dataset:
    """Through a study's whole reading, with a loader that returns the value."""

    class Given:
        spec, file = "my:load", Path("my.py")

        def load(self, where: str) -> Callable[[], Any]:
            return lambda: value

    return load(Data.model_validate({"source": "my:load", **data}), Path(), "s", Given())  # type: ignore[arg-type]


class Colour(enum.Enum):
    RED = "red"


class WordEnum(str, enum.Enum):  # noqa: UP042
    RED = "red"


class Stream:
    """A table that hands itself over as Arrow data, as one of polars does."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


class Frame:
    """A table of a library that turns its own into pandas'."""

    def to_pandas(self) -> pd.DataFrame:
        return pd.DataFrame({"a": X[:, 0], "y": Y})


def with_first(values: Any, first: Any) -> list[Any]:
    return [first, *list(values)[1:]]


def masked(values: Any, row: int | None = 3) -> np.ma.MaskedArray:
    found = np.ma.array(values, mask=np.zeros(np.shape(values), dtype=bool))
    if row is not None:
        found[row] = np.ma.masked
    return found


# --- inputs -----------------------------------------------------------------------------------------------------

INPUTS_READ: dict[str, Any] = {
    "float64": X,
    "float32": X.astype(np.float32),
    "float16": X.astype(np.float16),
    "long double": X.astype(np.longdouble),
    "big endian": X.astype(">f8"),
    "Fortran order": np.asfortranarray(X),
    "read only": np.frombuffer(X.tobytes()).reshape(N, 2),
    "negative strides": X[::-1][::-1],
    "int8": X.astype(np.int8),
    "uint64": X.astype(np.uint64),
    "matrix": np.asmatrix(X),
    "masked, nothing hidden": masked(X, None),
    "list of lists": X.tolist(),
    "tuple of arrays": tuple(X),
    "deque": collections.deque(X.tolist()),
    "list of array.array": [array.array("d", row) for row in X],
    "list of Series": [pd.Series(row) for row in X],
    "memoryview": memoryview(X),
    "objects of numbers": X.astype(object),
    "decimals": [[Decimal(a), Fraction(b)] for a, b in X.astype(int).tolist()],
    "tensor": torch.tensor(X),
    "tensor that requires grad": torch.tensor(X, requires_grad=True),
    "parameter": torch.nn.Parameter(torch.tensor(X)),
    "float16 tensor": torch.tensor(X).half(),
    "bfloat16 tensor": torch.tensor(X).bfloat16(),
    "list of tensors": list(torch.tensor(X)),
    "list of bfloat16 tensors": list(torch.tensor(X).bfloat16()),
    "negated tensor": torch.view_as_complex(torch.tensor(np.stack([X, -X], 2))).conj().imag,
    "sparse tensor": torch.tensor(X).to_sparse(),
    "csr tensor": torch.tensor(X).to_sparse_csr(),
    "csr matrix": scipy.sparse.csr_matrix(X),
    "csc array": scipy.sparse.csc_array(X),
    "coo": scipy.sparse.coo_matrix(X),
    "DataFrame": pd.DataFrame(X),
    "DataFrame of several dtypes": pd.DataFrame(X).astype({0: "float32", 1: "int64"}),
    "nullable": pd.DataFrame(X).astype("Float64"),
    "pyarrow columns": pd.DataFrame(X).astype("double[pyarrow]"),
    "sparse columns": pd.DataFrame(X).astype("Sparse[float]"),
    "columns of levels": pd.DataFrame(X, columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])),
    "index twice": pd.DataFrame(X, index=[0] * N),
    "pyarrow table": pa.table({"a": X[:, 0], "b": X[:, 1]}),
    "Arrow stream": Stream(pa.table({"a": X[:, 0], "b": X[:, 1]})),
}

INPUTS_REFUSED: dict[str, tuple[Any, str]] = {
    "masked": (masked(X), "x is a masked array that hides 2 values, the first in row 3; fill them"),
    "list of masked": ([*X[:3], masked(X[3], 0), *X[4:]], "x: row 3 is a masked array that hides 1 values"),
    "masked within lists": ([[0.0, np.ma.masked], *X.tolist()[1:]], "x: row 0: row 1 is a masked array"),
    "complex": (X * 1j, "x holds complex numbers (complex128); give their real and imaginary part"),
    "complex tensor": (torch.tensor(X * 1j), "x holds complex numbers"),
    "bytes": (X.astype("S"), "x must be numbers, one row an example, got |S"),
    "words": (X.astype(str), "x must be numbers, one row an example, got <U"),
    "numpy strings": (
        X.astype(np.dtypes.StringDType()),
        "x must be numbers, one row an example, got StringDType()",
    ),
    "points of time": (
        X.astype("M8[s]"),
        "x holds points of time (datetime64[s]); give numbers, such as the days",
    ),
    "spans of time": (X.astype("m8[s]"), "x holds spans of time (timedelta64[s]); give numbers, such as seconds"),
    "records": (
        np.zeros(N, dtype=[("a", float), ("b", int)]),
        "x holds records of several fields (a, b); give a DataFrame",
    ),
    "recarray": (np.rec.fromarrays(X.T, names="a,b"), "x holds records of several fields (a, b)"),
    "masked records": (np.ma.zeros(N, dtype=[("a", float)]), "x holds records of several fields (a)"),
    "void": (np.zeros((N, 2), dtype="V4"), "x holds records of several fields (|V4)"),
    "objects": ([[1.0, "a"], *X.tolist()[1:]], "x must be numbers, but row 0 has 'a' of type str"),
    "objects of times": (
        [[1.0, datetime.date(2026, 1, 1)], *X.tolist()[1:]],
        "x must be numbers, but row 0 has datetime.date(2026",
    ),
    "spans among numbers": ([[1.0, np.timedelta64(1, "s")], *X.tolist()[1:]], "x must be numbers, but row 0 has "),
    "missing": ([[1.0, None], *X.tolist()[1:]], "x holds NaN or infinity in row 0"),
    "nullable with a missing one": (
        pd.DataFrame(X).astype("Int64").mask(np.arange(2 * N).reshape(N, 2) == 9),
        "x holds NaN or infinity in row 4",
    ),
    "infinity": (np.where(X == 7, -np.inf, X), "x holds NaN or infinity in row 3"),
    "ragged": ([[1.0], *X.tolist()[1:]], "x holds values of several shapes: [1], [2]"),
    "column of categories": (
        pd.DataFrame({"a": X[:, 0], "c": pd.Categorical(Y)}),
        "x: the column 'c' holds categories; give one DataFrame with the target among its columns",
    ),
    "column of words": (
        pd.DataFrame({"a": X[:, 0], "c": WORDS}),
        "x must be numbers, but row 0 has 'no' of type str",
    ),
    "column of times": (
        pd.DataFrame({"a": X[:, 0], "c": pd.date_range("2026", periods=N)}),
        "x must be numbers, but row 0 has Timestamp('2026-01-01",
    ),
    "column of periods": (
        pd.DataFrame({"a": X[:, 0], "c": pd.period_range("2026", periods=N)}),
        "x must be numbers, but row 0 has Period(",
    ),
    "column of complex": (pd.DataFrame({"a": X[:, 0], "c": X[:, 0] * 1j}), "x holds complex numbers"),
    "set": ({1, 2}, "x is a set, which is no sequence of rows; give an array"),
    "mapping": ({"a": X}, "x is a dict, which is no sequence of rows"),
    "dict view": (dict(enumerate(X)).values(), "x is a dict_values, which is no sequence"),
    "generator": ((row for row in X), "x is a generator, which is used up by reading; give list(…) of it"),
    "zip": (zip(X, X, strict=True), "x is a zip, which is used up by reading"),
    "None": (None, "x is None; give an array, a tensor"),
    "text": ("file.npy", "x is a str, which is no sequence of rows"),
    "number": (3, "x is an int; give an array"),
    "one axis": (X[:, 0], "x must be numbers, one row an example, got float64 [30]"),
    "no rows": (X[:0], "x must be numbers, one row an example, got float64 [0, 2]"),
    "meta tensor": (torch.zeros(N, 2, device="meta"), "x is a tensor on the meta device, which holds no values"),
    "large sparse": (
        scipy.sparse.csr_matrix((10**6, 10**6)),
        "x is sparse, and all [1000000, 1000000] of its numbers would fill",
    ),
    "other": (object(), "x is an object; give an array, a tensor, a data frame or a list"),
}


@pytest.mark.parametrize("name", INPUTS_READ)
def test_inputs_of_many_kinds_are_their_numbers(name: str) -> None:
    raw = read((INPUTS_READ[name], Y))
    assert raw.x is not None
    assert raw.x.dtype.kind in "fiu" and raw.x.dtype.isnative
    assert np.array_equal(np.asarray(raw.x, dtype=np.float64), X)
    assert loaded((INPUTS_READ[name], Y)).train.x.dtype == np.float32


@pytest.mark.parametrize("name", INPUTS_REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_other_inputs_are_refused(name: str) -> None:
    x, said = INPUTS_REFUSED[name]
    with pytest.raises(UserError) as caught:
        loaded((x, Y))
    assert said in str(caught.value)
    assert str(caught.value).startswith("s: data.source: ")


def test_truth_values_are_numbers() -> None:
    dataset = loaded((X % 3 == 0, Y))
    assert set(np.unique((dataset.train.x > 0).astype(int))) == {0, 1}


def test_pictures_of_pillow_are_read_as_files_are() -> None:
    pictures = [Image.new("RGBA", (4, 4), (i, 0, 0, 255)) for i in range(N)]
    raw = read((pictures, Y))
    assert raw.x is not None
    assert raw.x.shape == (N, 3, 4, 4)
    assert raw.x[:, 0, 0, 0].tolist() == list(range(N))


def test_pictures_of_16_bits_keep_them() -> None:
    pictures = [Image.fromarray(np.full((4, 4), 300 * i, dtype=np.uint16)) for i in range(N)]
    raw = read((pictures, Y))
    assert raw.x is not None
    assert raw.x[:, 0, 0, 0].tolist() == list(range(0, 300 * N, 300))


@pytest.mark.filterwarnings("ignore")
def test_quantised_tensors_are_their_numbers() -> None:
    raw = read((torch.quantize_per_tensor(torch.tensor(X).float(), 0.5, 0, torch.quint8), Y))
    assert np.array_equal(raw.x, X)  # type: ignore[arg-type]


# --- targets ----------------------------------------------------------------------------------------------------

BINARY = ("0", "1")
TARGETS_READ: dict[str, tuple[Any, tuple[str, ...]]] = {
    "int64": (Y, BINARY),
    "float": (Y.astype(float), BINARY),
    "float16": (Y.astype(np.float16), BINARY),
    "big endian": (Y.astype(">i4"), BINARY),
    "big endian floats": (Y.astype(">f8"), BINARY),
    "uint64 beyond 2**63": (Y.astype(np.uint64) + np.uint64(2**63), (str(2**63), str(2**63 + 1))),
    "large integers": ([2**63 + int(y) for y in Y], (str(2**63), str(2**63 + 1))),
    "true and false": (Y == 1, ("false", "true")),
    "objects of true and false": ((Y == 1).astype(object), ("false", "true")),
    "words": (WORDS, ("no", "yes")),
    "words with accents": (np.where(Y == 1, "ü", "é"), ("é", "ü")),
    "bytes": (WORDS.astype("S"), ("no", "yes")),
    "list of bytes": ([word.encode() for word in WORDS], ("no", "yes")),
    "numpy strings": (WORDS.astype(np.dtypes.StringDType()), ("no", "yes")),
    "objects of words": (WORDS.astype(object), ("no", "yes")),
    "list": (Y.tolist(), BINARY),
    "decimals": ([Decimal(int(y)) for y in Y], BINARY),
    "numpy scalars of several types": ([np.int8(0), *Y[1:].tolist()], BINARY),
    "tensor": (torch.tensor(Y), BINARY),
    "list of tensors": (list(torch.tensor(Y)), BINARY),
    "bfloat16 tensor": (torch.tensor(Y).bfloat16(), BINARY),
    "masked, nothing hidden": (masked(Y, None), BINARY),
    "Series": (pd.Series(Y, index=range(100, 100 + N)), BINARY),
    "Series of Int64": (pd.Series(Y, dtype="Int64"), BINARY),
    "Series of pyarrow": (pd.Series(Y, dtype="int64[pyarrow]"), BINARY),
    "Series of words": (pd.Series(WORDS), ("no", "yes")),
    "categories": (pd.Categorical(WORDS), ("no", "yes")),
    "categories of integers": (pd.Series(pd.Categorical(Y + 5)), ("5", "6")),
    "sparse column": (pd.Series(pd.arrays.SparseArray(Y)), BINARY),
    "index": (pd.Index(WORDS), ("no", "yes")),
    "pyarrow array": (pa.array(Y), BINARY),
    "pyarrow words": (pa.chunked_array([WORDS.tolist()]), ("no", "yes")),
    "one column": (Y[:, None], BINARY),
    "DataFrame of one column": (pd.DataFrame({"y": Y}), BINARY),
    "sparse": (scipy.sparse.csr_matrix(Y[:, None]), BINARY),
    "matrix": (np.asmatrix(Y).T, BINARY),
}

TARGETS_REFUSED: dict[str, tuple[Any, str]] = {
    "masked": (masked(Y), "y is a masked array that hides 1 values, the first in row 3"),
    "masked within a list": (with_first(Y, np.ma.masked), "y: row 0 is a masked array that hides 1 values"),
    "complex": (Y * 1j, "y holds complex numbers"),
    "complex objects": (with_first(Y, 1j), "y must be numbers, words, or true and false, but row 0 has 1j"),
    "NaN": (np.where(Y == 1, np.nan, 0), "15 rows have no target, the first is row 1"),
    "None": (with_first(Y, None), "1 rows have no target, the first is row 0"),
    "None among words": (with_first(WORDS, None), "1 rows have no target, the first is row 0"),
    "NaN among words": (with_first(WORDS, float("nan")), "1 rows have no target, the first is row 0"),
    "NA": (pd.Series(Y, dtype="Int64").mask(Y == 1), "15 rows have no target, the first is row 1"),
    "words and numbers": (
        with_first(Y, "a"),
        "y holds numbers (1 of type int) and words ('a' of type str); a target",
    ),
    "numbers and true": (with_first(Y, True), "y holds numbers (1 of type int) and true and false (True of type"),
    "bytes and words": (with_first(WORDS, b"no"), "y holds bytes (b'no' of type bytes) and words"),
    "bytes that are no text": (with_first([b"a"] * N, b"\xff"), "row 0 has b'\\xff', which is no UTF-8"),
    "points of time": (pd.date_range("2026", periods=N), "y holds points of time (datetime64"),
    "points of time in a zone": (
        pd.Series(pd.date_range("2026", periods=N, tz="UTC")),
        "but row 0 has Timestamp(",
    ),
    "spans of time": (Y.astype("m8[s]"), "y holds spans of time"),
    "objects of spans": ([np.timedelta64(1, "s")] * N, "y holds spans of time"),
    "periods": (pd.Series(pd.period_range("2026", periods=N)), "but row 0 has Period("),
    "intervals": (pd.cut(Y, 2), "but row 0 has Interval("),
    "dates": ([datetime.date(2026, 1, 1)] * N, "but row 0 has datetime.date(2026, 1, 1) of type date"),
    "records": (np.zeros(N, dtype=[("a", int)]), "y holds records of several fields (a)"),
    "enum": ([Colour.RED] * N, "but row 0 has <Colour.RED: 'red'> of type Colour"),
    "enum of words": ([WordEnum.RED] * N, "but row 0 has <WordEnum.RED: 'red'> of type WordEnum"),
    "integers of 65 bits": (
        [2**64, *Y.tolist()[1:]],
        "y holds 18446744073709551616, an integer of more than 64 bits",
    ),
    "integers of both ends": ([2**63, -1, *Y.tolist()[2:]], "an integer of more than 64 bits"),
    "one-hot": (np.eye(2)[Y], "got shape [30, 2], which is one-hot; give the classes, y.argmax(1)"),
    "one-hot tensor": (torch.nn.functional.one_hot(torch.tensor(Y)), "which is one-hot"),
    "several": (np.stack([Y, Y], 1), "got shape [30, 2]; several targets or labels an example are not supported"),
    "lists": ([[0, 1]] * N, "got shape [30, 2]"),
    "lists of several lengths": ([[0], [0, 1]] * 15, "y holds values of several shapes: [1], [2]"),
    "too short": (Y[:-1], "y must have one value a row of x (30), got shape [29]"),
    "single": (np.array(3), "y must have one value a row of x (30), got shape []"),
    "set": (set(range(N)), "y is a set, which is no sequence of rows"),
    "dict view": (dict.fromkeys(range(N), 1).keys(), "y is a dict_keys, which is no sequence of rows"),
    "generator": ((int(y) for y in Y), "y is a generator, which is used up by reading; give list(…) of it"),
}


@pytest.mark.parametrize("name", TARGETS_READ)
def test_targets_of_many_kinds_are_their_classes(name: str) -> None:
    y, classes = TARGETS_READ[name]
    dataset = loaded((X, y), task="classification")
    assert dataset.target.classes == classes
    found = np.concatenate([part.y for part in (dataset.train, dataset.validation, dataset.test)])
    index = np.concatenate([part.index for part in (dataset.train, dataset.validation, dataset.test)])
    assert np.array_equal(found, Y[index])


@pytest.mark.parametrize("name", TARGETS_REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_other_targets_are_refused(name: str) -> None:
    y, said = TARGETS_REFUSED[name]
    with pytest.raises(UserError) as caught:
        loaded((X, y))
    assert said in str(caught.value)
    assert str(caught.value).startswith("s: data.")


@pytest.mark.parametrize("y", [Y[:, None], pd.DataFrame({"y": Y}), [word.encode() for word in WORDS]])
def test_a_target_that_is_taken_otherwise_is_noted(y: Any) -> None:
    assert read((X, y)).notes[0] in ("y: [30, 1], taken as [30]", "y: bytes, read as UTF-8 words")


def test_a_range_is_its_values() -> None:
    assert read((X, range(N))).y.tolist() == list(range(N))  # type: ignore[union-attr]


def test_rows_that_are_labelled_in_another_order_are_refused() -> None:
    x, y = pd.DataFrame(X), pd.Series(Y)
    with pytest.raises(UserError, match=r"the same row labels in another order, .* give y\.loc\[x\.index\]"):
        read((x, y.iloc[::-1]))
    for other in (y.set_axis(range(5, 5 + N)), y.set_axis([0] * N), y):
        raw = read((x, other))
        assert raw.y is not None
        assert raw.y.tolist() == Y.tolist()


def test_parts_with_targets_of_several_kinds_are_refused() -> None:
    with pytest.raises(UserError, match="y holds numbers in train, words in test; a target is all numbers"):
        read({"train": (X, Y), "test": (X, Y.astype(str))})


# --- tables -----------------------------------------------------------------------------------------------------


def table(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": X[:, 0], **columns, "y": Y})


TABLES_READ: dict[str, Any] = {
    "pyarrow table": pa.table({"a": X[:, 0], "y": Y}),
    "record batch": pa.record_batch({"a": X[:, 0], "y": Y}),
    "Arrow stream": Stream(pa.table({"a": X[:, 0], "y": Y})),
    "of another library": Frame(),
    "index twice": table().set_axis([7] * N),
    "index of levels": table().set_axis(pd.MultiIndex.from_product([range(10), range(3)])),
    "sparse column": table().astype({"a": "Sparse[float]"}),
    "nullable column": table().astype({"a": "Int64"}),
    "pyarrow columns": table().convert_dtypes(dtype_backend="pyarrow"),
    "decimal column": table().assign(a=[Decimal(int(v)) for v in X[:, 0]]),
}

TABLES_REFUSED: dict[str, tuple[Any, str]] = {
    "complex": (table(b=X[:, 1] * 1j), "the column 'b' holds complex numbers; give their real and imaginary part"),
    "complex objects": (
        table(b=pd.Series(with_first([1.0] * N, 1j), dtype=object)),
        "the column 'b' holds complex values, the first in row 0",
    ),
    "bytes": (table(b=[b"a", b"b"] * 15), "the column 'b' holds bytes values, the first in row 0; .*decode"),
    "bytearrays": (table(b=[bytearray(b"a")] * N), "the column 'b' holds bytearray values"),
    "objects": (
        table(b=with_first([1.0] * N, object())),
        "the column 'b' holds object values, the first in row 0",
    ),
    "tensors": (table(b=list(torch.tensor(X))), "the column 'b' holds Tensor values"),
    "sets": (table(b=[frozenset([1])] * N), "the column 'b' holds frozenset values"),
    "functions": (table(b=[len] * N), "the column 'b' holds builtin_function_or_method values"),
    "lists": (table(b=[[1]] * N), "the column 'b' holds list values"),
    "lists of pyarrow": (
        pa.table({"a": [[1]] * N, "y": Y}).to_pandas(types_mapper=pd.ArrowDtype),
        "the column 'a' holds ",
    ),
    "structs": (pa.table({"a": [{"b": 1}] * N, "y": Y}), "the column 'a' holds dict values"),
    "categories of bytes": (table(b=pd.Categorical([b"a", b"b"] * 15)), "the column 'b' holds bytes values"),
    "columns of levels": (
        pd.DataFrame(X, columns=pd.MultiIndex.from_tuples([("a", "b"), ("y", "")])),
        "a DataFrame whose columns have 2 levels of names; give each one name",
    ),
    "names twice": (pd.DataFrame(X, columns=["y", "y"]), "a DataFrame with the column 'y' twice"),
    "names alike": (pd.DataFrame(X, columns=[1, "1"]), "a DataFrame with the column '1' twice"),
}


@pytest.mark.parametrize("name", TABLES_READ)
def test_tables_of_many_kinds_are_their_columns(name: str) -> None:
    dataset = loaded(TABLES_READ[name], target="y")
    assert (dataset.kind, dataset.train.x.shape[1]) == ("tables", 1)
    raw = read(TABLES_READ[name]).table
    assert raw is not None
    assert raw["a"].astype(float).tolist() == X[:, 0].tolist()


@pytest.mark.parametrize("name", TABLES_REFUSED)
def test_other_tables_are_refused(name: str) -> None:
    given, said = TABLES_REFUSED[name]
    with pytest.raises(UserError, match=f"^s: data.source: my:load.*{said}"):
        loaded(given, target="y")


def test_a_strange_column_may_be_dropped() -> None:
    assert loaded(table(b=[object()] * N), target="y", drop=["b"]).train.x.shape[1] == 1


def test_what_a_table_masks_is_missing() -> None:
    frame = pd.DataFrame({"a": masked(X[:, 0]), "y": Y})
    raw = read(frame).table
    assert raw is not None
    assert np.flatnonzero(raw["a"].isna()).tolist() == [3]
    whole = loaded(frame, target="y", split={"validation": 0.2, "test": 0.2})
    assert np.isfinite(whole.train.x).all()


# --- the whole --------------------------------------------------------------------------------------------------

WHOLE_REFUSED: dict[str, tuple[Any, str]] = {
    "nothing": (None, "gave None: it returns nothing; give a pair (x, y)"),
    "array": (X, "gave ndarray (an array alone has no targets)"),
    "tensor": (torch.tensor(X), "gave Tensor (a tensor alone has no targets)"),
    "sparse": (scipy.sparse.csr_matrix(X), "gave csr_matrix; give a pair"),
    "Series": (pd.Series(Y), "gave Series (give a DataFrame, or a pair)"),
    "text": ("data.csv", "gave str; give a pair"),
    "set": ({1, 2, 3}, "gave set; give a pair"),
    "generator": ((pair for pair in zip(X, Y, strict=True)), "gave generator; give a pair"),
    "three things": ((X, Y, Y), "gave 3 things; give a pair"),
    "bunch of sklearn": ({"data": X, "target": Y}, "gave a mapping of data, target (give the pair of the two)"),
    "mapping of x and y": ({"x": X, "y": Y}, "gave a mapping of x, y (give the pair of the two)"),
    "DataLoader": (
        torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.tensor(X))),  # type: ignore[arg-type]
        "gave DataLoader (give its .dataset)",
    ),
}


@pytest.mark.parametrize("name", WHOLE_REFUSED)
def test_what_is_no_data_is_refused(name: str) -> None:
    given, said = WHOLE_REFUSED[name]
    with pytest.raises(UserError) as caught:
        read(given)
    assert f"s: data.source: my:load {said}" in str(caught.value)


TWO_PARTS: dict[str, tuple[Any, Any]] = {
    "DataFrames of the same columns": (table(), table()),
    "Datasets": (torch.utils.data.TensorDataset(torch.tensor(X)), torch.utils.data.TensorDataset(torch.tensor(X))),
    "pairs": ((X, Y), (X[:9], Y[:9])),
}


@pytest.mark.parametrize("name", TWO_PARTS)
def test_two_parts_are_no_inputs_and_targets(name: str) -> None:
    with pytest.raises(UserError, match=f"gave two {name}; give a mapping of train and test to them"):
        read(TWO_PARTS[name])


def test_a_list_of_pairs_is_a_dataset() -> None:
    raw = read(list(zip(X, Y, strict=True)))
    assert np.array_equal(raw.x, X)  # type: ignore[arg-type]
    assert np.array_equal(raw.y, Y)  # type: ignore[arg-type]
