"""G13: activations and gradients, layer by layer."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from hpsearch.recipe import pictures
from hpsearch.recipe.bench import Bench
from hpsearch.recipe.pictures import Draw
from hpsearch.recipe.verdict import Finding, judged, skipped, some

_DEAD, _ALL_DEAD = 0.5, 0.95  # of a layer's units
_SATURATED = 0.5  # of a layer's outputs
_APART, _FAR_APART = 1e4, 1e6  # times
_ROWS, _PART = 512, 64
_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def dead_units(bench: Bench) -> Finding:
    """G13.dead: the share of a layer's units that no row of a large batch moves, after a short run.

    Their weights' gradient is zero. At the start that is so of all layers below one that begins at zero, as a
    residual branch may; it is told, and not judged.
    """
    before, after = _dead(bench, bench.settled(bench.net())), _dead(bench, bench.baseline.nets[0])
    if not after:
        return skipped("the net has no hidden layer whose weights are parameters")
    first = next(m for m in bench.baseline.nets[0].modules() if isinstance(m, _WEIGHTED))
    worst = max(after, key=lambda name: after[name])
    return judged(
        not after[worst] < _ALL_DEAD,
        not after[worst] < _DEAD,
        f"worst layer {worst}: {_share(before[worst])} at the start, {_share(after[worst])} after a short run",
        f"below {_share(_DEAD)}",
        "units whose activation is zero for every row learn nothing any more: a bias far below zero, a rate too "
        "high, or inputs of the wrong scale; leaky or gelu cannot die",
        picture=_first_layer(bench, first.weight.detach().numpy()),
    )


def saturation(bench: Bench) -> Finding:
    """G13.saturated: the share of outputs of tanh and sigmoid at their ends, where no gradient passes."""
    found: dict[str, float] = {}
    for net in (bench.settled(bench.net()), bench.baseline.nets[0].eval()):
        counts: dict[str, np.ndarray] = {}
        hooks = [
            module.register_forward_hook(_counting(counts, name, module))
            for name, module in net.named_modules()
            if isinstance(module, nn.Tanh | nn.Sigmoid)
        ]
        with torch.no_grad():
            for part in bench.held_out()[:_ROWS].split(_PART):
                net(part)
        for hook in hooks:
            hook.remove()
        found |= {name: max(found.get(name, 0.0), float(far / all_)) for name, (far, all_) in counts.items()}
    if not found:
        return skipped("the net has no tanh or sigmoid layer")
    worst = max(found, key=lambda name: found[name])
    return judged(
        found[worst] > _ALL_DEAD,
        found[worst] > _SATURATED,
        f"{worst}: {_share(found[worst])}",
        f"below {_share(_SATURATED)}",
        "scale the inputs, or begin with smaller weights",
    )


def gradients(bench: Bench) -> Finding:
    """G13.gradients: the size of a net's gradient by layer, against each layer's weights, fresh and trained.

    Judged is the better of the two: a branch that begins at nearly zero has next to no gradient at first.
    """
    sizes, ratio = _spread(bench, bench.settled(bench.net()))
    _, after = _spread(bench, bench.baseline.nets[0])
    if ratio is None:
        return skipped("fewer than two layers have a gradient at the start")
    least = ratio if after is None else np.fmin(ratio, after)
    return judged(
        not least <= _FAR_APART,
        not least <= _APART,
        f"gradient by weight, from the first layer: {some([f'{n} {s:.1e}' for n, s in sizes.items()], 8)}; "
        f"largest to smallest {ratio:.2g}" + (f", {after:.2g} after a short run" if after is not None else ""),
        f"within {_APART:,.0f} times",
        "gradients vanish or explode on their way: norms or skip connections help, or a better start",
    )


def _spread(bench: Bench, net: nn.Module) -> tuple[dict[str, float], float | None]:
    """Each layer's gradient by its weights, and the largest by the smallest; None of fewer than two."""
    sizes = {
        name: _rms(gradient) / max(_rms(weight.detach()), 1e-12)
        for name, (weight, gradient) in _gradients(bench, net).items()
    }
    values = np.array([size for size in sizes.values() if size != 0])  # below a layer that begins at zero
    return sizes, None if len(values) < 2 else float(values.max() / values.min())


def _dead(bench: Bench, net: nn.Module) -> dict[str, float]:
    """The share of units, of each layer but the last, whose weights get no gradient."""
    last = bench.last(net)
    return {
        name: float((gradient.flatten(1) == 0).all(1).float().mean())
        for name, (weight, gradient) in _gradients(bench, net).items()
        if last is None or weight is not last.weight
    }


def _gradients(bench: Bench, net: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """Each layer's weights, and the gradient of a plain loss over many rows by them, in evaluation mode.

    Of weights that are parameters and train; those that are made of others (`weight_norm`) are none.
    """
    weights = {
        name: module.weight
        for name, module in net.eval().named_modules()
        if isinstance(module, _WEIGHTED) and module.weight.is_leaf and module.weight.requires_grad
    }
    if not weights:
        return {}
    x, found = bench.inputs(_ROWS), dict[str, Tensor]()
    targets = torch.from_numpy(bench.target.scaled(bench.arrays.train.y[: len(x)]))
    for part, told in zip(x.split(_PART), targets.split(_PART), strict=True):
        outputs = net(part)
        if bench.is_classification:
            loss = nn.functional.cross_entropy(outputs, told)
        else:
            loss = nn.functional.mse_loss(outputs.squeeze(-1), told)
        gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        for name, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                found[name] = found[name] + gradient if name in found else gradient
    return {name: (weights[name], gradient) for name, gradient in found.items()}


def _first_layer(bench: Bench, weight: np.ndarray) -> Draw:
    """The first layer's weights: as pictures where they look at images, else as a map of features by units."""
    shape = bench.arrays.input_shape
    if weight.ndim == 4:
        return pictures.images(weight, [str(i) for i in range(len(weight))])
    if len(shape) == 3 and weight.shape[1] == np.prod(shape):
        return pictures.images(weight.reshape(-1, *shape), [str(i) for i in range(len(weight))])
    return pictures.heat(
        weight.reshape(len(weight), -1), [str(i) for i in range(weight.shape[1])], "unit", "weight"
    )


def _counting(counts: dict[str, np.ndarray], name: str, module: nn.Module) -> Callable[..., None]:
    """A hook that counts a layer's outputs at their ends, and all."""

    def hook(_module: nn.Module, _inputs: object, out: Tensor) -> None:
        far = (out.abs() > 0.99) if isinstance(module, nn.Tanh) else ((out - 0.5).abs() > 0.495)
        counts[name] = counts.get(name, np.zeros(2)) + np.array([int(far.sum()), far.numel()])

    return hook


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"
