"""Compares the inputs of a prediction with those of training, over a whole file in one pass.

A message needs more than an outlier: values far outside the training range in a tenth of the rows, a majority
beyond four standard deviations, or a spread that is a small fraction of that of training.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, log10, prod

import numpy as np

from hpsearch.data.date_formats import shown
from hpsearch.data.preprocess import ArraySchema, Category, Date, Schema
from hpsearch.data.ranges import Range
from hpsearch.export.scales import scale_between

_SHARE, _FEWEST = 0.1, 3  # of the values, outside the range widened by half its span at each end
_MAJORITY, _DEVIATIONS = 0.5, 4.0
_MANY = 20  # rows, from which their spread and their majority mean something
_FEATURES = 0.05  # of flat arrays of fewer rows: so many features must lie outside
_NARROW = 0.05  # of the spread in training
_NEARLY, _VERY_MANY = 1.25, 100
_LEAST_SPAN = 0.25  # of the median span of all features of an array, which share a unit more often than not
_MOST_LINES, _MOST_EXAMPLES = 3, 3


@dataclass
class InputStatistics:
    """What the inputs of a prediction are, added up chunk by chunk."""

    schema: Schema
    names: Sequence[str]  # of the graph's inputs, one a column
    empties: Sequence[str]  # the word that means missing, one a column
    dtype: str = ""  # of the arrays as they are given
    _numbers: "_Numbers" = field(init=False)
    _words: "list[_Words]" = field(init=False)

    def __post_init__(self) -> None:
        if isinstance(self.schema, ArraySchema):
            kind = "feature" if len(self.schema.shape) == 1 else "channel"
            labels = [f"x, {kind} {i}" for i in range(len(self.schema.seen))]
            self._numbers, self._words = _Numbers(labels, self.schema.seen, f"{kind}s"), []
            return
        columns = list(zip(self.schema.columns, self.names, self.empties, strict=True))
        numbers = [(column, name) for column, name, _ in columns if not isinstance(column, Category)]
        dates = {c.name for c, _ in numbers if isinstance(c, Date) and c.format.name != "time"}
        self._numbers = _Numbers([c.name for c, _ in numbers], [c.seen for c, _ in numbers], "columns", dates)
        self._number_names = [name for _, name in numbers]
        self._required = [c.name for c, _ in numbers if not c.flags_missing]
        self._words = [_Words(c, name, empty) for c, name, empty in columns if isinstance(c, Category)]

    def add(self, feeds: Mapping[str, np.ndarray], dtype: str = "") -> None:
        """Adds a chunk, as the graph takes it."""
        self.dtype = dtype
        if isinstance(self.schema, ArraySchema):
            x = feeds[self.names[0]]
            self._numbers.add(x.reshape(*x.shape[:2], prod(x.shape[2:])), len(x))
            return
        if self._number_names:
            values_DN = np.stack([feeds[name][:, 0] for name in self._number_names])
            self._numbers.add(values_DN[None], values_DN.shape[1])
        for words in self._words:
            words.add(feeds[words.name])

    def messages(self) -> list[str]:
        """One line a kind and input, the worst first; the rest is counted."""
        if isinstance(self.schema, ArraySchema):
            given = self.dtype if self.dtype != self.schema.dtype else ""
            return self._numbers.messages(f" as {given}" if given else "")
        unseen = [words.message for words in self._words if words.unseen]
        return [*self._numbers.messages(), *_cut(unseen, "columns with such categories"), *self._missing()]

    def _missing(self) -> list[str]:
        counted = zip(self._numbers.labels, self._numbers.missing, strict=True)
        found = [(name, int(count)) for name, count in counted if count and name in self._required]
        found += [(w.column.name, w.missing) for w in self._words if w.missing and not w.column.flags_missing]
        if not found:
            return []
        told = ", ".join(f"{name} in {count}" for name, count in found[:_MOST_LINES])
        more = f", and in {len(found) - _MOST_LINES} more columns" if len(found) > _MOST_LINES else ""
        return [f"{told} of {self._rows} rows{more}: no value, and training had one in every row"]

    @property
    def _rows(self) -> int:
        return self._numbers.rows or max((words.rows for words in self._words), default=0)


@dataclass
class _Words:
    """A category column: rows whose category training never had, and rows without one."""

    column: Category
    name: str
    empty: str
    rows: int = 0
    unseen: int = 0
    missing: int = 0
    examples: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._known = {*self.column.categories, self.empty}

    def add(self, words_N1: np.ndarray) -> None:
        counts = Counter(words_N1[:, 0].tolist())
        self.rows += len(words_N1)
        self.missing += counts[self.empty]
        for word in counts.keys() - self._known:
            self.unseen += counts[word]
        for word in counts:
            if word not in self._known and len(self.examples) <= _MOST_EXAMPLES and word not in self.examples:
                self.examples.append(word)

    @property
    def message(self) -> str:
        shown = ", ".join(repr(word[:40]) for word in self.examples[:_MOST_EXAMPLES])
        more = ", …" if len(self.examples) > _MOST_EXAMPLES else ""
        rows = f"{self.unseen} of {self.rows} rows have" if self.rows > 1 else "the row has"
        return f"{self.column.name}: {rows} a category that training never had ({shown}{more})"


class _Numbers:
    """Number columns, features or channels: D inputs, of each the values of all rows."""

    def __init__(
        self, labels: Sequence[str], seen: Sequence[Range | None], kind: str, dates: Collection[str] = ()
    ) -> None:
        self.dates = dates
        self.labels, self.seen, self.kind, self.is_array = labels, seen, kind, kind != "columns"
        count = len(labels)
        bounds = [_bounds(one, _least_span(seen) if self.is_array else 0.0) for one in seen]
        self._bounds = np.array(bounds).reshape(count, 3, 2).transpose(1, 2, 0)[..., None]  # [3, 2, D, 1]
        self.rows = 0
        self.known, self.missing = np.zeros(count), np.zeros(count)
        self.outside = np.zeros((3, count))
        self.minimum, self.maximum = np.full(count, np.nan), np.full(count, np.nan)
        self.sum, self.squares = np.zeros(count), np.zeros(count)  # of the distances from training's mean
        self.whole = True
        self._centre_D1 = np.array([0.0 if one is None else one.mean for one in seen]).reshape(count, 1)

    def add(self, x_NDM: np.ndarray, rows: int) -> None:
        """Adds the values of so many rows, those of an input along the first and the last axis; NaN is missing."""
        if not x_NDM.size:
            return
        self.rows += rows
        with np.errstate(over="ignore", invalid="ignore"):
            low_D, high_D = np.fmin.reduce(x_NDM, axis=(0, 2)), np.fmax.reduce(x_NDM, axis=(0, 2))
            apart_NDM = x_NDM - self._centre_D1
            sum_D = apart_NDM.sum((0, 2))
            missing_D = np.zeros(len(sum_D))
            holes = np.flatnonzero(np.isnan(sum_D))
            if len(holes):
                blank = np.isnan(apart_NDM[:, holes])
                missing_D[holes] = blank.sum((0, 2))
                apart_NDM[:, holes] = np.where(blank, 0.0, apart_NDM[:, holes])
                sum_D[holes] = apart_NDM[:, holes].sum((0, 2))
            self.sum += sum_D
            self.squares += np.einsum("ndm,ndm->d", apart_NDM, apart_NDM)
        self.missing += missing_D
        self.known += len(x_NDM) * x_NDM.shape[2] - missing_D
        self.minimum, self.maximum = np.fmin(self.minimum, low_D), np.fmax(self.maximum, high_D)
        for place, (low, high) in enumerate(self._bounds):
            beyond = np.flatnonzero((low_D < low[:, 0]) | (high_D > high[:, 0]))  # the others need no count
            if len(beyond):
                x, ends = x_NDM[:, beyond], (low[beyond], high[beyond])
                self.outside[place, beyond] += ((x < ends[0]) | (x > ends[1])).sum((0, 2))
        if self.rows < _MANY:
            self.whole &= bool((x_NDM == np.rint(x_NDM)).all())

    def messages(self, given: str = "") -> list[str]:
        found = self._found()
        if not found:
            return []
        if self.is_array and len(found) > _MOST_LINES:
            widest = self._line(max(found, key=self._spread_of), given).removeprefix("x, ")
            return [
                f"x: {len(found)} of {len(self.labels)} {self.kind} lie far outside training, such as {widest}"
            ]
        return _cut([self._line(place, given) for place in found], "columns far outside training")

    def _spread_of(self, place: int) -> float:
        seen = self.seen[place]
        return 0.0 if seen is None else seen.std

    def _found(self) -> list[int]:
        """The places of the inputs that lie outside, the farthest first."""
        spread = np.array([0.0 if one is None else one.std for one in self.seen])
        far = [place for place in range(len(self.labels)) if self._is_outside(place)]
        if self.is_array and self.rows < _MANY and len(far) < _FEATURES * len(self.labels):
            far = []
        distance = np.abs(self._distance()) / np.where(spread > 0, spread, 1.0)
        return sorted({*far, *self._narrow(spread)}, key=lambda place: (-distance[place], place))

    def _is_outside(self, place: int) -> bool:
        """Whether an input's values are others than those of training, beyond outliers."""
        known, seen = self.known[place], self.seen[place]
        if seen is None or not known:
            return False
        near, wide, bulk = self.outside[:, place]
        if known < _FEWEST:
            return bool(seen.span > 0 and wide == known)
        least = min(known, max(ceil(_SHARE * known), _FEWEST + int(log10(len(self.labels)))))
        return bool(near >= least or (self.rows >= _MANY and bulk >= _MAJORITY * known))

    def _narrow(self, spread: np.ndarray) -> list[int]:
        """The places of inputs that vary by a small fraction of what they did in training.

        A file of equal or similar rows is narrow, too: half of the inputs must be, or their mean be that of
        training by the same common factor.
        """
        if self.rows < _MANY:
            return self._pooled_fraction()
        std = self._std()
        narrow = (self.minimum < self.maximum) & (std < _NARROW * spread)
        varying = (spread > 0).sum()
        if narrow.any() and narrow.sum() >= varying / 2 and (varying > 1 or self.kind == "channels"):
            return np.flatnonzero(narrow).tolist()
        return [int(place) for place in np.flatnonzero(narrow) if self._is_fraction(int(place))]

    def _is_fraction(self, place: int) -> bool:
        """Whether an input is that of training divided by a common factor: 100, 255, 1000.

        A mean that is zero is no evidence: then the spreads must agree better, and the rows be many.
        """
        seen = self.seen[place]
        assert seen is not None
        factor = self._factor(place)
        if factor is None:
            return False
        close = _NEARLY * factor > self._std()[place] / seen.std > factor / _NEARLY
        return abs(seen.mean) > 0.3 * seen.std or (close and self.rows >= _VERY_MANY)

    def _pooled_fraction(self) -> list[int]:
        """All inputs of a few pictures whose fractions would be the whole numbers of training, times a factor."""
        known = [one for one in self.seen if one is not None]
        if not self.is_array or not known or not all(one.whole for one in known) or self.whole:
            return []
        highest, span = np.nanmax(self.maximum), max(one.maximum for one in known)
        fits = highest > 0 and np.nanmin(self.minimum) >= 0 and min(one.minimum for one in known) >= 0
        return list(range(len(self.labels))) if fits and highest < _NARROW * span else []

    def _line(self, place: int, given: str) -> str:
        seen = self.seen[place]
        assert seen is not None
        low, high, mean = self.minimum[place], self.maximum[place], self._mean()[place]
        if self.labels[place] in self.dates:
            ends = [shown(float(seconds)) for seconds in (seen.minimum, seen.maximum, low, high)]
            had, has = f"dates from {ends[0]} to {ends[1]}", f"{ends[2]} to {ends[3]}"
            return f"{self.labels[place]}: training had {had}; these have {has}"
        had = f"values from {seen.minimum:.6g} to {seen.maximum:.6g} (mean {seen.mean:.4g})"
        had = f"the value {seen.minimum:.6g} alone" if seen.span == 0 else had
        has = f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g} (mean {mean:.4g})"
        return f"{self.labels[place]}: training had {had}; these have {has}{given}. {self._question(place)}"

    def _question(self, place: int) -> str:
        seen, std, mean = self.seen[place], self._std()[place], self._mean()[place]
        assert seen is not None
        factor, shift = self._factor(place), mean - seen.mean
        if factor is not None:
            told = f"{factor:g} times" if factor > 1 else f"1/{1 / factor:g} of"
            return f"Were they scaled alike? They look like {told} the training values"
        if self.rows >= _MANY and abs(mean) < 0.3 and 0.7 < std < 1.4 and not 0.7 < seen.std < 1.4:
            return (
                "They look standardised, with mean 0 and standard deviation 1: give them as they were in training"
            )
        if self.rows >= _MANY and 0.5 * seen.std < std < 2 * seen.std and abs(shift) > 2 * seen.std:
            return f"Are they in the same unit? They are {'higher' if shift > 0 else 'lower'} by {abs(shift):.3g}"
        return "Are they in the same unit, and scaled alike?"

    def _factor(self, place: int) -> float | None:
        """The common factor by which these values are those of training, from their spread and their mean."""
        seen, mean = self.seen[place], self._mean()[place]
        assert seen is not None
        if self.rows >= _MANY:
            factor = scale_between(seen.std, self._std()[place])
            fits = factor is not None and abs(mean - factor * seen.mean) < factor * seen.std
            return factor if fits else None
        if self.known[place] < _MANY:
            return None
        return scale_between(seen.span, self.maximum[place] - self.minimum[place])  # of a few pictures

    def _distance(self) -> np.ndarray:
        """Of the mean from that of training."""
        return np.asarray(self.sum / np.maximum(self.known, 1))

    def _mean(self) -> np.ndarray:
        return np.asarray(self._centre_D1[:, 0] + self._distance())

    def _std(self) -> np.ndarray:
        variance = self.squares / np.maximum(self.known, 1) - np.square(self._distance())
        return np.asarray(np.sqrt(np.maximum(variance, 0)))


def _bounds(seen: Range | None, least_span: float) -> list[tuple[float, float]]:
    """Three ranges: that of training widened by half its span at each end, by its whole span, and its bulk.

    The bulk: within four standard deviations and within three times the span of the inner 99.8 %, whichever is
    narrower, but no narrower than these.
    """
    if seen is None:
        return [(-np.inf, np.inf)] * 3
    span, inner = max(seen.span, least_span), seen.high - seen.low
    rounding = 1e-6 * max(abs(seen.minimum), abs(seen.maximum))
    far = _DEVIATIONS * seen.std
    low = min(seen.low, max(seen.mean - far, seen.low - inner))
    high = max(seen.high, min(seen.mean + far, seen.high + inner))
    ends = [(seen.minimum - share * span, seen.maximum + share * span) for share in (0.5, 1.0)]
    return [(a - rounding, b + rounding) for a, b in [*ends, (low, high)]]


def _least_span(seen: Sequence[Range | None]) -> float:
    spans = [one.span for one in seen if one is not None]
    return _LEAST_SPAN * float(np.median(spans)) if spans else 0.0


def _cut(lines: list[str], of: str) -> list[str]:
    """The first few, and how many there are more."""
    if len(lines) <= _MOST_LINES:
        return lines
    return [*lines[:_MOST_LINES], f"{len(lines) - _MOST_LINES} more {of}"]
