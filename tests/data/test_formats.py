"""Numbers and dates in words: written by a format, recognised, and read back exactly."""

import datetime
import time
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.data.cycles import cycles_of
from hpsearch.data.date_formats import TITLES
from hpsearch.data.formats import Format, read
from hpsearch.data.number_formats import STYLES
from hpsearch.data.recognition import recognise
from hpsearch.errors import UserError
from hpsearch.study import ColumnFormat


def column(*values: Any) -> pd.Series:
    return pd.Series(list(values), name="c", dtype=object)


def recognised(*values: Any) -> tuple[str | None, list[float]]:
    """The name of a column's format and what it reads; the column must be in no doubt."""
    series = column(*values)
    found = recognise(series, None, "s.yaml")
    assert not found.doubt and not found.words
    return (None, []) if found.format is None else (found.format.name, read(series, found.format)[0].tolist())


def written(value: float, style: str, digits: int) -> str:
    """A number in a style, with thousands separators."""
    group, decimal = STYLES[style]
    text = f"{value:,.{digits}f}"
    return text.translate(str.maketrans({",": group[:1], ".": decimal}))


AFFIXES = ["{}", "${}", "{} €", "{}%", "{} %", "CHF {}", "{} USD", "R$ {}", "kr. {}", "₹{}", "{}\u202f€"]
SIGNS = ["-{}", "\u2212{}", "({})", "{}-"]


@settings(deadline=None, max_examples=120)
@given(
    st.lists(st.decimals(1_000_000, 99_999_999, places=2).map(float), min_size=2, max_size=8),
    st.sampled_from([style for style in STYLES if style not in ("number", "decimal_comma")]),
    st.sampled_from(AFFIXES),
    st.sampled_from(SIGNS),
    st.integers(0, 7),
)
def test_a_written_number_is_read_back(
    numbers: list[float], style: str, affix: str, sign: str, negative: int
) -> None:
    texts = [affix.format(written(number, style, 2)) for number in numbers]
    place = negative % len(texts)
    texts[place] = sign.format(texts[place])
    wanted = [-number if i == place else number for i, number in enumerate(numbers)]
    assert recognised(*texts, None) == (style, pytest.approx([*wanted, np.nan], rel=0, nan_ok=True))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.decimals(0, 999, places=2).map(float), min_size=2, max_size=8),
    st.sampled_from(["{} €", "{} %", "EUR {}", "{}%"]),
    st.sampled_from(["number", "decimal_comma"]),
)
def test_a_number_without_thousands_is_read_back(numbers: list[float], affix: str, style: str) -> None:
    texts = [affix.format(f"{number:.2f}".replace(".", STYLES[style][1])) for number in numbers]
    assert recognised(*texts) == (style, numbers)


MOMENTS = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2199, 12, 31))
WRITTEN_DATES = {
    "%Y-%m-%d %H:%M:%S.%f": "date", "%Y-%m-%dT%H:%M:%S.%fZ": "date", "%Y/%m/%d %H:%M:%S.%f": "date",
    "%d.%m.%Y %H:%M:%S.%f": "day_first", "%d %B %Y %H:%M:%S.%f": "month_name",
    "%B %d, %Y %H:%M:%S.%f": "month_name",
    "%a, %d %b %Y %H:%M:%S.%f GMT": "month_name", "%d/%m/%Y %H:%M:%S.%f": "day_first",
    "%m/%d/%Y %I:%M:%S.%f %p": "month_first",
}  # fmt: skip


@settings(deadline=None, max_examples=120)
@given(st.lists(MOMENTS, min_size=1, max_size=6), st.sampled_from(sorted(WRITTEN_DATES)))
def test_a_written_moment_is_read_back(moments: list[datetime.datetime], form: str) -> None:
    moments = [*moments, datetime.datetime(2024, 3, 13, 23, 59, 59, 1)]  # the thirteenth is no month
    whole = [(m - datetime.datetime(1970, 1, 1)) // datetime.timedelta(seconds=1) for m in moments]
    wanted = [seconds + m.microsecond / 1e6 for seconds, m in zip(whole, moments, strict=True)]
    assert recognised(*[m.strftime(form) for m in moments]) == (WRITTEN_DATES[form], wanted)


@settings(deadline=None, max_examples=40)
@given(st.lists(MOMENTS, min_size=2, max_size=6), st.sampled_from(["us", "ns"]))
def test_typed_dates_read_as_their_texts_do(moments: list[datetime.datetime], unit: str) -> None:
    series = pd.Series(pd.to_datetime(moments), name="c").dt.as_unit(unit)  # type: ignore[arg-type]
    wanted = read(series.astype(str), Format("date"))[0]
    same = [
        series, series.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"), series.astype(object),
        column(*moments), series.astype(f"timestamp[{unit}][pyarrow]"),
    ]  # fmt: skip
    for other in same:
        assert recognise(other, None, "s.yaml").format == Format("date")
        np.testing.assert_array_equal(read(other, Format("date"))[0], wanted)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text("abcxyz -_ABÄß", min_size=1, max_size=12), min_size=1, max_size=8))
def test_drawn_words_stay_words(texts: list[str]) -> None:
    assert recognise(column(*texts), None, "s.yaml").format is None


@pytest.mark.parametrize(
    "codes",
    [
        ["A12", "B7"], ["1.2.3", "1.10.0"], ["10.2.13", "3.11.5"], ["+49 170 123 4567", "+1 555 123 4567"],
        ["555-1234", "555-9876"], ["(555) 123-4567", "(555) 765-4321"], ["10-20", "20-30"], ["5 kg", "7 kg"],
        ["192.168.1.1", "10.0.0.1"], ["1/2", "3/4"], ["3:2", "1:0"], ["yes", "no"], ["x1", "1x"],
        ["1,2,3", "2,3"], ["TOP 10", "TOP 20"], ["31.2.2024", "1.1.2024x"], ["2024-13-01", "2024-01-40"],
    ],
)  # fmt: skip
def test_codes_are_no_numbers(codes: list[str]) -> None:
    assert recognise(column(*codes), None, "s.yaml").format is None


def test_leading_zeros_are_words_and_told() -> None:
    found = recognise(column("007", "012", "99"), None, "s.yaml")
    assert found.words and "leading zeros" in found.note and "data.formats: {c: number}" in found.note
    assert recognise(column("007", "1"), "number", "s.yaml").format is None


AMBIGUOUS = {
    "thousands or decimals": (["1,234", "999"], "thousands_comma", ["decimal_comma", "1234 or 1.234"]),
    "points of money": (["€ 1.234", "€ 2.500"], "thousands_point", ["{c: number}", "1234 or 1.234"]),
    "months or days": (["03/04/2024", "12/11/2024"], "month_first", ["day_first", "2024-03-04 or 2024-04-03"]),
    "dashes": (["03-04-2024", "12-11-2024"], "day_first", ["month_first"]),
    "short years": (["13/04/24", "12/11/99"], "day_first", ["years of two digits"]),
    "short years by name": (["13 Mar 24"], "month_name", ["years of two digits"]),
    "some zones": (["2024-03-04 10:00Z", "2024-03-04 10:00"], "date", ["without a zone are read as UTC"]),
    "some signs": (["12 %", "0.5"], "number", ["with and without the sign"]),
    "two currencies": (["$5", "€6"], None, ["several units"]),
    "another unit": (["5 kg", "7.5 kg"], None, ["numbers of 'kg'", "write the numbers alone"]),
    "brackets alone": (["(2024)", "(2023)"], "number", ["negative", "{c: text}"]),
    "letters at digits": (["TL100", "TL200"], None, ["may be numbers", "{c: number}"]),
    "telephones": (["555 123 456", "555 123 457"], None, ["may be numbers", "{c: text}"]),
    "some rows": (["1,234.5"] * 49 + ["12a"], None, ["98 % of the values", "1 row does not ('12a')"]),
}  # fmt: skip


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_is_ambiguous_is_told_with_the_key(name: str) -> None:
    texts, style, parts = AMBIGUOUS[name]
    found = recognise(column(*texts), None, "s.yaml")
    assert (found.format and found.format.name) == style
    assert all(part in found.doubt for part in parts), found.doubt
    assert repr(texts[0]) in found.doubt or "12a" in found.doubt
    if style is not None:
        assert f"data.formats: {{c: {style}}}" in found.doubt
        named = recognise(column(*texts), style, "s.yaml")
        assert (named.format, named.doubt) == (found.format, "")


def test_whole_numbers_that_are_dates_are_told() -> None:
    series = pd.Series([20240301, 20240302], name="c")
    found = recognise(series, None, "s.yaml")
    assert found.format is None and "may be a date" in found.doubt
    assert read(series, Format("date"))[0].tolist() == [1709251200, 1709337600]
    assert not recognise(pd.Series([20249999, 20240302], name="c"), None, "s.yaml").doubt


CERTAIN = {
    "a decimal comma": (["1,234", "0,5"], "decimal_comma", [1.234, 0.5]),
    "two commas": (["1,234", "1,234,567"], "thousands_comma", [1234, 1234567]),
    "Indian groups": (["₹12,34,567.5", "₹9"], "thousands_comma", [1234567.5, 9]),
    "dotted dates": (["4.3.2024", "5.3.2024"], "day_first", [1709510400, 1709596800]),
    "a day above twelve": (["03/04/2024", "13/04/2024"], "day_first", [1712102400, 1712966400]),
    "other signs": (["\u22125", "+6.5"], "number", [-5, 6.5]),
    "times of day": (["13:45", "1:05 pm"], "time", [49500, 47100]),
    "spans": (["36:20", "-1 days +02:00:00"], "duration", [130800, -79200]),
    "zones": (["2024-03-04T10:00:00+02:00", "2024-03-04T10:00:00Z"], "date", [1709539200, 1709546400]),
    "months alone": (["2024-03", "2024-04"], "date", [1709251200, 1711929600]),
    "numbers beside texts": (["1,234.5", 7, 2.5], "thousands_comma", [1234.5, 7, 2.5]),
    "python's times": ([datetime.time(1, 2, 3)], "time", [3723]),
    "python's days": ([datetime.date(1970, 1, 2), None], "date", [86400, np.nan]),
    "python's spans": ([datetime.timedelta(hours=1)], "duration", [3600]),
    "periods": ([pd.Period("2024-03", "M")], "date", [1709251200]),
}  # fmt: skip


@pytest.mark.parametrize("name", CERTAIN)
def test_what_is_certain_is_read(name: str) -> None:
    values, style, wanted = CERTAIN[name]
    found, numbers = recognised(*values)
    assert found == style
    np.testing.assert_allclose(numbers, wanted, rtol=0)


def test_a_named_format_must_fit() -> None:
    assert recognise(column("1,234"), "decimal_comma", "s.yaml").format == Format("decimal_comma")
    assert recognise(column("1,234"), "text", "s.yaml").words
    with pytest.raises(UserError, match=r"s\.yaml: data\.formats\.c: month_first .* row 1 has '13/04/2024'"):
        recognise(column("03/04/2024", "13/04/2024"), "month_first", "s.yaml")
    with pytest.raises(UserError, match="row 1 has '€6'"):
        recognise(column("$5", "€6"), "number", "s.yaml")


def test_the_study_knows_every_format() -> None:
    assert set(get_args(ColumnFormat)) == {"text", *STYLES, *TITLES}


@pytest.mark.parametrize(
    ("seconds", "style", "wanted"),
    [
        (np.arange(0, 9e7, 3e4), "date", ("day", "week", "year")),
        (np.arange(0, 9e7, 86400.0), "date", ("week", "year")),
        (np.arange(0, 600.0, 60), "date", ()),
        (np.arange(0, 9e7, 7 * 86400.0) + 3600, "date", ("year",)),
        (np.arange(0, 86400.0, 600), "time", ("day",)),
        (np.full(9, 5.0), "date", ()),
    ],
)
def test_cycles_are_those_that_vary(seconds: np.ndarray, style: str, wanted: tuple[str, ...]) -> None:
    assert cycles_of(seconds, style) == wanted


def test_a_long_column_takes_a_second() -> None:
    rng = np.random.default_rng(0)
    series = pd.Series([f"${value:,.2f}" for value in rng.uniform(0, 1e7, 50_000)], name="c")
    start = time.process_time()
    assert recognise(series, None, "s.yaml").format == Format("thousands_comma", "$")
    assert time.process_time() - start < 3  # a third of it on an idle machine
