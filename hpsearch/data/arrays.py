"""Whatever holds numbers or words as a numpy array, or a refusal with its type.

Of each kind of container the values arrive as they are meant: a hidden value of a masked array never does.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence, Set, ValuesView
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.data.raw import MOST_BYTES
from hpsearch.errors import UserError

_SCALARS = (bool, int, float, complex, str, bytes)
_READABLE = "give an array, a tensor, a data frame or a list"


def to_array(value: Any, what: str) -> np.ndarray:
    """An array of whatever dtype, not necessarily a copy; `what` names the value in errors.

    Raises:
        UserError: it holds hidden values, values of several shapes, or none.
    """
    for is_of, read in _CONTAINERS:
        if is_of(value):
            return read(value, what)
    if any(hasattr(value, name) for name in ("__array__", "__array_interface__", "__buffer__", "__dlpack__")):
        return np.asarray(value)
    raise UserError(f"{what} is {_type(value)}; {_READABLE}")


def is_tensor(value: Any) -> bool:
    """Whether it is a tensor of torch, without importing torch for it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_sparse(value: Any) -> bool:
    """Whether it is a sparse matrix or array of scipy."""
    scipy = sys.modules.get("scipy.sparse")
    return scipy is not None and bool(scipy.issparse(value))


def is_picture(value: Any) -> bool:
    """Whether it is an image of Pillow."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(value, pillow.Image)


def is_arrow(value: Any) -> bool:
    """Whether it hands itself over as Arrow data, as tables of pyarrow and polars do; pandas' own aside."""
    return any(hasattr(value, name) for name in ("__arrow_c_stream__", "__arrow_c_array__"))


def from_arrow(value: Any) -> pd.DataFrame | pd.Series:
    """A table or a column of Arrow data, as pandas has it."""
    import pyarrow

    if not hasattr(value, "__arrow_c_stream__"):
        return pyarrow.array(value).to_pandas()  # type: ignore[no-any-return]
    try:
        return pyarrow.table(value).to_pandas()  # type: ignore[no-any-return]
    except pyarrow.ArrowInvalid:  # a single column
        return pyarrow.chunked_array(value).to_pandas()  # type: ignore[no-any-return]


def _masked(value: np.ma.MaskedArray, what: str) -> np.ndarray:
    if value.dtype.names is None and np.ma.is_masked(value):
        hidden = np.argwhere(np.ma.getmaskarray(value))
        place = f", the first in row {hidden[0][0]}" if value.ndim else ""
        raise UserError(
            f"{what} is a masked array that hides {len(hidden)} values{place}; fill them (x.filled(…)), or give "
            "a DataFrame, which may have missing values"
        )
    return np.asarray(value.data)


def _tensor(value: Any, what: str) -> np.ndarray:
    if getattr(value, "is_nested", False):
        raise UserError(f"{what} is a nested tensor, of several shapes; give one of a single shape")
    if value.device.type == "meta":
        raise UserError(f"{what} is a tensor on the meta device, which holds no values")
    value = value.detach()
    value = value.dequantize() if value.is_quantized else value
    if str(value.layout) != "torch.strided":
        _refuse_large(value.shape, value.element_size(), what)
        value = value.to_dense()
    value = value.cpu().resolve_conj().resolve_neg()
    try:
        return np.asarray(value.numpy())
    except TypeError:  # bfloat16 and the kinds of float8
        return np.asarray(value.float().numpy())


def _sparse(value: Any, what: str) -> np.ndarray:
    _refuse_large(value.shape, value.dtype.itemsize, what)
    return np.asarray(value.toarray())


def _refuse_large(shape: Sequence[int], bytes_each: int, what: str) -> None:
    if float(np.prod([float(n) for n in shape])) * bytes_each > MOST_BYTES:
        raise UserError(
            f"{what} is sparse, and all {list(shape)} of its numbers would fill the memory; reduce it first, such "
            "as by TruncatedSVD"
        )


def _picture(value: Any, what: str) -> np.ndarray:
    from hpsearch.data.picture import as_seen

    if value.mode[0] in "IF":  # more than 8 bits, which an array keeps
        return np.asarray(value)[None]
    return as_seen(value, None, what).pixels


def _frame(value: pd.DataFrame, what: str) -> np.ndarray:
    for at, dtype in enumerate(value.dtypes):
        if isinstance(dtype, pd.CategoricalDtype):
            raise UserError(
                f"{what}: the column {value.columns[at]!r} holds categories; give one DataFrame with the target "
                "among its columns, and name it as data.target"
            )
    plain = all(isinstance(dtype, np.dtype) for dtype in value.dtypes)
    return value.to_numpy() if plain else value.to_numpy(dtype=object)


def _series(value: Any, what: str) -> np.ndarray:
    return np.asarray(value) if isinstance(value.dtype, np.dtype) else np.asarray(value, dtype=object)


def _arrow(value: Any, what: str) -> np.ndarray:
    return to_array(from_arrow(value), what)


def _list(value: Any, what: str) -> np.ndarray:
    """A list of numbers, words, lists or arrays; those of more than one type stay what they are."""
    kinds = _kinds(value)
    if any(map(_is_container, kinds)):
        return _stacked([_one(one, f"{what}: row {i}") for i, one in enumerate(value)], what)
    if len(kinds) > 1 or not all(kind in _SCALARS or issubclass(kind, np.generic) for kind in kinds):
        found = np.empty(len(value), dtype=object)
        found[:] = list(value)
        return found
    found = np.asarray(value)
    return np.array(value, dtype=object) if kinds == {int} and found.dtype.kind == "f" else found  # beyond 64 bits


def _one(value: Any, what: str) -> np.ndarray:
    return np.array(value) if value is None or np.isscalar(value) else to_array(value, what)


def _kinds(value: Any) -> set[type]:
    return set(map(type, value))


def _is_container(kind: type) -> bool:
    """Whether values of a type are arrays or lists themselves; words and numpy's scalars are not."""
    if issubclass(kind, (np.generic, str, bytes, bytearray)):
        return False
    arrays = any(hasattr(kind, name) for name in ("__array__", "__array_interface__", "__arrow_c_array__"))
    return arrays or issubclass(kind, Sequence) or kind.__module__.startswith("scipy.sparse")


def _stacked(arrays: Sequence[np.ndarray], what: str) -> np.ndarray:
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        some = ", ".join(str(list(shape)) for shape in sorted(shapes)[:3])
        raise UserError(f"{what} holds values of several shapes: {some}")
    if len({array.dtype.kind for array in arrays} - set("biuf")) > 0:
        arrays = [array.astype(object) for array in arrays]
    return np.stack(arrays)


def _no_rows(value: Any, what: str) -> np.ndarray:
    raise UserError(f"{what} is {_type(value)}, which is no sequence of rows; {_READABLE}")


def _used_up(value: Any, what: str) -> np.ndarray:
    raise UserError(f"{what} is {_type(value)}, which is used up by reading; give list(…) of it")


def _type(value: Any) -> str:
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


# the first that fits
_CONTAINERS: list[tuple[Callable[[Any], bool], Callable[[Any, str], np.ndarray]]] = [
    (lambda value: isinstance(value, np.ma.MaskedArray), _masked),
    (lambda value: isinstance(value, np.ndarray | memoryview), lambda value, what: np.asarray(value)),
    (is_tensor, _tensor),
    (is_sparse, _sparse),
    (is_picture, _picture),
    (lambda value: isinstance(value, pd.DataFrame), _frame),
    (
        lambda value: isinstance(value, pd.Series | pd.Index | pd.api.extensions.ExtensionArray),
        _series,
    ),
    (lambda value: isinstance(value, str | bytes | bytearray | Set | Mapping | ValuesView), _no_rows),
    (lambda value: isinstance(value, Iterator), _used_up),
    (
        lambda value: type(value).__module__.partition(".")[0] == "pyarrow",
        lambda v, what: to_array(v.to_pandas(), what),
    ),
    (is_arrow, _arrow),
    (lambda value: isinstance(value, Sequence) or hasattr(value, "popleft"), _list),
]
