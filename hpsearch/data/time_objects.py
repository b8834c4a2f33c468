"""Dates, times and spans that are objects or typed columns rather than text, in the seconds of `date_formats`."""

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

_PER_SECOND = {"s": 10**0, "ms": 10**3, "us": 10**6, "ns": 10**9}
_EPOCH = datetime.date(1970, 1, 1).toordinal()


def style_of_dtype(series: pd.Series) -> str | None:
    """The format of a column that is typed as dates or spans; None for any other column."""
    if pd.api.types.is_datetime64_any_dtype(series) or isinstance(series.dtype, pd.PeriodDtype):
        return "date"
    return "duration" if pd.api.types.is_timedelta64_dtype(series) else None


def style_of(value: Any) -> str | None:
    """The format of an object; None for what is no date, time or span."""
    return next((style for kind, (style, _) in _KINDS.items() if isinstance(value, kind)), None)


def typed_seconds(series: pd.Series) -> np.ndarray:
    """float64 [N] of a column that is typed as dates or spans, NaN where it is missing."""
    if isinstance(series.dtype, pd.ArrowDtype):
        found = [np.nan if pd.isna(value) else object_seconds(value) for value in series.astype(object)]
        return np.array(found, dtype=np.float64)
    if isinstance(series.dtype, pd.PeriodDtype):
        series = series.dt.to_timestamp()
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    values = series.to_numpy()
    per = _PER_SECOND[np.datetime_data(values.dtype)[0]]
    whole, rest = np.divmod(values.astype(np.int64), per)
    return np.where(np.isnat(values), np.nan, whole + rest / per)


def object_seconds(value: Any) -> float:
    """Seconds of an object for which `style_of` has a format."""
    return next(seconds for kind, (_, seconds) in _KINDS.items() if isinstance(value, kind))(value)


def _of_time(value: datetime.time) -> float:
    return 3600 * value.hour + 60 * value.minute + value.second + value.microsecond / 1e6


def _of_datetime(value: datetime.datetime) -> float:
    """A time without a zone counts as UTC."""
    if value.tzinfo is not None:
        value = value.astimezone(datetime.UTC)
    nanoseconds = 1000 * value.microsecond + int(getattr(value, "nanosecond", 0))
    clock = 3600 * value.hour + 60 * value.minute + value.second
    return 86400 * (value.toordinal() - _EPOCH) + clock + nanoseconds / 1e9


def _of_span(value: datetime.timedelta) -> float:
    nanoseconds = 1000 * value.microseconds + int(getattr(value, "nanoseconds", 0))
    return 86400 * value.days + value.seconds + nanoseconds / 1e9


_KINDS: dict[type, tuple[str, Callable[[Any], float]]] = {
    datetime.datetime: ("date", _of_datetime),
    datetime.date: ("date", lambda value: 86400.0 * (value.toordinal() - _EPOCH)),
    pd.Period: ("date", lambda value: _of_datetime(value.start_time)),
    np.datetime64: ("date", lambda value: _of_datetime(pd.Timestamp(value))),
    datetime.time: ("time", _of_time),
    datetime.timedelta: ("duration", _of_span),
    np.timedelta64: ("duration", lambda value: _of_span(pd.Timedelta(value))),
}
