"""Names that are probably one, and names that are probably none."""

import pytest

from hpsearch.data.lookalikes import pairs, strangers


@pytest.mark.parametrize(
    ("names", "how"),
    [
        (("yes", "Yes"), "differ only by case"),
        (("a", "a "), "differ only by blanks"),
        (("New York", "new  york"), "differ only by case and blanks"),
        (("01", "1"), "are the same number"),
        (("1", "1.0"), "are the same number"),
        (("+1", "1"), "are the same number"),
        (("ａｂ", "ab"), "differ only by how letters are encoded"),
        (("caf\u00e9", "cafe\u0301"), "differ only by how letters are encoded"),
        (("<=50K", "<=50K."), "differ only by punctuation"),
        (("new-york", "new_york"), "differ only by punctuation"),
        (("yes", "\u200byes"), "differ only by punctuation"),
        (("New York", "new_york"), "look alike"),
    ],
)
def test_names_that_mean_the_same_are_told(names: tuple[str, str], how: str) -> None:
    counts = {names[0]: 120, names[1]: 3, "other": 50}
    assert pairs(counts) == [f"{names[0]!r} (120 rows) and {names[1]!r} (3 rows) {how}"]


@pytest.mark.parametrize(
    "names",
    [
        ["a", "b", "ab"], ["A", "A+", "A-", "B"], ["+", "-"], ["C", "C++", "C#"], ["-1", "1"], ["0", "1", "10"],
        [*"abcdefABCDEF"], ["<=50K", ">50K"], ["1", "1.5", "2"], ["cat", "cats"], ["a b", "a", "b"], ["é", "e"],
    ],
)  # fmt: skip
def test_names_of_their_own_are_not(names: list[str]) -> None:
    assert pairs(dict.fromkeys(names, 10)) == []


RUN = {str(i): 60 for i in range(5)}


@pytest.mark.parametrize(
    ("counts", "name"),
    [
        ({"-1": 1} | RUN, "'-1' (1 row) lies outside the others, 0 to 4"),
        ({"-1": 12} | RUN, "'-1' (12 rows) lies outside the others, 0 to 4"),
        (RUN | {"99": 60}, "'99' (60 rows) lies outside the others, 0 to 4"),
        (RUN | {"17": 2}, "'17' (2 rows) lies outside the others, 0 to 4"),
        ({"-999": 50} | RUN, "'-999' (50 rows) lies outside the others, 0 to 4"),
        ({"": 3, "a": 9}, "'' (3 rows) reads like a missing label"),
        ({"nan": 3} | RUN, "'nan' (3 rows) reads like a missing label"),
        ({"?": 3, "yes": 9, "no": 9}, "'?' (3 rows) reads like a missing label"),
    ],
)
def test_a_sign_of_a_missing_label_is_told(counts: dict[str, int], name: str) -> None:
    assert strangers(counts) == [name]


@pytest.mark.parametrize(
    "counts",
    [
        {"-1": 50, "1": 50}, {"-1": 9, "0": 50, "1": 50}, RUN, RUN | {"5": 2}, {"-1": 60} | RUN,
        {"1": 70, "2": 76, "3": 17, "5": 13, "6": 9, "7": 29}, {"none": 3, "mild": 9}, {"0": 9, "1": 9},
        {"-2": 20, "-1": 30} | RUN, {"3": 60, "4": 60, "5": 60, "6": 58, "8": 50},
    ],
)  # fmt: skip
def test_classes_of_their_own_are_no_strangers(counts: dict[str, int]) -> None:
    assert strangers(counts) == []
