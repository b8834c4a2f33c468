"""Dates and times as seconds, from texts and from Python's and pandas' objects, as pure functions.

A date is seconds since 1970 in UTC; without a zone it counts as UTC. A time of day is seconds since midnight, a
span is its seconds.
"""

import datetime
import re
from collections.abc import Sequence

import numpy as np

_EPOCH = datetime.date(1970, 1, 1).toordinal()
TITLES = {
    "date": "dates, year first",
    "day_first": "dates, day before month",
    "month_first": "dates, month before day",
    "month_name": "dates with the month's name",
    "time": "times of day",
    "duration": "spans of time",
}
_ORDERS = {"date": "ymd", "day_first": "dmy", "month_first": "mdy"}

_CLOCK = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?"
)
_ZONE = r"(?:\s*(?P<zone>[Zz]|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?"
_COMPACT = r"(?P<hour3>[0-9]{2})(?P<minute3>[0-9]{2})(?:(?P<second3>[0-9]{2})(?:[.,](?P<fraction3>[0-9]{1,9}))?)?"
_AFTER = rf"(?:(?:\s*[Tt]\s*|\s*,\s*|\s+){_CLOCK}{_ZONE})?"
_TRIPLE = re.compile(
    rf"(?P<a>[0-9]{{1,4}})(?P<mark>[-/.]|\. )(?P<b>[0-9]{{1,2}})(?P=mark)(?P<c>[0-9]{{1,4}}){_AFTER}"
)
_YEARS = re.compile(
    r"(?P<year>[0-9]{4})(?:(?P<month>[0-9]{2})(?P<day>[0-9]{2})"
    rf"(?:[Tt]{_COMPACT}{_ZONE})?|-(?P<month2>[0-9]{{2}})|-?[Qq](?P<quarter>[1-4]))?"
)
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_NAME = rf"(?P<name>{'|'.join(f'{m}|{m[:3]}' for m in _MONTHS)}|sept)\.?"
_YEAR_OF_NAME = r"(?P<year>[0-9]{4}|[0-9]{2})"
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
_GAP = r"[-\s/.,]*"
_NAMED = tuple(
    re.compile(rf"{_WEEKDAY}{form}{_AFTER}", re.IGNORECASE)
    for form in (
        rf"{_DAY}{_GAP}{_NAME}{_GAP}{_YEAR_OF_NAME}",
        rf"{_NAME}\s*{_DAY}(?:,\s*|\s+){_YEAR_OF_NAME}",
        rf"(?P<year>[0-9]{{4}}){_GAP}{_NAME}{_GAP}{_DAY}",
        rf"{_NAME}{_GAP}(?P<year>[0-9]{{4}})",
    )
)
_TIME = re.compile(_CLOCK)
_HAS_CLOCK = re.compile(rf"{_CLOCK}{_ZONE}\s*$")
_SPAN = re.compile(
    r"(?:(?P<days>[-+]?[0-9]+)\s*(?:days?|d)\b,?\s*)?(?P<sign>[-+])?"
    r"(?:(?P<hour>[0-9]+):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?)?"
)


def parse(texts: Sequence[str], style: str) -> np.ndarray:
    """float64 [N]: each text in seconds, NaN where it is not written in this style."""
    if style in _ORDERS:
        return _numeric_dates(texts, style)
    one = {"month_name": _named_date, "time": _time_of_day, "duration": _span}[style]
    return np.array([one(text.strip()) for text in texts], dtype=np.float64)


def _numeric_dates(texts: Sequence[str], style: str) -> np.ndarray:
    found = np.empty(len(texts))
    for i, text in enumerate(texts):
        text = text.strip()
        match = _TRIPLE.fullmatch(text)
        if match is not None:
            found[i] = _ordered(match, _ORDERS[style])
        elif style == "date" and (years := _YEARS.fullmatch(text.partition("/")[0])) is not None:
            found[i] = _year_first(years)
        elif style == "date" and "/" in text and text.count("-") == 4:  # a week: its first and last day
            first = _TRIPLE.fullmatch(text.partition("/")[0])
            found[i] = np.nan if first is None else _ordered(first, "ymd")
        else:
            found[i] = np.nan
    return found


def _ordered(match: re.Match[str], order: str) -> float:
    """Seconds of a date of three numbers. A year has four digits, or two: 69 to 99 are 1969 to 1999."""
    texts = dict(zip(order, (match["a"], match["b"], match["c"]), strict=True))
    if len(texts["m"]) > 2 or len(texts["d"]) > 2 or len(texts["y"]) not in (2, 4):
        return np.nan
    if len(texts["y"]) == 2 and match["mark"] != "/" and min(len(texts["m"]), len(texts["d"])) < 2:
        return np.nan  # rather a version, such as 1.2.33
    return _seconds(full_year(texts["y"]), int(texts["m"]), int(texts["d"]), match)


def full_year(text: str) -> int:
    """A year of two digits in its century, by the rule of POSIX."""
    year = int(text)
    return year if len(text) > 2 else year + (1900 if year >= 69 else 2000)


def _year_first(match: re.Match[str]) -> float:
    month = match["month"] or match["month2"] or (3 * int(match["quarter"]) - 2 if match["quarter"] else 1)
    return _seconds(int(match["year"]), int(month), int(match["day"] or 1), match, "3")


def _named_date(text: str) -> float:
    for pattern in _NAMED:
        match = pattern.fullmatch(text)
        if match is not None:
            month = 1 + next(i for i, name in enumerate(_MONTHS) if name[:3] == match["name"].lower()[:3])
            day = match.groupdict().get("day") or "1"
            return _seconds(full_year(match["year"]), month, int(day), match)
    return np.nan


def _seconds(year: int, month: int, day: int, match: re.Match[str], suffix: str = "") -> float:
    try:
        whole = 86400 * (datetime.date(year, month, day).toordinal() - _EPOCH)
    except ValueError:
        return np.nan
    if match[f"hour{suffix}"] is None:
        return whole
    clock = _of_clock(match, suffix)
    if clock is None:
        return np.nan
    return whole + clock[0] - _offset(match["zone"] or "") + clock[1]  # whole numbers first: they are exact


def _offset(zone: str) -> int:
    """Seconds east of UTC."""
    if zone[:1] not in ("+", "-"):
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    seconds = 3600 * int(digits[:2]) + 60 * int(digits[2:])
    return seconds if zone[0] == "+" else -seconds


def _of_clock(match: re.Match[str], suffix: str = "") -> tuple[int, float] | None:
    """Whole seconds since midnight and the fraction; None where there is no such time."""
    names = ("hour", "minute", "second")
    hour, minute, second = (int(text or 0) for text in match.group(*(name + suffix for name in names)))
    half = "" if suffix else (match["half"] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half == "p")
    if hour > 23 or minute > 59 or second > 59:
        return None
    return 3600 * hour + 60 * minute + second, _fraction(match["fraction" + suffix])


def _fraction(digits: str | None) -> float:
    return int(digits.ljust(9, "0")) / 1e9 if digits else 0.0


def _time_of_day(text: str) -> float:
    match = _TIME.fullmatch(text)
    clock = None if match is None else _of_clock(match)
    return np.nan if clock is None else clock[0] + clock[1]


def _span(text: str) -> float:
    """As pandas writes spans, `-1 days +02:00:00`, or hours and minutes, `36:20`."""
    match = _SPAN.fullmatch(text)
    if match is None or (match["days"] is None and match["hour"] is None):
        return np.nan
    minute, second = int(match["minute"] or 0), int(match["second"] or 0)
    if minute > 59 or second > 59:
        return np.nan
    sign = -1 if match["sign"] == "-" else 1
    clock = 3600 * int(match["hour"] or 0) + 60 * minute + second
    return 86400 * int(match["days"] or 0) + sign * clock + sign * _fraction(match["fraction"])


def preferred(styles: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Styles that all fit, the likeliest first. Dates with points have the day first and are not ambiguous."""
    if "day_first" in styles and all("." in text and "/" not in text for text in texts):
        styles = [style for style in styles if style != "month_first"]
    slashes = any("/" in text for text in texts)
    order = ["month_first", "day_first"] if slashes else ["day_first", "month_first"]
    return sorted(styles, key=lambda style: [*order, *TITLES].index(style))


def short_year(texts: Sequence[str], style: str) -> int | None:
    """The place of the first text whose year has two digits; None without one."""
    for i, text in enumerate(texts):
        match = _TRIPLE.fullmatch(text.strip()) if style in _ORDERS else None
        if match is not None and len(match["a" if style == "date" else "c"]) == 2:
            return i
        if style == "month_name":
            matches = (pattern.fullmatch(text.strip()) for pattern in _NAMED)
            named = next((match for match in matches if match is not None), None)
            if named is not None and len(named["year"]) == 2:
                return i
    return None


def zone(text: str) -> str | None:
    """The zone of a date with a time of day, `""` where it has none; None for a date alone."""
    match = _HAS_CLOCK.search(text)
    return None if match is None else match["zone"] or ""


def shown(seconds: float) -> str:
    """A date for a message."""
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    return moment.isoformat(sep=" ").removesuffix(" 00:00:00")
