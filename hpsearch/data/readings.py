"""How a study's columns are read: its inputs, its target, and what a person is told of that."""

from collections.abc import Mapping

import pandas as pd

from hpsearch.data import date_formats
from hpsearch.data.ambiguity import PLAIN, Reading
from hpsearch.data.formats import read
from hpsearch.data.recognition import recognise
from hpsearch.errors import UserError
from hpsearch.study import Data

_MOST_NAMES = 8  # of columns in a message

__all__ = ["PLAIN", "Reading", "read_as", "read_target", "told"]


def read_as(table: pd.DataFrame, data: Data, place: str) -> dict[str, Reading]:
    """How each column is read: by what the study names for it, or by what is recognised.

    Raises:
        UserError: a format that the study names does not fit its column.
    """
    return {
        str(name): Reading(words=True)
        if name in data.categorical
        else recognise(table[name], data.formats.get(str(name)), place)
        for name in table
    }


def read_target(series: pd.Series, data: Data, place: str) -> Reading:
    """How a target's texts are read as numbers; without a format where they are words, dates or plain numbers.

    Raises:
        UserError: the study names a format for it that does not fit, or one that gives no numbers.
    """
    named = data.formats.get(str(series.name))
    if named in date_formats.TITLES:
        raise UserError(f"{place}: data.formats.{series.name}: a target is a number or a class, got {named}")
    if data.task == "classification":
        return PLAIN
    found = recognise(series, named, place)
    if found.format is None or found.format.name in date_formats.TITLES:
        return PLAIN
    return PLAIN if data.task is None and read(series, found.format)[1].any() else found


def told(readings: Mapping[str, Reading]) -> list[str]:
    """Sentences on the columns that are read by a format, and on what is ambiguous."""
    titles: dict[str, list[str]] = {}
    for name, reading in readings.items():
        if reading.format is not None:
            titles.setdefault(reading.format.title, []).append(name)
    lines = []
    for title, names in titles.items():
        shown = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
        lines.append(f"columns: {shown} {'reads' if len(names) == 1 else 'read'} as {title}")
    lines += [f"columns: {reading.note}" for reading in readings.values() if reading.note]
    return lines + [f"ambiguous: {reading.doubt}" for reading in readings.values() if reading.doubt]
