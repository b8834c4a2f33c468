"""What identifies data as they were read, in little: enough to say how other data differ."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.data.raw import Raw

_SAMPLE = 200  # rows whose hashes are kept
_AT_ONCE = 1024  # rows of arrays, which may be large images
_MIX = np.uint64(0x9E3779B97F4A7C15)


def sketch(raw: Raw) -> dict[str, Any]:
    """The number of rows, a hash of them in any order, and hashes of some of them in their order."""
    rows = row_hashes(raw)
    with np.errstate(over="ignore"):
        together = int((rows * (rows | np.uint64(1))).sum(dtype=np.uint64))
    return {
        "rows": len(rows),
        "together": f"{together:016x}",
        "some": [f"{row:016x}" for row in rows[_places(rows)]],
    }


def row_hashes(raw: Raw) -> np.ndarray:
    """A number for each row, uint64 [N], that depends on all its values and its part."""
    if raw.table is not None:
        found = _table_hashes(raw.table)
    else:
        assert raw.x is not None and raw.y is not None
        with np.errstate(over="ignore"):
            found = _array_hashes(raw.x) * _MIX ^ _table_hashes(pd.DataFrame({"y": raw.y}))
    if raw.part is not None:
        found = found ^ _table_hashes(pd.DataFrame({"part": raw.part.astype(object)}))
    return found


def difference(before: Any, now: dict[str, Any]) -> str:
    """How two sketches differ, in words; nothing if they do not, or if the first is none."""
    try:
        rows, together, some = before["rows"], before["together"], before["some"]
    except (TypeError, KeyError):
        return ""
    if rows != now["rows"]:
        return f"it has {now['rows']} rows, and had {rows}"
    if some == now["some"] and together == now["together"]:
        return ""
    if together == now["together"]:
        return "the same rows came in another order"
    places = _places(np.arange(rows))
    other = [int(place) for place, a, b in zip(places, some, now["some"], strict=False) if a != b]
    if not other:
        return f"rows differ, though none of {len(some)} that were compared"
    return f"{len(other)} of {len(some)} rows that were compared differ, the first is row {other[0]}"


def _places(rows: np.ndarray) -> np.ndarray:
    """The rows whose hashes are kept, spread over all."""
    return np.unique(np.linspace(0, max(len(rows) - 1, 0), min(_SAMPLE, len(rows))).astype(np.int64))


def _table_hashes(table: pd.DataFrame) -> np.ndarray:
    columns = [_column_hashes(table[name]) * np.uint64(2 * i + 3) for i, name in enumerate(table)]
    with np.errstate(over="ignore"):
        return np.asarray(np.stack(columns).sum(0, dtype=np.uint64))


def _column_hashes(column: "pd.Series[Any]") -> np.ndarray:
    try:
        return pd.util.hash_pandas_object(column, index=False).to_numpy()
    except (TypeError, ValueError):  # values that pandas cannot hash
        words = (hashlib.blake2b(repr(value).encode(), digest_size=8).digest() for value in column)
        return np.array([int.from_bytes(word, "little") for word in words], dtype=np.uint64)


def _array_hashes(x: np.ndarray) -> np.ndarray:
    width = -(-x[0].nbytes // 8)
    odd = np.random.default_rng(0).integers(0, 2**63, width, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    found = np.empty(len(x), dtype=np.uint64)
    for start in range(0, len(x), _AT_ONCE):
        block = np.ascontiguousarray(x[start : start + _AT_ONCE])
        raw = np.zeros((len(block), width * 8), dtype=np.uint8)
        raw[:, : x[0].nbytes] = block.reshape(len(block), -1).view(np.uint8)
        words = raw.view(np.uint64)
        with np.errstate(over="ignore"):
            found[start : start + _AT_ONCE] = ((words ^ (words >> np.uint64(29))) * odd).sum(1, dtype=np.uint64)
    return found ^ (found >> np.uint64(32))
