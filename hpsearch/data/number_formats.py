"""Numbers as people write them: separators, percent signs, currencies and signs, as pure functions over texts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

_BLANKS = " \u00a0\u2007\u2009\u202f"
_APOSTROPHES = "'\u2019"
MINUS = "\u2212\u2013\ufe63\uff0d-"  # the hyphen last: in a class of characters it would else be a range

# format → (separators of thousands, decimal mark)
STYLES: dict[str, tuple[str, str]] = {
    "number": ("", "."),
    "thousands_comma": (",", "."),
    "thousands_point": (".", ","),
    "thousands_blank": (_BLANKS, ","),
    "thousands_blank_point": (_BLANKS, "."),
    "thousands_apostrophe": (_APOSTROPHES, "."),
    "thousands_apostrophe_comma": (_APOSTROPHES, ","),
    "decimal_comma": ("", ","),
}
TITLES = {
    "number": "numbers",
    "thousands_comma": "numbers with thousands separator ','",
    "thousands_point": "numbers with thousands separator '.' and a decimal comma",
    "thousands_blank": "numbers with thousands separator ' ' and a decimal comma",
    "thousands_blank_point": "numbers with thousands separator ' ' and a decimal point",
    "thousands_apostrophe": 'numbers with thousands separator "\'" and a decimal point',
    "thousands_apostrophe_comma": 'numbers with thousands separator "\'" and a decimal comma',
    "decimal_comma": "numbers with a decimal comma",
}

PERCENT = {"%": "%", "\uff05": "%", "\u066a": "%", "\u2030": "\u2030"}
_CODES = (
    "AED|ARS|AUD|BGN|BHD|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EGP|EUR|GBP|HKD|HUF|IDR|ILS|INR|ISK|JOD|JPY|KES|KRW|KWD|"
    "MAD|MXN|MYR|NGN|NOK|NZD|OMR|PEN|PHP|PKR|PLN|QAR|RON|RSD|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR"
)
_WORDS = "kr|z\u0142|K\u010d|Ft|Rs|Rp|Fr|TL|lei|\u043b\u0432|\u0440\u0443\u0431"
_SYMBOLS = "$\u00a2\u00a3\u00a4\u00a5\u0e3f\ufdfc" + "".join(map(chr, range(0x20A0, 0x20C1)))
_UNIT = rf"(?:[{''.join(PERCENT)}]|[A-Z]{{0,3}}\$|[{re.escape(_SYMBOLS)}]|(?:{_CODES}|{_WORDS})\.?)"
_DIGITS = rf"[0-9.,](?:[0-9.,{_APOSTROPHES}{_BLANKS}]*[0-9.,])?(?:[eE][+-]?[0-9]+)?"
_VALUE = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[+{MINUS}])?\s*(?P<before>{_UNIT})?\s*(?P<sign2>[+{MINUS}])?\s*(?P<open2>\()?\s*"
    rf"(?P<digits>{_DIGITS})\s*(?P<close2>\))?\s*(?P<after>{_UNIT})?\s*(?P<minus>[{MINUS}])?\s*(?P<close>\))?"
)
_SAME_DIGITS = 9  # as many in every value, in groups: telephone numbers rather than quantities


@dataclass(frozen=True)
class Written:
    """The parts of N texts: digits with their separators, sign and unit; `ok`: it has the shape of a number."""

    digits: list[str]
    negative: np.ndarray
    unit: np.ndarray
    plus: np.ndarray
    ok: np.ndarray


def split(texts: Sequence[str]) -> Written:
    """Each text's parts."""
    parts = [_parts(text) for text in texts]
    columns = list(zip(*parts, strict=True)) if parts else [()] * 5
    return Written(
        [str(digits) for digits in columns[0]],
        np.array(columns[1], dtype=bool),
        np.array(columns[2], dtype=object),
        np.array(columns[3], dtype=bool),
        np.array(columns[4], dtype=bool),
    )


def _parts(text: str) -> tuple[str, bool, str, bool, bool]:
    found = _VALUE.fullmatch(text.strip())
    if found is None:
        return "", False, "", False, False
    opened, closed = (sum(found[f"{name}{i}"] is not None for i in ("", "2")) for name in ("open", "close"))
    signs = [sign for sign in (found["sign"], found["sign2"], found["minus"]) if sign]
    ok = opened == closed and opened + len(signs) <= 1 and not (found["before"] and found["after"])
    unit = (found["before"] or found["after"] or "").rstrip(".")
    negative = opened == 1 or (len(signs) == 1 and signs[0] != "+")
    return found["digits"], negative, PERCENT.get(unit, unit), signs == ["+"], ok


@cache
def _digits_of(style: str) -> re.Pattern[str]:
    """The digits of a style. With commas the Indian grouping 12,34,567 fits as well: it has the same value."""
    group, decimal = (re.escape(marks) for marks in STYLES[style])
    inner = "{2,3}" if group == "," else "{3}"
    grouped = rf"[1-9][0-9]{{0,2}}(?:[{group}][0-9]{inner})*[{group}][0-9]{{3}}|" if group else ""
    return re.compile(rf"(?:(?:{grouped}[0-9]+)(?:{decimal}[0-9]*)?|{decimal}[0-9]+)(?:[eE][+-]?[0-9]+)?")


def fits(written: Written, style: str) -> np.ndarray:
    """Whether each text's digits are written in this style, bool [N]."""
    pattern = _digits_of(style)
    return np.asarray(
        written.ok & np.array([pattern.fullmatch(d) is not None for d in written.digits], dtype=bool)
    )


def values(written: Written, style: str, chosen: np.ndarray) -> np.ndarray:
    """float64 [N]: the texts that are `chosen`, which fit the style, as numbers; NaN for the others."""
    group, decimal = STYLES[style]
    table = str.maketrans({**dict.fromkeys(group, None), decimal: "."})
    found = np.full(len(written.digits), np.nan)
    for i in np.flatnonzero(chosen):
        found[i] = float(written.digits[i].translate(table))
    return np.where(written.negative, -found, found)


def has_leading_zeros(texts: Sequence[str]) -> bool:
    """Whether a whole number begins with a zero that has no value, as in codes such as 007."""
    return any(_PADDED.fullmatch(text) for text in texts)


_PADDED = re.compile(r"\s*[+-]?0[0-9]+\s*")


def are_codes(texts: Sequence[str], style: str) -> bool:
    """Whether texts that fit a style may be codes: letters at whole numbers (USD100), or telephone numbers.

    Telephone numbers are groups with blanks that have as many digits each, or a plus each.
    """
    if all(_LETTERS_AND_DIGITS.fullmatch(text) for text in texts):
        return True
    if not set(STYLES[style][0]) & set(_BLANKS):
        return False
    written = split(texts)
    if any(STYLES[style][1] in digits for digits in written.digits):
        return False
    sizes = {sum(letter.isdigit() for letter in digits) for digits in written.digits}
    return bool(written.plus.all()) or (len(sizes) == 1 and min(sizes) >= _SAME_DIGITS and not any(written.unit))


_LETTERS_AND_DIGITS = re.compile(r"[A-Za-z]+[0-9]+|[0-9]+[A-Za-z]+")


def all_bracketed(texts: Sequence[str]) -> bool:
    """Whether all numbers are negative by brackets or a minus behind them: (2024) may be a year."""
    return all(text.strip().endswith((")", *MINUS)) for text in texts)


def common_word(texts: Sequence[str]) -> str | None:
    """The word behind the number in every text, such as kg, if it is the same in all."""
    found = [_WITH_WORD.fullmatch(text.strip()) for text in texts[:_FEW]]
    if not found or None in found or len({match["word"] for match in found if match}) > 1:
        return None
    matches = [_WITH_WORD.fullmatch(text.strip()) for text in texts]
    words = {match["word"] if match else None for match in matches}
    return words.pop() if len(words) == 1 else None


_FEW = 20
_WITH_WORD = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)*\s*(?P<word>[^\W\d_]{2,8}[23²³]?|°[CF])")


def preferred(styles: Sequence[str], currency: bool) -> list[str]:
    """Styles that all fit, the likeliest first: amounts of money have no three decimals."""
    last = ("number", "decimal_comma") if currency else ("decimal_comma",)
    return sorted(styles, key=lambda style: (style in last, list(STYLES).index(style)))
