"""What is ambiguous in a column's texts: which format is taken, and the sentence that says so."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch.data import date_formats, number_formats
from hpsearch.data.formats import Format, Texts, parse, placeholders

_MOSTLY = 0.5  # of the rows: what reads by a format in fewer is a column of words
_SHOWN = 3  # examples in a message


@dataclass(frozen=True)
class Reading:
    """How a column is read: by a format, or as it is.

    `words`: as categories, though it looks like numbers. `doubt`: what is ambiguous, for a person to decide.
    `note`: what a person should know, and need not decide.
    """

    format: Format | None = None
    words: bool = False
    doubt: str = ""
    note: str = ""


PLAIN = Reading()


@dataclass(frozen=True)
class Fit:
    """A format, and how it fits the distinct texts of a column: bool and float64 [N]."""

    format: Format
    ok: np.ndarray
    values: np.ndarray


def partial(name: str, texts: Texts, fits: Sequence[Fit]) -> Reading:
    """A column that no format fits as a whole: words, unless the rest are words for missing values."""
    if not fits:
        return in_a_unit(name, texts.unique)
    counts, total = texts.counts, texts.present
    order = list(number_formats.STYLES)
    fits = sorted(fits, key=lambda fit: order.index(fit.format.name) if fit.format.name in order else len(order))
    best = max(fits, key=lambda fit: int(counts[fit.ok].sum()))
    rest = int(counts[~best.ok].sum())
    if total - rest < _MOSTLY * total:
        return Reading()
    misfits = [texts.unique[i] for i in np.flatnonzero(~best.ok)]
    if placeholders(misfits):
        return Reading(best.format)  # refused by the row that has one, and data.missing named
    rows = "1 row does" if rest == 1 else f"{rest} rows do"
    return Reading(
        doubt=f"{name}: {100 * (1 - rest / total):.3g} % of the values read as {best.format.title}, {rows} not "
        f"({some(misfits)}), so all are read as words; mend these rows, or {key(name, 'text')}"
    )


def in_a_unit(name: str, unique: Sequence[str]) -> Reading:
    """Words; where each is a number with one and the same other word behind it, that is told."""
    unit = number_formats.common_word(unique)
    if unit is None or len(unique) < 2:
        return Reading()
    told = f"{name}: {some(unique)} are numbers of {unit!r}, and are read as words"
    return Reading(doubt=f"{told}; write the numbers alone, or {key(name, 'text')}")


def chosen(name: str, unique: Sequence[str], whole: Sequence[Fit]) -> Reading:
    """The likeliest of the formats that fit every text, and what is to be known of the choice."""
    dates = whole[0].format.name in date_formats.TITLES
    names = [fit.format.name for fit in whole]
    unit = whole[0].format.unit
    order = (
        date_formats.preferred(names, unique)
        if dates
        else number_formats.preferred(names, unit not in ("", *number_formats.PERCENT.values()))
    )
    fits = [next(fit for fit in whole if fit.format.name == style) for style in order]
    best = fits[0]
    if not dates and number_formats.are_codes(unique, best.format.name):
        keys = key(name, best.format.name, "text")
        return Reading(doubt=f"{name}: {some(unique)} are read as words, and may be numbers; {keys}")
    other = next((fit for fit in fits[1:] if not np.array_equal(fit.values, best.values)), None)
    if other is not None:
        at = int(np.flatnonzero(_differs(best, other))[0])
        return Reading(
            best.format,
            doubt=f"{name}: {some(unique)} are read as {best.format.title}, and may be {other.format.title}: "
            f"{unique[at]!r} is {_value(best, at)} or {_value(other, at)}; "
            f"{key(name, best.format.name, other.format.name)}",
        )
    return Reading(best.format, doubt=_mixed(name, unique, best.format))


def _differs(one: Fit, other: Fit) -> np.ndarray:
    """Where two formats give other values, bool [N]."""
    return np.asarray(one.values != other.values)


def _value(fit: Fit, at: int) -> str:
    value = float(fit.values[at])
    if not fit.format.is_date or fit.format.name == "time":
        return f"{value:.12g}"
    return date_formats.shown(value)


def _mixed(name: str, unique: Sequence[str], form: Format) -> str:
    """What is written in more than one way, or in a way that leaves something open."""
    if form.name in date_formats.TITLES:
        return _mixed_dates(name, unique, form)
    if number_formats.all_bracketed(unique):
        return f"{name}: {some(unique)} are all read as negative numbers; {key(name, form.name, 'text')}"
    units = number_formats.split(unique).unit.tolist() if form.unit else []
    if "" not in units:
        return ""
    shown = some([unique[units.index(form.unit)], unique[units.index("")]])
    return f"{name}: {shown} are read as {form.title}, with and without the sign; {key(name, form.name)}"


def _mixed_dates(name: str, unique: Sequence[str], form: Format) -> str:
    short = date_formats.short_year(unique, form.name)
    if short is not None:
        year = date_formats.shown(float(parse([unique[short]], form)[0]))
        why = "of years of two digits those from 69 are of 1900"
        return f"{name}: {unique[short]!r} is read as {year}: {why}; {key(name, form.name)}"
    zones = [date_formats.zone(text) for text in unique] if form.is_date and form.name != "time" else []
    zoned = next((i for i, zone in enumerate(zones) if zone), None)
    if zoned is None or "" not in zones:
        return ""
    shown = some([unique[zoned], unique[zones.index("")]])
    return f"{name}: {shown}: times without a zone are read as UTC; {key(name, form.name)}"


def key(name: str, *formats: str) -> str:
    """The entry of a study that decides a column's format."""
    quoted = name if name.isidentifier() else json.dumps(name, ensure_ascii=False)
    return "data.formats: " + " or ".join(f"{{{quoted}: {form}}}" for form in formats)


def some(texts: Iterable[str]) -> str:
    """A few texts as examples."""
    found = list(texts)
    return ", ".join(repr(text) for text in found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
