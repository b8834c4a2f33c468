"""Items that are made when they are asked for."""

from hpsearch.ondemand import OnDemand


def test_it_is_a_sequence_and_makes_each_item_once() -> None:
    made: list[int] = []

    def make(number: int) -> int:
        made.append(number)
        return 10 * number

    found = OnDemand(5, make)
    assert len(found) == 5
    assert (found[1], found[-1], found[1:3], found[4:]) == (10, 40, [10, 20], [40])
    assert made == [1, 4, 2]
    assert list(found) == [0, 10, 20, 30, 40]
    assert sorted(made) == [0, 1, 2, 3, 4]
