"""The same rows in other types: each column of a drawn table in every form that pandas and Arrow have."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

Cells = list[Any]  # Python's ints, floats, bools and texts, None where a value is missing
Form = Callable[[Cells], pd.Series]


def _each(convert: Callable[[Any], Any], dtype: Any = object) -> Form:
    return lambda cells: pd.Series([None if cell is None else convert(cell) for cell in cells], dtype=dtype)


def _numpy(dtype: str) -> Form:
    return lambda cells: pd.Series([np.nan if cell is None else cell for cell in cells], dtype=dtype)


def _arrow(kind: pa.DataType | None) -> Form:
    def convert(cells: Cells) -> pd.Series:
        array = pa.array(cells) if kind is None else pa.array(cells, kind)
        array = array.dictionary_encode() if kind is None else array
        return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([array])))

    return convert


def _as_category(form: Form) -> Form:
    return lambda cells: form(cells).astype("category")


def _exactly(dtype: str, with_gaps: str) -> Form:
    return lambda cells: pd.Series(cells, dtype=with_gaps if None in cells else dtype)


_TEXTS: list[Form] = [
    _each(str), _each(np.str_), _each(str, "string"), _each(str, "str"), _as_category(_each(str)),
    lambda cells: _arrow(pa.string())([None if cell is None else str(cell) for cell in cells]),
    lambda cells: _arrow(None)([None if cell is None else str(cell) for cell in cells]),
    lambda cells: pd.Series(["" if cell is None else str(cell) for cell in cells], dtype="str"),
]  # fmt: skip
_INTEGERS: list[Form] = [
    _each(int), _each(np.int64), _each(Decimal), _exactly("int64", "Int64"), _arrow(pa.int64()),
    _arrow(pa.decimal128(25, 2)),
]  # fmt: skip
_EXACT: list[Form] = [*_INTEGERS, _arrow(None), _as_category(_each(int, "Int64")), *_TEXTS]
_FLOATS: list[Form] = [
    _each(float), _numpy("float64"), _each(float, "Float64"), _arrow(pa.float64()), _each(np.float32),
    _numpy("float32"), _each(float, "Float32"), _arrow(pa.float32()), _each(lambda cell: Decimal(str(cell))),
]  # fmt: skip
_WHOLE: list[Form] = [
    *_EXACT, *_FLOATS, _as_category(_numpy("float64")), _each(lambda cell: f"{cell}.0", "str"),
    _each(lambda cell: f"{cell}.00"), _each(lambda cell: Decimal(f"{cell}.00")),
]  # fmt: skip
_FRACTIONS: list[Form] = [*_FLOATS, _as_category(_numpy("float64")), *_TEXTS]
_BOOLEANS: list[Form] = [
    _each(bool), _each(np.bool_), _exactly("bool", "boolean"), _arrow(pa.bool_()), _as_category(_each(bool)),
    _each(lambda cell: str(cell).lower(), "str"), _each(lambda cell: str(cell).upper(), "str"), *_TEXTS,
]  # fmt: skip
_MIXED: list[Form] = [_each(lambda cell: cell), *_TEXTS]

# what a column holds: its values, its forms, and whether a study has to name it as categorical
KINDS: dict[str, tuple[Sequence[Any], Sequence[Form], bool]] = {
    "whole": (range(-2, 12), _WHOLE, True),
    "large": ([2**53, 2**53 + 1, 2**53 + 2, -(2**53) - 1, 7], _EXACT, True),
    "fractions": ([0.1, 0.5, -2.25, 1e-3, 3.0, 0.30000001192092896], _FRACTIONS, True),
    "named booleans": ([True, False], _BOOLEANS, True),
    "booleans": ([True, False], _BOOLEANS, False),
    "words": (["red", "Red", "red ", "NaN", "None", "é", "a,b", "1 2", "true", "nan"], _TEXTS, False),
    "codes": (["007", "7", "12", "+7", " 7", "1e3", "0x1"], _TEXTS, True),
    "versions": (["1.1", "1.10", "2.0", "2"], _TEXTS, True),
    "mixed": (["a", 1, 2.5, True, "01", 3.0], _MIXED, True),
    "dates": (["2026-03-01", "2026-03-02", "1.3.2026"], _TEXTS, True),
    "measured": (range(-50, 50), [*_INTEGERS, *_FLOATS], False),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Two data frames of the same rows, and which of their columns a study has to name as categorical."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=2))
    rows = 12
    frames, named = (pd.DataFrame(index=range(rows)), pd.DataFrame(index=range(rows))), []
    for i, kind in enumerate(kinds):
        values, forms, is_named = KINDS[kind]
        gaps = [None] * draw(st.integers(0, 2))
        cells = draw(st.lists(st.sampled_from([*values, *gaps]), min_size=rows, max_size=rows))
        for frame in frames:
            frame[f"{kind} {i}"] = draw(st.sampled_from(forms))(cells).array
        named += [f"{kind} {i}"] * is_named
    return *frames, named
