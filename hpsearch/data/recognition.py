"""Recognises what format the texts of a column are written in."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hpsearch.data import ambiguity, date_formats, number_formats, time_objects
from hpsearch.data.ambiguity import Fit, Reading, key
from hpsearch.data.formats import Format, Texts, parse, read, texts_of
from hpsearch.errors import UserError

TEXT = "text"
_SAMPLE, _PROMISING = 200, 0.3  # distinct texts that are tried first, and the share of them that must fit
_MOSTLY = 0.5  # of the rows: what reads as numbers in fewer is a column of words
_DATES = 10_000_101, 99_991_231  # whole numbers among which those such as 20240301 are


def recognise(series: pd.Series, named: str | None, place: str) -> Reading:
    """How a column is read: by the format that the study names for it, or by what its values are.

    Raises:
        UserError: the named format does not fit.
    """
    if named is not None:
        return _by_name(series, named, place)
    if isinstance(series.dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(series):
        return Reading()
    typed = time_objects.style_of_dtype(series)
    if typed is not None:
        return Reading(Format(typed))
    if pd.api.types.is_numeric_dtype(series):
        return _of_whole_numbers(series)
    texts = texts_of(series)
    styles = (time_objects.style_of(value) for value in series.iloc[texts.others])
    style = next((style for style in styles if style is not None), None)
    if style is not None:
        return Reading(Format(style))
    return _of_texts(str(series.name), texts) if texts.unique else Reading()


def _by_name(series: pd.Series, named: str, place: str) -> Reading:
    if named == TEXT:
        return Reading(words=True)
    texts = texts_of(series).unique if named in number_formats.STYLES else []
    units = number_formats.split(texts).unit
    form = Format(named, next((unit for unit in units if unit), ""))
    wrong = np.flatnonzero(read(series, form)[1])
    if len(wrong):
        raise UserError(
            f"{place}: data.formats.{series.name}: {named} does not fit the column: row {wrong[0]} has "
            f"{series.iloc[wrong[0]]!r}; name another format, or the word for a missing value in data.missing"
        )
    plain = named == "number" and bool((pd.to_numeric(series, errors="coerce").notna() == series.notna()).all())
    return Reading(None if plain else form)


def _of_whole_numbers(series: pd.Series) -> Reading:
    """Numbers are numbers; where all are dates such as 20240301, a person has to know."""
    present = series.dropna()
    if len(present) == 0 or not bool(present.between(*_DATES).all()):
        return Reading()
    values, wrong = read(present, Format("date"))
    if wrong.any() or len(np.unique(values)) < 2:
        return Reading()
    name = str(series.name)
    keys = key(name, "date", "number")
    return Reading(doubt=f"{name}: {present.iloc[0]:.0f} is read as a number, and may be a date; {keys}")


def _of_texts(name: str, texts: Texts) -> Reading:
    plain = pd.to_numeric(pd.Series(texts.unique, dtype=object), errors="coerce").notna().to_numpy(dtype=bool)
    padded = number_formats.has_leading_zeros(texts.unique)
    codes = Reading(words=True, note=f"{name} has leading zeros and is read as words ({key(name, 'number')})")
    mostly = int(texts.counts[plain].sum()) >= _MOSTLY * texts.present
    if padded or plain.all():
        return codes if padded and mostly else Reading()
    fits, units = _fits(texts.unique)
    whole = [fit for fit in fits if fit.ok.all()]
    if not whole:  # mostly plain numbers: the row that has none is refused
        return Reading() if mostly else ambiguity.partial(name, texts, fits)
    if len(units) > 1:
        written = number_formats.split(texts.unique).unit.tolist()
        shown = ambiguity.some([texts.unique[written.index(unit)] for unit in units])
        return Reading(doubt=f"{name}: {shown} are in several units, and are read as words; write them in one")
    return ambiguity.chosen(name, texts.unique, whole)


def _fits(unique: Sequence[str]) -> tuple[list[Fit], list[str]]:
    """Formats that fit some of the texts at least, of numbers or else of dates; and the numbers' units."""
    places = np.unique(np.linspace(0, len(unique) - 1, _SAMPLE).astype(int))
    sample = [unique[place] for place in places]
    found: list[Fit] = []
    units: list[str] = []
    if number_formats.split(sample).ok.mean() >= _PROMISING:
        found, units = _of_numbers(unique, _promising(sample))
        if any(fit.ok.all() for fit in found):
            return found, units
    for style in date_formats.TITLES:
        if np.isfinite(parse(sample, Format(style))).mean() >= _PROMISING:
            values = parse(unique, Format(style))
            found.append(Fit(Format(style), np.isfinite(values), values))
    return found, units


def _promising(sample: Sequence[str]) -> list[str]:
    """The styles that fit the most of a sample: the others fit no more of all."""
    written = number_formats.split(sample)
    counts = {style: int(number_formats.fits(written, style).sum()) for style in number_formats.STYLES}
    return [style for style, count in counts.items() if count == max(counts.values()) > 0]


def _of_numbers(unique: Sequence[str], styles: Sequence[str]) -> tuple[list[Fit], list[str]]:
    """How these styles fit. One with thousands separators is left out where one without gives the same values."""
    written = number_formats.split(unique)
    units = sorted(set(written.unit[written.ok].tolist()) - {""})
    found: list[Fit] = []
    for style in sorted(styles, key=lambda style: bool(number_formats.STYLES[style][0])):
        ok = number_formats.fits(written, style)
        values = number_formats.values(written, style, ok)
        if not any(np.array_equal(fit.values, values, equal_nan=True) for fit in found):
            found.append(Fit(Format(style, units[0] if units else ""), ok, values))
    return found, units
