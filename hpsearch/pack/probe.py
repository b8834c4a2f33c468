"""Tries a shape of net out before its trials are packed: which way forward, and how many rows at once."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from hpsearch.data.dataset import Arrays
from hpsearch.pack import fused
from hpsearch.pack.train import Pack, Settings

_TRIES, _TRIED_S = 4, 0.03  # steps and seconds at least, of which the fastest counts: others share the machine
_WORTH = 0.95  # more rows must cut the time of a row by a twentieth


@dataclass(frozen=True)
class Probe:
    """What was measured. `ms`: milliseconds of one training step of one row, by way forward and number of rows."""

    forward: str
    rows: int
    row_ms: float
    why: str
    ms: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def untried(rows: int, why: str) -> Probe:
    """Of a shape that cannot be tried out: the plain loop, which tells most clearly what is wrong."""
    return Probe("loop", rows, 1.0, f"cannot be tried out: {why}", {})


def probe(
    settings: Settings,
    arrays: Arrays,
    params: Sequence[Mapping[str, Any]],
    most: int,
    memory_bytes: float,
    alive: Callable[[], None] = lambda: None,
) -> Probe:
    """Measures trials of one shape, images that grow at their full size.

    `most` is the largest number of rows to try, `memory_bytes` what a pack may take. `alive` is called after each
    step.
    """
    params = [{**one, "image_start": 0} for one in params]
    if most == 1:
        return Probe("loop", 1, _measure(settings, arrays, params[:1], "loop", alive)[0], "one row", {})
    row_ms, row_bytes = _measure(settings, arrays, params[:1], "loop", alive)
    ms = {"loop": row_ms}
    limit = max(1, min(most, int(memory_bytes // max(row_bytes, 1))))
    best = Probe("loop", limit, row_ms, "loop is the faster", ms)
    trial = Pack.start(settings, arrays, range(min(limit, len(params), 4)), params[: min(limit, 4)])
    together = "fused" if fused.fits(trial.rows) else "vmap"
    trial.settings = replace(settings, forward=together)
    reason = trial.check()
    if reason is not None:
        return Probe("loop", limit, row_ms, reason, ms)
    chosen, in_vain = float("inf"), 0
    for rows in _sizes(limit):
        some = [params[i % len(params)] for i in range(rows)]
        took, _ = _measure(settings, arrays, some, together, alive)
        ms[f"{together} {rows}"] = took
        if took > chosen * _WORTH:
            in_vain += 1
            if in_vain == 2:
                break  # more rows no longer pay
            continue
        chosen, in_vain = took, 0
        if took < row_ms:
            best = Probe(together, rows, took, f"{together} is the faster", ms)
    return best


def _sizes(limit: int) -> list[int]:
    """Numbers of rows to try: powers of two from 8, then the limit."""
    return [size for size in (8, 16, 32, 64, 128, 256, 512, 1024) if size < limit] + [limit]


def _measure(
    settings: Settings,
    arrays: Arrays,
    params: Sequence[Mapping[str, Any]],
    forward: str,
    alive: Callable[[], None],
) -> tuple[float, float]:
    """Milliseconds of a step, and bytes of memory, a trial."""
    pack = Pack.start(replace(settings, forward=forward), arrays, range(len(params)), params)
    order_KN = pack.order()
    pack.steps_alone(order_KN, 1)
    _synchronise(settings.device)
    took: list[float] = []
    while len(took) < _TRIES or sum(took) < _TRIED_S:
        began = time.perf_counter()
        pack.steps_alone(order_KN, 1)
        _synchronise(settings.device)
        took.append(time.perf_counter() - began)
        alive()
    return min(took) * 1000 / len(params), _bytes(pack) * len(pack.records) / len(params)


def _bytes(pack: Pack) -> float:
    """θ, its gradient, moments, workspace and best copy, three times what the layers put out, the order."""
    outputs: list[int] = []
    net = pack.rows.modules[0]
    leaves = [m for m in net.modules() if not list(m.children())]
    hooks = [m.register_forward_hook(lambda _m, _i, out: outputs.append(_numel(out))) for m in leaves]
    with torch.no_grad():
        net.eval()(pack.examples.x[: pack.batch])
    for hook in hooks:
        hook.remove()
    itemsize = pack.rows.theta.element_size()
    kept = int(np.prod(pack.examples.y_validation.shape)) * pack.arrays.target.outputs
    order = 16 * len(pack.examples) if pack.settings.device == "cpu" else 0
    return float(itemsize * (7 * pack.rows.theta.shape[1] + 3 * sum(outputs) + 2 * kept) + order)


def _numel(out: Any) -> int:
    """The numbers in what a layer puts out: a tensor, or tensors in tuples (as an LSTM's)."""
    if isinstance(out, torch.Tensor):
        return out.numel()
    return sum(map(_numel, out)) if isinstance(out, list | tuple) else 0


def _synchronise(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()
