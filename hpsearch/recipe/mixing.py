"""R12: an example's output depends on that example alone."""

import torch
from torch import Tensor, nn

from hpsearch.recipe.bench import Bench
from hpsearch.recipe.evaluation import BATCH_NORMS
from hpsearch.recipe.verdict import Finding, judged

_EXAMPLES = 6
_ROUNDING = 1e-5


def alone(bench: Bench) -> Finding:
    """R12: the gradient of output i by input j is zero, and another input j leaves output i as it is.

    Looked at in evaluation mode, and in training mode with batch norms held, which share statistics by design.
    """
    leaks = {}
    for mode in ("evaluation", "training"):
        net = bench.net()
        net.train(mode == "training")
        for module in net.modules():
            if isinstance(module, BATCH_NORMS):
                module.eval()
        with torch.random.fork_rng(devices=[]):
            x = bench.inputs(_EXAMPLES)
            leaks[mode] = max(_by_gradient(net, x), _by_change(net, x), key=lambda leak: (leak != leak, leak))
    told = ", ".join(f"{leak:.2g} in {mode}" for mode, leak in leaks.items())
    return judged(
        not all(leak <= _ROUNDING for leak in leaks.values()),
        False,
        f"largest influence of one example on another's output: {told}",
        "0",
        "the net mixes the examples of a batch: look for a view or reshape over the first axis, attention over "
        "it, or statistics of the batch in evaluation",
    )


def _by_gradient(net: nn.Module, x: Tensor) -> float:
    x = x.clone().requires_grad_()
    torch.manual_seed(0)
    outputs, leak = net(x), 0.0
    for i in range(len(x)):
        (grad,) = torch.autograd.grad(outputs[i].sum(), x, retain_graph=True, allow_unused=True)
        if grad is None:  # inputs that are looked up, as words are: the change of an input tells
            return 0.0
        others = grad[torch.arange(len(x)) != i]
        ratio = float(others.abs().max() / grad.abs().max().clamp(min=1e-12))
        leak = ratio if not ratio <= leak else leak  # NaN stays
    return leak


@torch.no_grad()
def _by_change(net: nn.Module, x: Tensor) -> float:
    """The largest change of other examples' outputs when one is replaced by another, of the outputs' size."""

    def outputs(x: Tensor) -> Tensor:
        torch.manual_seed(0)
        found: Tensor = net(x)
        return found

    before, leak = outputs(x), 0.0
    for j in range(len(x)):
        changed = x.clone()
        changed[j] = x[(j + 1) % len(x)] + 1
        apart = (outputs(changed) - before).abs()[torch.arange(len(x)) != j]
        ratio = float(apart.max() / before.abs().max().clamp(min=1e-12))
        leak = ratio if not ratio <= leak else leak
    return leak
