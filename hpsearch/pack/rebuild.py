"""Proof that a row's stored state is the whole net: rebuilt from it, the net predicts what the trained one did.

A net of the user's may keep what it learned in places that no state holds: a layer in a Python list, a tensor in
an attribute, a global. Such a net scores well in training, and the net built from its state is another one.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from hpsearch.data.dataset import Arrays, Target
from hpsearch.nets.build import Net
from hpsearch.nets.shape import Factory
from hpsearch.nets.unregistered import unregistered_names
from hpsearch.pack.checkpoint import RowState
from hpsearch.pack.examples import held_out
from hpsearch.pack.net import whole_net

TOLERANCE = 1e-2  # of probabilities, or of the target's spread; rounding is a hundredth of it
_PART = 512  # examples at a time, as a pack predicts them
ADVICE = (
    "Register what a net learns (nn.ModuleList or nn.Sequential for layers, register_buffer for tensors), and "
    "keep nothing of it in globals"
)


def rebuild_failure(
    factory: Factory, state: RowState, arrays: Arrays, which: str = "best", device: str = "cpu"
) -> str | None:
    """Return why the net of a row's state does not reproduce the stored predictions, or None.

    Args:
        state: with the tensors `<which>.theta`, its buffers and `<which>.prediction`: log-probabilities [N, C] or
            values [N] of the validation part, or of the fold that the row held out.
    """
    stored = state.tensors[f"{which}.prediction"]
    x = arrays.validation.x
    if state.record.fold is not None and arrays.folds is not None:
        x = x[held_out(arrays.folds)[state.record.fold]]
    try:
        net = whole_net(factory, state, arrays, which).to(device)
        found, again = (predictions(net, x, arrays.target, device, seed) for seed in (1, 2))
    except Exception as error:
        words = " ".join(str(error).split())[:300]
        return f"the net cannot be rebuilt from the trial's state: {type(error).__name__}: {words}"
    if distance(found, stored, arrays.target) <= TOLERANCE:
        return None
    return _reason(net, distance(found, stored, arrays.target), distance(found, again, arrays.target))


def fail_unless_rebuilt(states: Iterable[RowState], net: Net, arrays: Arrays, device: str = "cpu") -> None:
    """Mark the rows that ended, and whose nets do not reproduce their best predictions, as failed.

    The user's code is imported once more for it, so that what it keeps in globals is as in another process.
    """
    factory = net.factory(fresh=True)
    for state in states:
        record = state.record
        if record.ended and record.failure is None and "best.prediction" in state.tensors:
            record.failure = rebuild_failure(factory, state, arrays, device=device)


def _reason(net: nn.Module, apart: float, from_pass_to_pass: float) -> str:
    if from_pass_to_pass > TOLERANCE:
        return (
            "the net's predictions change from pass to pass in evaluation mode "
            f"(by up to {from_pass_to_pass:.2g}): it draws random numbers, or carries state from batch to batch. "
            "A net must predict alike in each pass: functional dropout needs training=self.training"
        )
    names = unregistered_names(net)
    outside = f" Tensors outside: {', '.join(names[:4])}{', …' if len(names) > 4 else ''}." if names else ""
    return (
        "a net rebuilt from the trial's parameters and buffers does not reproduce its validation predictions "
        f"(they differ by up to {apart:.2g}).{outside} {ADVICE}"
    )


@torch.no_grad()
def predictions(net: nn.Module, x: np.ndarray, target: Target, device: str = "cpu", seed: int = 0) -> Tensor:
    """Log-probabilities [N, C] or values [N] in the target's units, on the CPU, of inputs as `arrays` has them.

    `seed`: of what the net draws itself, so that nothing agrees because two streams began alike.
    """
    dtype = next(parameter.dtype for parameter in net.parameters())
    parts = (torch.from_numpy(x[at : at + _PART].copy()).to(device) for at in range(0, len(x), _PART))
    with torch.random.fork_rng(devices=[] if device == "cpu" else [device]):
        torch.manual_seed(seed)
        outputs = torch.cat([net(part.to(dtype)) for part in parts]).cpu()
    if target.task == "classification":
        return log_softmax(outputs, dim=-1)
    return outputs.squeeze(-1).double() * target.std + target.mean


def distance(a: Tensor, b: Tensor, target: Target) -> float:
    """The largest difference of two predictions: of probabilities, or of values in the target's spread.

    Values far outside the target's spread count relative to their size, as float32 rounds them.
    """
    if a.shape != b.shape:
        return float("inf")
    if target.task == "classification":
        return float((a.double().exp() - b.double().exp()).abs().max().nan_to_num(torch.inf))
    size = max(target.std, float(b.abs().max()) * 1e-2)
    return float(((a - b).abs().max() / size).nan_to_num(torch.inf))
