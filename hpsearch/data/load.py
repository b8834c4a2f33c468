"""A study's data from source to parts: read, recognise the task, split, fit the preprocessing, transform."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from hpsearch.code import Code
from hpsearch.data import categories, labels, lookalikes, preprocess, readings, sources, splits
from hpsearch.data.dataset import Arrays, Part, Target
from hpsearch.data.extra import extra_part
from hpsearch.data.formats import Format
from hpsearch.data.preprocess import Schema
from hpsearch.data.raw import MOST_BYTES, Raw
from hpsearch.data.readings import PLAIN, Reading, read_target
from hpsearch.data.recognition import recognise
from hpsearch.data.unlabelled import unlabelled_inputs
from hpsearch.errors import UserError, choices
from hpsearch.names import advice
from hpsearch.study import Data, Split

_MOST_INTEGER_CLASSES = 20


@dataclass(frozen=True)
class Dataset:
    """All parts of a study's data, and what was recognised; `notes` are sentences for the user.

    `raw`: the data as they were read, without extra training data. `unlabelled`: inputs without a target, float32
    [N, ...], for the student. `doubts`: sentences about columns whose format is ambiguous.
    """

    train: Part
    validation: Part
    test: Part
    target: Target
    schema: Schema
    notes: tuple[str, ...]
    raw: Raw | None = None
    unlabelled: np.ndarray | None = None
    doubts: tuple[str, ...] = ()

    def arrays(self, metric: str) -> Arrays:
        """What training may see."""
        layout = self.schema.layout() if isinstance(self.schema, preprocess.TableSchema) else None
        return Arrays(self.train, self.validation, self.target, metric, layout=layout)

    @classmethod
    def none(cls) -> "Dataset":
        """Of a study whose training function has data of its own."""
        part = Part(np.zeros((0, 1), dtype=np.float32), np.zeros(0), np.zeros(0, dtype=np.int64))
        return cls(part, part, part, Target("regression"), preprocess.ArraySchema((1,), (0.0,), (1.0,)), ())

    @property
    def kind(self) -> str:
        """tables, images, arrays (a row of numbers each), or volumes (inputs of any other number of axes)."""
        if isinstance(self.schema, preprocess.TableSchema):
            return "tables"
        return {1: "arrays", 3: "images"}.get(len(self.schema.shape), "volumes")

    @property
    def widest(self) -> int:
        """The most values that a category of a table has; 0 where there is none."""
        if not isinstance(self.schema, preprocess.TableSchema):
            return 0
        return max(map(len, self.schema.layout().categories()), default=0)

    @property
    def numbers(self) -> bool:
        """Whether the inputs hold any number, and not categories alone."""
        return not isinstance(self.schema, preprocess.TableSchema) or bool(self.schema.layout().number.any())

    def fingerprint(self) -> str:
        """A hash of every number in every part: the same data, the same hash."""
        digest = hashlib.blake2b(digest_size=16)
        for part in (self.train, self.validation, self.test):
            optional = [array for array in (part.weight, part.extra) if array is not None]
            for array in (part.x, part.y, part.index, *optional):
                digest.update(np.ascontiguousarray(array).tobytes())
        if self.unlabelled is not None:
            digest.update(np.ascontiguousarray(self.unlabelled).tobytes())
        return digest.hexdigest()


def load(data: Data, base: Path, place: str, code: Code | None = None) -> Dataset:
    """Reads and prepares the data of a study; `base` is the study file's folder, `code` its own loader's.

    Raises:
        UserError: it cannot be read or does not fit the study; nothing has been written.
    """
    dataset = _without_extra(data, base, place, code)
    if data.extra is not None:
        dataset = _with_extra(dataset, data, base, place)
    if data.unlabelled is None:
        return dataset
    found = unlabelled_inputs(dataset.schema, data, base, place)
    return replace(dataset, unlabelled=found, notes=(*dataset.notes, f"unlabelled: {len(found)} rows"))


def _without_extra(data: Data, base: Path, place: str, code: Code | None) -> Dataset:
    raw = sources.read(data, base, place, code)
    if raw.part is not None and data.split.named:
        raise UserError(f"{place}: data.split: {raw.name} is split already; leave it out")
    if data.size is not None and not raw.pictures:
        raise UserError(f"{place}: data.size: is for folders of pictures, and {raw.name} is none; leave it out")
    dataset = _from_arrays(raw, data, place) if raw.table is None else _from_table(raw, data, place)
    return replace(dataset, raw=raw, notes=(*raw.notes, *dataset.notes))


def _with_extra(dataset: Dataset, data: Data, base: Path, place: str) -> Dataset:
    """The data set with more training data, which come last."""
    rows = sum(len(part.y) for part in (dataset.train, dataset.validation, dataset.test))
    train = extra_part(dataset.train, dataset.target, dataset.schema, data, base, place, rows)
    note = f"extra: {len(train.y) - len(dataset.train.y)} more training rows"
    return replace(dataset, train=train, notes=(*dataset.notes, note))


def _from_arrays(raw: Raw, data: Data, place: str) -> Dataset:
    assert raw.x is not None and raw.y is not None
    for key in ("target", "categorical", "formats", "drop", "weight"):
        if getattr(data, key):
            raise UserError(f"{place}: data.{key}: {raw.name} holds arrays x and y, not named columns")
    if data.split.named:
        raise UserError(f"{place}: data.split: {raw.name} holds arrays x and y, not named columns")
    bad = np.argwhere(~np.isfinite(raw.x))
    if len(bad):
        raise UserError(f"{place}: data.source: x holds NaN or infinity in row {int(bad[0][0])}")
    y, target, note = _recognise(pd.Series(raw.y, name="y"), data.task, place)
    parts = _split(y, target, data, None, place, raw.part)
    schema = preprocess.fit_array(raw.x, parts["train"], f"{place}: data.source")
    return _assemble(schema.transform(raw.x, place), y, target, schema, parts, (note,))


def _from_table(raw: Raw, data: Data, place: str) -> Dataset:
    table = raw.table
    assert table is not None
    name = data.target or raw.target
    if name is None:
        raise UserError(f"{place}: data.target: is required for a table; {choices(table.columns)}")
    for key, column in [
        ("target", name),
        *((f"split.{kind}", getattr(data.split, kind)) for kind in ("column", "group", "time")),
        ("weight", data.weight),
        *(("categorical", c) for c in data.categorical),
        *(("formats", c) for c in data.formats),
        *(("drop", c) for c in data.drop),
    ]:
        if column is not None and column not in table:
            hint = advice(column, map(str, table.columns))
            raise UserError(f"{place}: data.{key}: no column {column!r} in {raw.name}; {hint}")
    if name in data.drop:
        raise UserError(f"{place}: data.drop: {name!r} is the target, which is no input; leave it out")
    if len(table) == 0:
        raise UserError(f"{place}: data.source: {raw.name} has no rows")
    preprocess.refuse_strange(table[name], f"{place}: data.target")
    written = read_target(table[name], data, place)
    y, target, note = _recognise(table[name], data.task, place, raw.typed, written)
    named = table.get(data.split.named) if data.split.named else None
    if named is not None and data.split.group is not None:
        preprocess.refuse_strange(named, f"{place}: data.split.group", times=True)
    parts = _split(y, target, data, named, place, raw.part)
    weighed = [data.weight] if data.weight is not None else []
    timed = [named.name] if named is not None and data.split.time and not is_numeric_dtype(named) else []
    beside = readings.read_as(table[[*weighed, *timed]], data, place)
    weight = None
    if data.weight is not None:
        form = beside[data.weight].format
        weight = _weights(table[data.weight], parts["train"], f"{place}: data.weight", form)
    apart = dict.fromkeys(c for c in (name, data.split.named, data.weight, *data.drop) if c is not None)
    features = table.drop(columns=list(apart))
    if features.shape[1] == 0:
        raise UserError(f"{place}: data.source: {raw.name} has no column beside the target")
    read = readings.read_as(features, data, place)
    schema = preprocess.fit_table(features, data.words, parts["train"], f"{place}: data.source", read)
    _refuse_too_wide(schema, len(table), f"{place}: data.source")
    used = {**({name: written} if target.format else {}), **beside, **read}
    notes = (note, _columns(schema), *readings.told(used))
    doubts = tuple(reading.doubt for reading in used.values() if reading.doubt)
    return _assemble(schema.transform(features, place), y, target, schema, parts, notes, weight, doubts)


def _columns(schema: preprocess.TableSchema) -> str:
    """How many columns of each kind there are."""
    words = [c.name for c in schema.columns if isinstance(c, preprocess.Category)]
    dates = sum(isinstance(c, preprocess.Date) for c in schema.columns)
    told = f"columns: {len(schema.columns) - len(words) - dates} numbers, "
    told += f"{dates} dates, " if dates else ""
    told += f"{len(words)} categories"
    return told + (f" ({', '.join(words[:8])}{', …' if len(words) > 8 else ''})" if words else "")


def _refuse_too_wide(schema: preprocess.TableSchema, rows: int, place: str) -> None:
    """Words become a column each: those that name rows would fill the memory."""
    widths = {c.name: len(c.categories) for c in schema.columns if isinstance(c, preprocess.Category)}
    if sum(widths.values()) * rows * 4 > MOST_BYTES:
        name = max(widths, key=lambda name: widths[name])
        raise UserError(
            f"{place}: the column {name!r} has {widths[name]} words in {rows} rows, each an input of its "
            f"own; leave it out (data.drop: [{name}]), or group its words"
        )


def _weights(column: pd.Series, train: np.ndarray, place: str, form: Format | None = None) -> np.ndarray:
    """How much each training example counts, float32 with mean 1."""
    values = preprocess.by_format(column, form, place, "weights are numbers from 0")
    wrong = np.flatnonzero(~(values >= 0))
    if len(wrong):
        raise UserError(f"{place}: weights are numbers from 0, but row {wrong[0]} has {column.iloc[wrong[0]]}")
    mean = values[train].mean()
    if mean == 0:
        raise UserError(f"{place}: every training row has the weight 0")
    return np.asarray(values[train] / mean, dtype=np.float32)


def _recognise(
    column: pd.Series, task: str | None, place: str, typed: bool = True, written: Reading = PLAIN
) -> tuple[np.ndarray, Target, str]:
    """The targets as class indices or values, and how the task was recognised; `typed` is `Raw`'s.

    `written`: how the target's texts are read as numbers, if they can be.
    """
    missing = np.flatnonzero(column.isna())
    if len(missing):
        told = f"{len(missing)} rows have no target, the first is row {missing[0]}"
        raise UserError(f"{place}: data.target: {told}; take them out of the file")
    words, form = column, written.format
    if form is not None:
        column = pd.Series(preprocess.by_format(column, form, f"{place}: data.target"), name=column.name)
    values = labels.numeric(column, typed or form is not None)
    guess, why = _guess_task(column, values)
    told = f"task: {task} (named in the study)" if task else f"task: {guess} ({why})"
    if (task or guess) == "regression":
        return _regression(column, place, told, form)
    column = words
    if guess == "regression" and values is not None and _many_fractions(values):
        raise UserError(
            f"{place}: data.target: {why}, with fractions among them, which name no classes; "
            "data.task: regression, or whole numbers or words"
        )
    if values is not None and np.isinf(values).any():
        raise UserError(f"{place}: data.target: holds infinity, which is no class")
    names = labels.names(column)
    found = np.unique(names.astype(str))
    classes = found[labels.order(found)].tolist()
    if len(classes) < 2:
        raise UserError(f"{place}: data.target: has the single class {classes[0]!r}; a task needs two")
    lookup = {name: index for index, name in enumerate(classes)}
    y = np.array([lookup[name] for name in names], dtype=np.int64)
    return y, Target("classification", tuple(classes)), f"{told}, {len(classes)} classes"


def _many_fractions(values: np.ndarray) -> bool:
    return len(np.unique(values)) > _MOST_INTEGER_CLASSES and bool((values != values.round()).any())


def _regression(column: pd.Series, place: str, told: str, form: Format | None) -> tuple[np.ndarray, Target, str]:
    y = preprocess.numbers(column, f"{place}: data.target", _no_number(column))
    return y, Target("regression", format=form), told


def _guess_task(column: pd.Series, values: np.ndarray | None) -> tuple[str, str]:
    """The task that these labels ask for, and why; `values` are those of `labels.numeric`."""
    if values is None:
        if labels.are_booleans(column):
            return "classification", "the target is boolean"
        categorical = isinstance(column.dtype, pd.CategoricalDtype)
        return "classification", f"the target is {'categorical' if categorical else 'text'}"
    if np.all(values == np.round(values)):
        distinct = len(np.unique(categories.words(column).astype(str)))
        if distinct <= _MOST_INTEGER_CLASSES:
            return "classification", f"the target has {distinct} distinct integers"
        return "regression", f"the target has {distinct} distinct numbers"
    return "regression", f"the target has {len(np.unique(values))} distinct numbers"


def _share_of_numbers(column: "pd.Series[Any]") -> float:
    """The share of values that read as numbers."""
    return float(pd.to_numeric(column, errors="coerce").notna().mean())


def _no_number(column: "pd.Series[Any]") -> str:
    """What to do about a target that is to be numbers and has words."""
    values = pd.to_numeric(column, errors="coerce")
    if _share_of_numbers(column) > 0.5:
        bad = int(values.isna().sum())
        return (
            f"{bad} of its {len(column)} values are no numbers: correct these rows, or take them out of the file"
        )
    return (
        "a regression needs numbers, such as 1234.5, in the file. Words are classes: leave data.task out, "
        "and name a metric for classes"
    )


def _split(
    y: np.ndarray,
    target: Target,
    data: Data,
    column: "pd.Series[Any] | None",
    place: str,
    marks: np.ndarray | None,
) -> dict[str, np.ndarray]:
    if marks is not None:
        parts = _by_marks(y, target, data, place, marks)
        _classes_are_in_training(y, target, parts, place, data.task)
        return parts
    if column is not None and data.split.column:
        parts = splits.by_column(column, place)
        _classes_are_in_training(y, target, parts, place, data.task)
        return parts
    share = data.split
    if share.validation + share.test >= 1:
        raise UserError(
            f"{place}: data.split: validation and test must leave rows for training, "
            f"got {share.validation} and {share.test}"
        )
    if target.task == "classification" and column is None:
        counts = np.bincount(y, minlength=len(target.classes))
        rare = int(counts.argmin())
        if counts[rare] < 3:
            have = "1 row" if counts[rare] == 1 else f"{counts[rare]} rows"
            raise UserError(
                f"{place}: data.target: the class {target.classes[rare]!r} has {have}; "
                f"a split into three parts needs at least 3{_if_values(target, data.task)}"
                f"{_if_misspelled(target, counts, rare)}"
            )
    if len(y) < 5:
        raise UserError(f"{place}: data.source: has {len(y)} rows; a split into three parts needs at least 5")
    try:
        if column is None:
            stratify = target.task == "classification"
            parts = splits.by_share(y, share.validation, share.test, share.seed, stratify)
        elif share.group:
            parts = splits.by_group(column, share.validation, share.test, share.seed)
        else:
            moments = times(column, f"{place}: data.split.time", data.formats.get(str(column.name)))
            parts = splits.by_time(moments, share.validation, share.test)
    except ValueError as error:
        hint = _if_values(target, data.task) if target.classes else ""
        raise UserError(f"{place}: data.split: cannot split {len(y)} rows: {error}{hint}") from None
    _classes_are_in_training(y, target, parts, place, data.task)
    return parts


def _if_values(target: Target, task: str | None) -> str:
    """What to do where the classes may be values, of which few come often."""
    names = pd.Series(target.classes)
    share, count = _share_of_numbers(names), len(names)
    if share == 1 and count > 2 and (task is None or count > _MOST_INTEGER_CLASSES):
        return f"; of {count} classes: if they are values, data.task: regression"
    if share > 0.5 and count > _MOST_INTEGER_CLASSES:
        word = names[pd.to_numeric(names, errors="coerce").isna()].iloc[0]
        return (
            f"; of {count} classes, {share:.0%} of them numbers: if they are values, correct the rows that have "
            f"none, such as {word!r}, or take them out, and set data.task: regression"
        )
    return ""


def _if_misspelled(target: Target, counts: np.ndarray, rare: int) -> str:
    """What the rare class may be a misspelling of, or that it may stand for a missing label."""
    names = list(map(str, target.classes))
    rows = dict(zip(names, counts.tolist(), strict=True))
    group = next((group for group in lookalikes.groups(names) if names[rare] in group), [])
    told = lookalikes.pairs({name: rows[name] for name in group})
    told += [sentence for sentence in lookalikes.strangers(rows) if sentence.startswith(repr(names[rare]))]
    return f"; {told[0]}" if told else ""


def _by_marks(y: np.ndarray, target: Target, data: Data, place: str, marks: np.ndarray) -> dict[str, np.ndarray]:
    """The parts that the source itself has; one that it has not is drawn from its training part, by its share."""
    parts = {name: np.flatnonzero(marks == name) for name in splits.PARTS}
    for name in ("validation", "test"):
        if len(parts[name]) and getattr(data.split, name) != Split.model_fields[name].default:
            raise UserError(f"{place}: data.split.{name}: the source has a {name} part of its own; leave it out")
        if len(parts[name]) == 0:
            try:
                kept, drawn = splits.in_two(
                    parts["train"], y, getattr(data.split, name), data.split.seed, target.task == "classification"
                )
            except ValueError as error:
                hint = _if_values(target, data.task) if target.classes else ""
                raise UserError(f"{place}: data.split: cannot draw {name} from training: {error}{hint}") from None
            parts |= {"train": kept, name: drawn}
    return parts


def times(column: "pd.Series[Any]", place: str, named: str | None = None) -> np.ndarray:
    """Numbers as they are, ISO dates and times in pandas' unit, others in seconds by their format (or `named`)."""
    if named is None and not pd.api.types.is_numeric_dtype(column):
        dates = pd.to_datetime(column, errors="coerce", format="ISO8601", utc=True)
        if dates.notna().all():
            return dates.astype("int64").to_numpy()
    form = recognise(column, named, place).format
    if form is None:
        wrong = np.flatnonzero(column.notna() & pd.to_numeric(column, errors="coerce").isna())
        if len(wrong):
            raise UserError(
                f"{place}: the column {column.name!r} holds numbers or times such as 2026-03-01 12:00, but row "
                f"{wrong[0]} has {column.iloc[wrong[0]]!r}"
            )
    times = preprocess.by_format(column, form, place)
    if np.isnan(times).any():
        raise UserError(f"{place}: row {np.flatnonzero(np.isnan(times))[0]} has no time")
    return times


def _classes_are_in_training(
    y: np.ndarray, target: Target, parts: dict[str, np.ndarray], place: str, task: str | None
) -> None:
    if target.task == "classification":
        absent = sorted(set(range(len(target.classes))) - set(y[parts["train"]].tolist()))
        if absent:
            raise UserError(
                f"{place}: data.split: no training row has the class {target.classes[absent[0]]!r}"
                f"{_if_values(target, task)}"
            )


def _assemble(
    x: np.ndarray,
    y: np.ndarray,
    target: Target,
    schema: Schema,
    parts: dict[str, np.ndarray],
    notes: tuple[str, ...],
    weight: np.ndarray | None = None,
    doubts: tuple[str, ...] = (),
) -> Dataset:
    if target.task == "regression":
        train = y[parts["train"]].astype(np.float64)
        target = replace(target, mean=float(train.mean()), std=float(train.std()) if np.ptp(train) > 0 else 1.0)
    made = {name: Part(np.ascontiguousarray(x[rows]), y[rows], rows) for name, rows in parts.items()}
    if weight is not None:
        made["train"] = replace(made["train"], weight=weight)
    sizes = ", ".join(f"{len(rows)} {name}" for name, rows in parts.items())
    notes = (*notes, f"rows: {sizes}")
    return Dataset(made["train"], made["validation"], made["test"], target, schema, notes, doubts=doubts)
