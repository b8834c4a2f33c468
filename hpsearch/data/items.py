"""A torch Dataset, or whatever has a length and items, as arrays: every item copied, some of them read twice."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hpsearch.data.arrays import to_array
from hpsearch.errors import UserError

AUGMENTATION = ("shift", "flip", "rotation", "scale", "erasing", "brightness", "contrast", "noise")  # of images
OTHERWISE = ("noise", "mixup")
_TWICE = 64  # items that are read again: a change with a chance of 0.1 escapes all of them once in 800 times
_PAIRS = "its items must be pairs (x, y)"


def read_items(given: Any, what: str) -> tuple[np.ndarray, list[Any]]:
    """Inputs [N, ...], and the target of each item.

    Raises:
        UserError: items are no pairs, of several shapes, or others when they are read again.
    """
    count = _length(given, what)
    first_x, _ = _item(given, 0, what)
    x = np.empty((count, *first_x.shape), dtype=first_x.dtype)
    y: list[Any] = []
    for i in range(count):
        one, target = _item(given, i, what)
        if one.shape != x.shape[1:]:
            raise UserError(
                f"{what} gave a Dataset of inputs of several shapes: {list(x.shape[1:])} in item 0, "
                f"{list(one.shape)} in item {i}"
            )
        if one.dtype != x.dtype:
            x = x.astype(np.result_type(x.dtype, one.dtype) if _numeric(x, one) else object, copy=False)
        x[i] = one
        y.append(target)
    if _length(given, what) != count:
        raise UserError(
            f"{what} gave a Dataset whose length changed from {count} to {len(given)} while it was read"
        )
    _refuse_changing(given, x, y, what)
    return x, y


def _numeric(*arrays: np.ndarray) -> bool:
    return all(array.dtype.kind in "fiubc" for array in arrays)


def _length(given: Any, what: str) -> int:
    count = len(given)
    if count == 0:
        raise UserError(f"{what} gave a Dataset without items")
    return count


def _item(given: Any, i: int, what: str) -> tuple[np.ndarray, Any]:
    """A copy of an item's input, and its target as a Python value."""
    pair = given[i]
    if isinstance(pair, Mapping):
        keys = ", ".join(map(repr, pair))
        raise UserError(f"{what} gave a Dataset whose items are mappings of {keys}; {_PAIRS}")
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        told = f"{len(pair)} values each" if isinstance(pair, tuple | list) else f"{type(pair).__name__} values"
        raise UserError(f"{what} gave a Dataset whose items are no pairs (x, y), but {told}; {_PAIRS}")
    return _input(pair[0], i, what), _target(pair[1], i, what)


def _input(value: Any, i: int, what: str) -> np.ndarray:
    if np.isscalar(value) or value is None:
        return np.array(value)
    return np.array(to_array(value, f"{what}: the input of item {i}"), copy=True)  # a Dataset may reuse its buffer


def _target(value: Any, i: int, what: str) -> Any:
    if np.isscalar(value) or value is None:
        return value.item() if isinstance(value, np.generic) else value
    if not hasattr(value, "shape") and not isinstance(value, tuple | list):
        return value  # a Python object, which is judged with the others
    found = to_array(value, f"{what}: the target of item {i}")
    if found.size == 1:
        return found.reshape(-1)[0].item() if found.dtype != object else found.reshape(-1)[0]
    flat = found.reshape(-1)
    hot = found.dtype.kind in "fiub" and bool(np.isin(flat, (0, 1)).all()) and flat.sum() == 1
    advice = "give the class of a one-hot target, its argmax()" if hot else "several targets are not supported"
    raise UserError(f"{what} gave a Dataset whose targets have {found.size} values each; {advice}")


def _refuse_changing(given: Any, x: np.ndarray, y: list[Any], what: str) -> None:
    """Read some items again, in another order than before."""
    names = AUGMENTATION if x.ndim in (3, 4) else OTHERWISE
    for i in np.unique(np.linspace(0, len(y) - 1, min(_TWICE, len(y))).astype(int))[::-1].tolist():
        one, target = _item(given, i, what)
        part = None if _same(one, x[i]) else "input"
        part = part or (None if target == y[i] or (target != target and y[i] != y[i]) else "target")
        if part is not None:
            raise UserError(
                f"{what} gave a Dataset whose items differ from read to read: item {i} has another {part} when it "
                "is read again, by a random transform, or because reading changes what is stored. Training would "
                "be frozen to one random draw, and no later launch could recognise the data. Leave random "
                f"transforms out of it; augmentation is parameters of the study ({', '.join(names)})"
            )


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")
