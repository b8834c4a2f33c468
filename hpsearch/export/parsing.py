"""How a column's texts become the doubles that the graph takes: for readers of the manifest."""

from typing import Any

from hpsearch.data import date_formats, number_formats
from hpsearch.data.formats import Format
from hpsearch.data.preprocess import Category, Column

_SHORT_YEARS = {
    "date": r"^()([0-9]{2})(?=[-/.])",
    "day_first": r"^([0-9]{1,2}[-/.][0-9]{1,2}[-/.])([0-9]{2})",
    "month_first": r"^([0-9]{1,2}[-/.][0-9]{1,2}[-/.])([0-9]{2})",
    "month_name": r"^(\D*[0-9]{1,2}[-\s./]*[A-Za-z]+[-\s./,]*|[A-Za-z]+\.?\s*[0-9]{1,2},?\s+)([0-9]{2})",
}


def parsing(column: Column) -> dict[str, Any] | None:
    """The rule for a column's texts; None where they are plain numbers or words.

    For numbers: `digits` is a regular expression that finds them, `thousands` are marks to leave out, `decimal` is
    the decimal mark, and `negative` finds outside the digits what makes a number negative. For dates, times of day
    and spans: `counts` says what the double counts. `short_year` finds a year of two digits and what is before
    it, in a date that has no number of four.
    """
    if isinstance(column, Category) or column.format is None:
        return None
    form = column.format
    if form.name not in number_formats.STYLES:
        rule = {"name": form.name, "reads": form.title, "counts": counts(form)}
        return rule | ({"short_year": _SHORT_YEARS[form.name]} if form.name in _SHORT_YEARS else {})
    thousands, decimal = number_formats.STYLES[form.name]
    first = rf"(?:[0-9]|(?<!\w)[{decimal}](?=[0-9]))"  # the point of an abbreviated unit is none of the number
    return {
        "name": form.name,
        "unit": form.unit,
        "reads": form.title,
        "digits": rf"{first}(?:[0-9{thousands}{decimal}]*[0-9])?(?:[eE][+-]?[0-9]+)?",
        "thousands": thousands,
        "decimal": decimal,
        "negative": rf"[({number_formats.MINUS}]",
    }


def counts(form: Format) -> str:
    """What the numbers of a format count, where they are times."""
    return {"time": "seconds since midnight", "duration": "seconds"}.get(form.name, "seconds since 1970, UTC")


def type_of(column: Column) -> str:
    """The type of a column's input for a person: what it is, and what it is read from."""
    if isinstance(column, Category):
        return "string"
    if column.format is None:
        return "double"
    counted = f" ({counts(column.format)})" if column.format.name in date_formats.TITLES else ""
    return f"double{counted}, from {column.format.title}"
