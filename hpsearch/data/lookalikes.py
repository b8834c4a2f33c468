"""Names of classes or categories that probably mean the same, or nothing."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from hpsearch.data import cells

_PLACEHOLDERS = {"", "?", "nan", "NaN", "NAN", "NA", "N/A", "n/a", "#N/A", "null", "NULL", "Null", "<NA>", "NaT"}
_CODES = {sign * number for number in (9, 99, 999, 9999) for sign in (1, -1)} | {-1, 255}  # of what is missing
_LETTERS = 5  # pairs such as a and A: a study of letters, in which case has a meaning
_RUN = 3  # whole numbers without a gap


def groups(names: Sequence[str]) -> list[list[str]]:
    """Return the names that are alike but for case, blanks, punctuation, or the spelling of a number."""
    found = defaultdict(list)
    for name in names:
        found[_folded(name)].append(name)
    alike = [group for group in found.values() if len(group) > 1]
    letters = [group for group in alike if all(len(name) == 1 for name in group)]
    return [group for group in alike if group not in letters or len(letters) < _LETTERS]


def _folded(name: str) -> str:
    """Return what is left of a name when everything is taken away that is easily mistyped."""
    text = unicodedata.normalize("NFKC", name).casefold()
    text = "".join(_plain(letter) for letter in text).strip()
    number = cells.parse(text)
    if number is not None:
        return cells.number_key(number)
    text = re.sub(r"(?<=\w)[-_\s]+(?=\w)|\s+", " ", text)
    return text.rstrip(" .,;:") or text


def _plain(letter: str) -> str:
    """Return one dash for all kinds of dashes, one quote for all kinds, nothing for invisible letters."""
    kind = unicodedata.category(letter)
    if kind == "Cf":
        return ""
    return "-" if kind == "Pd" or letter == "−" else "'" if letter in "‘’`´" else letter


def difference(group: Sequence[str]) -> str:
    """Return in words how the names of a group differ."""
    if all(cells.parse(name) is not None for name in group):
        return "are the same number"
    for words, fold in _FOLDS.items():
        if len({fold(name) for name in group}) == 1:
            return f"differ only by {words}"
    return "look alike"


_FOLDS: dict[str, Callable[[str], str]] = {
    "case": str.casefold,
    "blanks": lambda name: "".join(name.split()),
    "case and blanks": lambda name: "".join(name.split()).casefold(),
    "how letters are encoded": lambda name: unicodedata.normalize("NFKC", name),
    "punctuation": lambda name: re.sub(r"[\W_]", "", name),
}


def pairs(counts: Mapping[str, int]) -> list[str]:
    """Return a sentence for each group of names that are alike; `counts` are the rows of each name."""
    sentences = []
    for group in groups(list(counts)):
        names = sorted(group, key=lambda name: -counts[name])
        told = [f"{name!r} ({_rows(counts[name])})" for name in names[:4]]
        sentences.append(f"{' and '.join(told)} {difference(group)}")
    return sentences


def strangers(counts: Mapping[str, int]) -> list[str]:
    """Return a sentence for each class that looks like a sign of a missing label."""
    words = [name for name in counts if name.strip() in _PLACEHOLDERS]
    sentences = [f"{name!r} ({_rows(counts[name])}) reads like a missing label" for name in words]
    numbers = {int(name): name for name in counts if re.fullmatch("-?[0-9]{1,9}", name)}
    if len(numbers) < len(counts) - len(words) or len(numbers) <= _RUN:
        return sentences
    for number in (min(numbers), max(numbers)):
        others = {other: counts[name] for other, name in numbers.items() if other != number}
        if _is_outside(number, counts[numbers[number]], others):
            sentences.append(
                f"{numbers[number]!r} ({_rows(counts[numbers[number]])}) lies outside the others, "
                f"{min(others)} to {max(others)}"
            )
    return sentences


def _is_outside(number: int, rows: int, others: Mapping[int, int]) -> bool:
    """Whether a whole number is no member of the run that the others make, and seems to be no class."""
    low, high = min(others), max(others)
    if high - low + 1 != len(others):
        return False
    usual = median(others.values())
    if number in (low - 1, high + 1):  # it goes on with the run, unless it is the only one below zero
        return number < 0 <= low and rows <= usual / 3
    return rows <= usual / 2 or number in _CODES


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"
