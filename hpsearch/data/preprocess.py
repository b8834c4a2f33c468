"""From raw columns to the float32 numbers a net sees; everything is fitted on the training part alone.

A number is standardised, a missing one becomes the training median. A category becomes one 0/1 column a
category known from training; a missing or unknown category is all zeros. `categories` reads the values. A date
becomes its standardised seconds and the sine and cosine of where it is in the day, the week and the year. A column
that has missing values in training gets a 0/1 column that says so. Arrays are standardised: flat ones a feature,
others a channel.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.data import categories, formats, ranges
from hpsearch.data.cycles import CYCLES, cycles_of, phase
from hpsearch.data.formats import Format
from hpsearch.data.ranges import Range
from hpsearch.data.readings import Reading, read_as
from hpsearch.errors import UserError
from hpsearch.nets.shape import Layout
from hpsearch.study import Data

_ROUNDING = 1e-12  # of a feature's size: what varies by less is constant
_LOST = 100 * np.finfo(np.float32).eps / 2  # float32 rounds by a hundredth of a spread of this share of the size
_AT_ONCE = 256  # rows of arrays, which may be large images
_OTHER_COLUMN = "name the word in data.missing, or the column in data.categorical"


@dataclass(frozen=True)
class Number:
    """`seen`: the training values, without the missing ones.

    `format`: how the column's texts are read as numbers; None where they are plain numbers.
    """

    name: str
    mean: float
    std: float
    fill: float
    flags_missing: bool
    seen: Range | None = None
    format: Format | None = None

    @property
    def width(self) -> int:
        return 1 + self.flags_missing

    @property
    def is_number(self) -> tuple[bool, ...]:
        """Of each of its inputs, whether that is a number rather than a marker."""
        return (True, *[False] * self.flags_missing)


@dataclass(frozen=True)
class Date:
    """Points in time, in seconds since 1970 UTC, or times of day, in seconds since midnight.

    Its inputs: the standardised seconds, a marker where values are missing in training, the sines of the `cycles`
    that it varies in, their cosines. `seen`: the training values, without the missing ones.
    """

    name: str
    format: Format
    mean: float
    std: float
    fill: float
    flags_missing: bool
    cycles: tuple[str, ...]
    seen: Range | None = None

    @property
    def width(self) -> int:
        return len(self.is_number)

    @property
    def is_number(self) -> tuple[bool, ...]:
        """Of each of its inputs, whether that is a number rather than a marker."""
        return (True, *[False] * self.flags_missing, *[True] * (2 * len(self.cycles)))

    @property
    def periods(self) -> tuple[float, ...]:
        """The seconds of each cycle."""
        return tuple(CYCLES[name] for name in self.cycles)


@dataclass(frozen=True)
class Category:
    """`text`: of older exports, where a text is only the category that it spells."""

    name: str
    categories: tuple[str, ...]
    flags_missing: bool
    text: bool = False

    @property
    def width(self) -> int:
        return len(self.categories) + self.flags_missing

    def codes(self, series: pd.Series, place: str) -> np.ndarray:
        """Return for each row the index of its category, `categories.MISSING` or `categories.UNSEEN`, [N]."""
        return categories.codes(series, self.categories, self.text, place)

    def read(self, series: pd.Series, place: str) -> np.ndarray:
        """Return for each row its category, None for a missing value, the canonical text of an unseen one, [N]."""
        return categories.read(series, self.categories, self.text, place)


Column = Number | Category | Date


@dataclass(frozen=True)
class TableSchema:
    """The columns of a table, in the order in which a net sees them."""

    columns: tuple[Column, ...]

    @property
    def category_names(self) -> list[str]:
        """The columns of categories, which are text in a CSV."""
        return [column.name for column in self.columns if isinstance(column, Category)]

    @property
    def text_names(self) -> list[str]:
        """The columns that are text in a CSV: categories, and numbers and dates in words."""
        return [c.name for c in self.columns if isinstance(c, Category) or c.format is not None]

    def transform(self, table: pd.DataFrame, place: str) -> np.ndarray:
        """Float32 [N, D].

        Raises:
            UserError: a column is missing, or a number is not one.
        """
        absent = [column.name for column in self.columns if column.name not in table]
        if absent:
            raise UserError(
                f"{place}: the column {absent[0]!r} is missing; the table has {', '.join(map(str, table))}"
            )
        blocks: list[np.ndarray] = []
        for column in self.columns:
            blocks.append(_block(column, table[column.name], place))
        return np.concatenate(blocks, axis=1, dtype=np.float32)

    def layout(self) -> Layout:
        """What each column of the transformed table is."""
        widths = [column.width for column in self.columns]
        number = [
            flag
            for column in self.columns
            for flag in ([False] * column.width if isinstance(column, Category) else column.is_number)
        ]
        return Layout(np.repeat(np.arange(len(widths)), widths), np.array(number, dtype=bool))


@dataclass(frozen=True)
class ArraySchema:
    """Arrays of one shape; mean and std one a feature (flat) or a channel (first axis), or a single one.

    `seen`: the training values of each feature or channel. `dtype`: the type of the arrays in training.
    """

    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    seen: tuple[Range, ...] = ()
    dtype: str = ""

    def shaped(self, x: np.ndarray, place: str) -> np.ndarray:
        """[N, *shape], from that, from flat rows, or from grey images without their channel.

        Raises:
            UserError: they have another shape. One of the same size may be images with their channels last.
        """
        grey = len(self.shape) == 3 and self.shape[0] == 1
        if x.shape[1:] not in (self.shape, (int(np.prod(self.shape)),), self.shape[1:] if grey else self.shape):
            raise UserError(f"{place}: x must be [N, {', '.join(map(str, self.shape))}], got {list(x.shape)}")
        return x.reshape(len(x), *self.shape)

    def scale(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and spread, to be taken off these arrays: in double where they are of more digits than float32."""
        kind, tail = np.dtype("f8" if x.dtype.itemsize > 4 else "f4"), (1,) * (len(self.shape) - 1)
        mean, std = (np.array(v, dtype=kind).reshape(-1, *tail) for v in (self.mean, self.std))
        return mean, std

    def transform(self, x: np.ndarray, place: str) -> np.ndarray:
        """Float32 [N, *shape], from what `shaped` takes."""
        x = self.shaped(x, place)
        mean, std = self.scale(x)
        found = np.empty(x.shape, dtype=np.float32)
        for start in range(0, len(x), _AT_ONCE):
            with np.errstate(over="ignore"):  # becomes infinity, and is refused as such
                found[start : start + _AT_ONCE] = (x[start : start + _AT_ONCE] - mean) / std
        if not np.isfinite(found).all():
            row = int(np.argwhere(~np.isfinite(found))[0][0])
            raise UserError(f"{place}: x holds NaN, infinity or what float32 cannot hold in row {row}")
        return found


Schema = TableSchema | ArraySchema


def values(column: Number | Date, series: pd.Series, place: str) -> np.ndarray:
    """A column of numbers or dates as float64, missing as NaN, read by its format where it has one.

    Raises:
        UserError: a row does not fit.
    """
    return by_format(series, column.format, place)


def by_format(series: pd.Series, form: Format | None, place: str, advice: str = _OTHER_COLUMN) -> np.ndarray:
    """A column of numbers as float64, missing as NaN, by a format or as plain numbers.

    Raises:
        UserError: a row does not fit.
    """
    return numbers(series, place, advice) if form is None else formats.require(series, form, place)


def numbers(series: pd.Series, place: str, advice: str = _OTHER_COLUMN) -> np.ndarray:
    """A column as float64, missing as NaN; what is not a number is refused with its row and `advice`."""
    if is_time(series):
        raise UserError(f"{place}: the column {series.name!r} holds times, and should hold numbers")
    out = as_floats(series)
    wrong = np.flatnonzero(series.notna().to_numpy(dtype=bool) & np.isnan(out))
    if len(wrong):
        row = int(wrong[0])
        told = formats.placeholder_advice(series.iloc[wrong]) if advice == _OTHER_COLUMN else ""
        raise UserError(
            f"{place}: the column {series.name!r} holds numbers, but row {row} has {series.iloc[row]!r}; "
            f"{advice}{told}"
        )
    if np.isinf(out).any():
        raise UserError(
            f"{place}: the column {series.name!r} holds infinity in row {int(np.flatnonzero(np.isinf(out))[0])}"
        )
    return out


def as_floats(series: pd.Series) -> np.ndarray:
    """Return a column as float64 [N]; what is no number is NaN, as is what is missing."""
    if isinstance(series.dtype, pd.ArrowDtype) and series.dtype.kind not in "iufb":
        series = series.astype(object)  # pandas reads no text, decimals or dictionaries of Arrow as numbers
    values = pd.to_numeric(series, errors="coerce").astype("float64")
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))


def _block(column: Column, series: pd.Series, place: str) -> np.ndarray:
    """The inputs that a net sees of one column, [N, width]."""
    if isinstance(column, Category):
        return _category_block(column, column.codes(series, place))
    found = values(column, series, place)
    return _date_block(column, found) if isinstance(column, Date) else _number_block(column, found)


def _number_block(column: Number, values: np.ndarray) -> np.ndarray:
    missing = np.isnan(values)
    scaled = (np.where(missing, column.fill, values) - column.mean) / column.std
    return np.stack([scaled, missing], axis=1) if column.flags_missing else scaled[:, None]


def _date_block(column: Date, values: np.ndarray) -> np.ndarray:
    filled = np.where(np.isnan(values), column.fill, values)[:, None]
    angle = 2 * np.pi * phase(filled, np.array(column.periods))
    flag = [np.isnan(values)[:, None]] if column.flags_missing else []
    return np.concatenate([(filled - column.mean) / column.std, *flag, np.sin(angle), np.cos(angle)], axis=1)


def _category_block(column: Category, codes: np.ndarray) -> np.ndarray:
    wanted = [*range(len(column.categories)), *([categories.MISSING] if column.flags_missing else [])]
    return np.asarray(codes[:, None] == np.array(wanted, dtype=np.int64), dtype=np.float32)


def is_categorical(series: pd.Series, named: Sequence[str]) -> bool:
    """Named so, boolean, categorical, or text that is mostly not numbers; not a column without any value."""
    present = series.dropna()
    if series.name in named or len(present) == 0:
        return series.name in named
    if _is_dictionary(series) or pd.api.types.is_bool_dtype(series):
        return True
    if pd.api.types.is_numeric_dtype(series):
        return False
    numeric = ~np.isnan(as_floats(present))
    if present.dtype == object:  # pandas would take True for 1
        numeric = numeric & np.array([not isinstance(value, bool | np.bool_) for value in present])
    return bool(numeric.mean() < 0.5)


def _is_dictionary(series: pd.Series) -> bool:
    """Whether the column's type says that its values are categories; a dictionary is Arrow's name for it."""
    dtype = series.dtype
    return isinstance(dtype, pd.CategoricalDtype) or str(dtype).startswith("dictionary<")


def fit_table(
    table: pd.DataFrame,
    categorical: Sequence[str],
    train: np.ndarray,
    place: str,
    readings: Mapping[str, Reading] | None = None,
) -> TableSchema:
    """The schema of a table without its target, fitted on the rows `train`.

    `readings`: how each column is read, where that has been recognised.
    """
    readings = read_as(table, Data(categorical=list(categorical)), place) if readings is None else readings
    return TableSchema(tuple(_fit(table[name], categorical, train, place, readings[str(name)]) for name in table))


def _fit(series: pd.Series, categorical: Sequence[str], train: np.ndarray, place: str, reading: Reading) -> Column:
    if reading.format is not None:
        make = _fit_date if reading.format.is_date else _fit_number
        return make(series, train, place, reading.format)
    refuse_strange(series, place)
    if reading.words or is_categorical(series, categorical):
        return _fit_category(series, train)
    return _fit_number(series, train, place, None)


_NESTED = (list, dict, tuple, set, bytes, np.ndarray)
_STRANGE = (*_NESTED, datetime.date, datetime.time, datetime.timedelta)


def is_time(series: pd.Series) -> bool:
    """Whether a column holds points or spans of time, which pandas would turn into nanoseconds."""
    return bool(pd.api.types.is_datetime64_any_dtype(series) or pd.api.types.is_timedelta64_dtype(series))


def refuse_strange(series: pd.Series, place: str, times: bool = False) -> None:
    """Numbers, words and booleans are what a column is made of; where they are allowed also times.

    Raises:
        UserError: it holds something else.
    """
    kinds = _NESTED if times else _STRANGE
    strange = next((v for v in series if isinstance(v, kinds) and not isinstance(v, type(pd.NaT))), None)
    if not times and is_time(series):
        strange = series.iloc[0]
    if strange is not None:
        raise UserError(
            f"{place}: the column {series.name!r} holds {type(strange).__name__} values; "
            "a column holds numbers, words, or true and false"
        )


def _fit_number(series: pd.Series, train: np.ndarray, place: str, form: Format | None) -> Number:
    values = by_format(series, form, place)[train]
    return Number(str(series.name), *_moments(values), ranges.of_values(values), form)


def _fit_date(series: pd.Series, train: np.ndarray, place: str, form: Format) -> Date:
    values = by_format(series, form, place)[train]
    known = values[~np.isnan(values)]
    return Date(str(series.name), form, *_moments(values), cycles_of(known, form.name), ranges.of_values(values))


def _moments(values: np.ndarray) -> tuple[float, float, float, bool]:
    """Mean, spread and median of values whose missing ones are the median, and whether some are missing."""
    known = values[~np.isnan(values)]
    fill = float(np.median(known)) if len(known) else 0.0
    filled = np.where(np.isnan(values), fill, values)
    return float(filled.mean()), _spread(filled), fill, len(known) < len(values)


def _fit_category(series: pd.Series, train: np.ndarray) -> Category:
    rows = series.iloc[train]
    return Category(str(series.name), categories.fit(rows), bool(rows.isna().any()))


def fit_array(x: np.ndarray, train: np.ndarray, place: str) -> ArraySchema:
    """The schema of arrays, fitted on the rows `train`.

    Raises:
        UserError: what varies in a feature is smaller than what float32 can tell apart at its size.
    """
    axes = (0,) if x.ndim == 2 else (0, *range(2, x.ndim))
    runs = np.array_split(train, max(len(train) // _AT_ONCE, 1))
    count = len(train) * int(np.prod(x.shape[2:]))
    mean = sum(x[some].sum(axes, dtype=np.float64) for some in runs) / count
    apart = (x[some] - mean.reshape(-1, *(1,) * (x.ndim - 2)) for some in runs)
    std = np.sqrt(sum(np.square(block).sum(axes) for block in apart) / count)
    size = np.max([np.abs(x[some]).max(axes) for some in runs], axis=0)
    varies = std > _ROUNDING * size
    lost = np.flatnonzero(varies & (std < _LOST * size))
    if x.dtype.itemsize > 4 and len(lost):
        raise UserError(
            f"{place}: x: {'feature' if x.ndim == 2 else 'channel'} {lost[0]} varies by {std[lost[0]]:.3g} around "
            f"{mean[lost[0]]:.9g}, which is lost in float32, as arrays are trained on; take its offset off first"
        )
    seen = ranges.of_arrays(x, train, mean, std)
    std = np.where(varies, std, 1.0)
    return ArraySchema(x.shape[1:], tuple(mean.tolist()), tuple(std.tolist()), seen, str(x.dtype))


def _spread(values: np.ndarray) -> float:
    std = float(values.std())
    return std if std > _ROUNDING * float(np.abs(values).max()) else 1.0


def to_json(schema: Schema) -> dict[str, Any]:
    if isinstance(schema, ArraySchema):
        return {"kind": "array", **asdict(schema)}
    kinds = {Number: "number", Category: "category", Date: "date"}
    return {"kind": "table", "columns": [{"kind": kinds[type(c)], **asdict(c)} for c in schema.columns]}


def from_json(value: dict[str, Any]) -> Schema:
    if value["kind"] == "array":
        seen, dtype = ranges.all_from_json(value["seen"]), value["dtype"]
        return ArraySchema(tuple(value["shape"]), tuple(value["mean"]), tuple(value["std"]), seen, dtype)
    kinds: dict[str, type[Column]] = {"number": Number, "category": Category, "date": Date}
    return TableSchema(tuple(kinds[entry["kind"]](**_fields(entry)) for entry in value["columns"]))


def _fields(entry: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items() if k != "kind"}
    if "seen" in fields:
        fields["seen"] = ranges.from_json(fields["seen"])
    return fields | ({"format": Format(**fields["format"])} if fields.get("format") else {})
