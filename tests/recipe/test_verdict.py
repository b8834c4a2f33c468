"""What a check says, in words and in JSON."""

import pytest

from hpsearch.recipe.verdict import Finding, judged, percent, some


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.5, "50 %"),
        (0.0537, "5.4 %"),
        (0.00042, "0.04 %"),
        (0.9991, "99.91 %"),
        (0.995, "99.50 %"),
    ],
)
def test_a_share_is_told_with_the_digits_that_it_needs(share: float, told: str) -> None:
    assert percent(share) == told


def test_a_pass_asks_for_nothing() -> None:
    assert judged(False, False, "1", "1", "do this", [3]) == Finding("pass", "1", "1")
    assert judged(True, True, "2", "1", "do this", [3]) == Finding("fail", "2", "1", "do this", (3,))
    assert judged(False, True, "2", "1", "do this").verdict == "warn"


def test_a_finding_is_an_entry_of_check_json() -> None:
    entry = Finding("warn", "2", "1", "do this", (3, 4)).to_json("D2.leakage")
    assert entry == {
        "id": "D2.leakage", "verdict": "warn", "measured": "2", "expected": "1", "advice": "do this",
        "rows": [3, 4],
    }  # fmt: skip


def test_long_lists_are_cut() -> None:
    assert some([1, 2], 3) == "1, 2"
    assert some(range(5), 3) == "0, 1, 2 and 2 more"
