"""Inputs without a target, on which a student hears its teacher."""

from pathlib import Path

import numpy as np

from hpsearch.data import sources
from hpsearch.data.place import place_of
from hpsearch.data.preprocess import Schema, TableSchema
from hpsearch.data.raw import channels_first
from hpsearch.data.values import inputs_of
from hpsearch.errors import UserError, choices
from hpsearch.study import Data

_KINDS = (".csv", ".parquet", ".npz")


def unlabelled_inputs(schema: Schema, data: Data, base: Path, place: str) -> np.ndarray:
    """The rows of `data.unlabelled`, scaled as the training part is, float32 [N, ...].

    A CSV or Parquet file has the source's columns, and may have others; an npz has `x`.

    Raises:
        UserError: they cannot be read, or are of another kind.
    """
    where = f"{place}: data.unlabelled"
    name = str(data.unlabelled)
    if Path(name).suffix not in _KINDS:
        raise UserError(f"{where}: {data.unlabelled!r} must be a file; {choices(_KINDS)}")
    path = place_of(name, base, where)
    if (path.suffix == ".npz") == isinstance(schema, TableSchema):
        raise UserError(f"{where}: {path.name} is of another kind than the source: a table, or arrays")
    if isinstance(schema, TableSchema):
        found = schema.transform(sources.read_table(path, data.missing, schema.text_names), where)
    else:
        x = inputs_of(sources.read_npz(path)[0], where)
        found = schema.transform(channels_first(x, str(path), data.channels), where)
    if len(found) == 0:
        raise UserError(f"{where}: {path.name} has no rows")
    return found
