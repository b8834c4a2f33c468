"""R2.state: what training changes is in the net's parameters and buffers, so a rebuilt net is the trained one."""

from copy import copy

import torch
from torch import Tensor, nn

from hpsearch.nets.build import NETS
from hpsearch.nets.layers import Dropout
from hpsearch.nets.unregistered import differing
from hpsearch.pack.rebuild import ADVICE, TOLERANCE, distance
from hpsearch.recipe.bench import Bench
from hpsearch.recipe.verdict import Finding, judged, skipped, some

_PART = 512  # examples at a time


def registered(bench: Bench) -> Finding:
    """R2.state: a net with the trained one's parameters and buffers, and nothing else of it, predicts the same.

    A checkpoint, a resumed trial and an export have only parameters and buffers. Layers in a Python list, tensors
    in attributes and globals are lost.
    """
    if bench.prepared.net.name in NETS:
        return judged(False, False, f"the plain {bench.prepared.net.name}", "a rebuilt net predicts the same", "")
    if bench.baseline.failure is not None:
        return judged(True, False, bench.baseline.failure, "a run to its end", "see R2")
    trained, rebuilt = bench.baseline.nets[0], _fresh(bench).net(trial=1)
    missing = _take_state(rebuilt, trained)
    names = [*missing, *(name for name in differing(trained, rebuilt) if name not in missing)]
    x = bench.held_out()
    evaluated, again, other = (bench.told(_outputs(net.eval(), x)) for net in (trained, trained, rebuilt))
    apart, by_itself = distance(other, evaluated, bench.target), distance(again, evaluated, bench.target)
    if by_itself > TOLERANCE:
        return skipped("the net does not predict the same twice: see R3")
    in_training = [bench.told(_trained_pass(net, bench)) for net in (trained, rebuilt)]
    drifts = distance(in_training[0], in_training[1], bench.target)
    outside = f"; outside them it holds {some(names)}" if names else ""
    return judged(
        bool(missing) or apart > TOLERANCE,
        drifts > TOLERANCE,
        f"a net with the trained one's parameters and buffers differs from it by at most {apart:.2g} on "
        f"validation rows, and by {drifts:.2g} in training mode{outside}{bench.of}",
        f"at most {TOLERANCE:g}",
        f"what is neither a parameter nor a buffer is lost when a trial is resumed or exported. {ADVICE}",
    )


def _fresh(bench: Bench) -> Bench:
    """The bench with the user's code imported once more: its globals are as in another process."""
    other = copy(bench)
    other.factory = bench.prepared.net.factory(fresh=True)
    return other


def _take_state(net: nn.Module, other: nn.Module) -> list[str]:
    """Copy another net's parameters and buffers; return the names of those that this net does not have."""
    theirs, mine = _state(other), _state(net)
    for name in theirs.keys() & mine.keys():
        if mine[name].shape == theirs[name].shape:
            mine[name].data.copy_(theirs[name].data)
    return sorted(name for name in theirs if name not in mine or mine[name].shape != theirs[name].shape)


def _state(net: nn.Module) -> dict[str, Tensor]:
    """A net's parameters and buffers without dropout's, which belong to a step."""
    of_dropout = tuple(f"{name}." for name, module in net.named_modules() if isinstance(module, Dropout))
    state = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    return {name: tensor for name, tensor in state.items() if not name.startswith(of_dropout)}


@torch.no_grad()
def _outputs(net: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([net(part) for part in x.split(_PART)])


@torch.no_grad()
def _trained_pass(net: nn.Module, bench: Bench) -> Tensor:
    """What a pass in training mode puts out for a batch, with the random numbers of one seed.

    Nothing is dropped, and the buffers stay as they were: other checks look at them.
    """
    x, before = bench.inputs(int(bench.params["batch_size"])), {n: t.clone() for n, t in net.named_buffers()}
    for layer in (module for module in net.modules() if isinstance(module, Dropout)):
        layer.count_calls()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found: Tensor = net.train()(x)
    for name, tensor in net.named_buffers():
        tensor.copy_(before[name])
    net.eval()
    return found
