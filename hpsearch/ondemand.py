"""A sequence whose items are made when they are asked for: of 100,000 trials a resumed search looks at a few."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, overload

_T = TypeVar("_T")


class OnDemand(Sequence[_T]):
    """`make(n)` for n below `count`, each made once."""

    def __init__(self, count: int, make: Callable[[int], _T]) -> None:
        self._count, self._make = count, make
        self._made: dict[int, _T] = {}

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[_T]:
        return (self[number] for number in range(self._count))

    @overload
    def __getitem__(self, place: int) -> _T: ...

    @overload
    def __getitem__(self, place: slice) -> list[_T]: ...

    def __getitem__(self, place: int | slice) -> _T | list[_T]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(self._count))]
        number = range(self._count)[place]
        if number not in self._made:
            self._made[number] = self._make(number)
        return self._made[number]
