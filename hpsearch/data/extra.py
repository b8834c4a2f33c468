"""More training data: synthetic, half-fake, or from elsewhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from hpsearch.data import categories, labels, preprocess, sources
from hpsearch.data.dataset import Part, Target
from hpsearch.data.preprocess import ArraySchema, Schema, TableSchema
from hpsearch.errors import UserError, choices
from hpsearch.study import Data


def extra_part(train: Part, target: Target, schema: Schema, data: Data, base: Path, place: str, rows: int) -> Part:
    """The training part with the rows of `data.extra` behind its own.

    They are read as the source is, and scaled as its training part was. `rows` is how many the source has.

    Raises:
        UserError: they are of another kind, or have a class that the source has not.
    """
    where = f"{place}: data.extra"
    assert data.extra is not None
    if sources.names_code(data.extra):
        raise UserError(f"{where}: must be a file, a folder or sklearn:NAME, got {data.extra!r}")
    raw = sources.read(_as_extra(data, schema), base, where)
    if raw.table is not None and isinstance(schema, TableSchema):
        name = data.target or raw.target
        if name is None or name not in raw.table:
            raise UserError(f"{where}: no column {name!r} in {raw.name}; {choices(raw.table.columns)}")
        x, y = schema.transform(raw.table, where), raw.table[name]
    elif raw.x is not None and isinstance(schema, ArraySchema):
        x, y = schema.transform(raw.x, where), pd.Series(raw.y)
    else:
        raise UserError(f"{where}: {raw.name} is of another kind than the source: a table, or arrays")
    count = len(train.y)
    ones = np.ones(len(y), dtype=np.float32)
    return replace(
        train,
        x=np.concatenate([train.x, x]),
        y=np.concatenate([train.y, _targets(y, target, where)]),
        index=np.concatenate([train.index, rows + np.arange(len(y))]),
        weight=None if train.weight is None else np.concatenate([train.weight, ones]),
        extra=np.arange(count + len(y)) >= count,
    )


def _as_extra(data: Data, schema: Schema) -> Data:
    """How the extra rows are read: what are categories in training is text in their CSV."""
    words = schema.text_names if isinstance(schema, TableSchema) else data.categorical
    return data.model_copy(update={"source": data.extra, "categorical": words})


def _targets(column: pd.Series, target: Target, where: str) -> np.ndarray:
    if column.isna().any():
        raise UserError(f"{where}: row {int(np.flatnonzero(column.isna())[0])} has no target")
    if target.task == "regression":
        return preprocess.by_format(column, target.format, where)
    found = labels.codes(column, target.classes)
    unseen = np.flatnonzero(found == categories.UNSEEN)
    if len(unseen):
        raise UserError(
            f"{where}: has the class {labels.names(column.iloc[unseen[:1]])[0]!r}, which the source has not; "
            f"{choices(target.classes)}"
        )
    return found
