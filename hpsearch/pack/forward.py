"""Ways through the nets of a pack, one answer: `loop` (each row's own module), `vmap` (all at once), and for
plain MLPs `fused` (all at once, by hand).

The net alone is vmapped; the loss is arithmetic on [K, ...] with columns and needs no vmap. The pack's loss is
the sum over rows of each row's mean, so each row's gradient is its own.

Shapes: K rows, N examples a row, C outputs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from hpsearch.pack import fused
from hpsearch.pack.rows import Rows

LossOfRows = Callable[[Tensor, slice], Tensor]  # outputs of some rows [k, N, C], and which rows → mean loss [k]


def train_loop(rows: Rows, x_KN: Tensor, loss: LossOfRows) -> Tensor:
    """Fills `rows.grad` row after row with each row's own module; gives the losses [K]."""
    grads = rows.views(rows.grad)
    losses = []
    for k, module in enumerate(rows.modules):
        module.train()
        own = dict(module.named_parameters())
        with _seeded(rows, k):
            outputs = module(x_KN[k])
        row_loss = loss(outputs.unsqueeze(0), slice(k, k + 1))
        found = torch.autograd.grad(row_loss.sum(), [own[s.name] for s in rows.slots], allow_unused=True)
        for slot, grad in zip(rows.slots, found, strict=True):
            _write(grads[slot.name][k], grad)
        rows.collect_reassigned(k)
        losses.append(row_loss.detach())
    return torch.cat(losses)


def train_vmap(rows: Rows, x_KN: Tensor, loss: LossOfRows) -> Tensor:
    """Fills `rows.grad` with all rows in one pass; gives the losses [K]."""
    base = rows.modules[0].train()
    leaves = {name: view.detach().requires_grad_() for name, view in rows.views(rows.theta).items()}
    outputs = vmap(lambda p, b, x: functional_call(base, (p, b), (x,)))(leaves, rows.buffers, x_KN)
    losses_K = loss(outputs, slice(None))
    found = torch.autograd.grad(losses_K.sum(), list(leaves.values()), allow_unused=True)
    for view, grad in zip(rows.views(rows.grad).values(), found, strict=True):
        _write(view, grad)
    return losses_K.detach()


@contextmanager
def _seeded(rows: Rows, k: int) -> Iterator[None]:
    """What row k's net draws itself, it draws from a seed of its own."""
    if rows.draws is None:
        yield
        return
    with torch.random.fork_rng(devices=[rows.device] if rows.device.type == "cuda" else []):
        torch.manual_seed(rows.draws[k] % 2**63)
        yield


def _write(view: Tensor, grad: Tensor | None) -> None:
    if grad is None:  # a parameter that the outputs do not depend on
        view.zero_()
    else:
        view.copy_(grad)


@torch.no_grad()
def predict_loop(rows: Rows, x: Tensor, own: bool = False) -> Tensor:
    """Outputs [K, N, C] in evaluation mode, row after row.

    Every row sees the same inputs [N, ...], or its `own`, of [K, N, ...].
    """
    outputs = []
    for k, module in enumerate(rows.modules):
        with _seeded(rows, k):
            outputs.append(module.eval()(x[k] if own else x))
        rows.collect_reassigned(k)
    return torch.stack(outputs)


@torch.no_grad()
def predict_vmap(rows: Rows, x: Tensor, own: bool = False) -> Tensor:
    """Outputs [K, N, C] in evaluation mode, all rows in one pass."""
    base = rows.modules[0].eval()
    call = vmap(lambda p, b, x: functional_call(base, (p, b), (x,)), in_dims=(0, 0, 0 if own else None))
    outputs: Tensor = call(rows.views(rows.theta), rows.buffers, x)
    return outputs


@torch.no_grad()
def refresh_loop(rows: Rows, x: Tensor, own: bool = False) -> None:
    """A pass of every row in training mode over the same inputs or its own, for what it leaves in the buffers."""
    for k, module in enumerate(rows.modules):
        with _seeded(rows, k):
            module.train()(x[k] if own else x)
        rows.collect_reassigned(k)


@torch.no_grad()
def refresh_vmap(rows: Rows, x: Tensor, own: bool = False) -> None:
    """The same, all rows at once."""
    base = rows.modules[0].train()
    call = vmap(lambda p, b, x: functional_call(base, (p, b), (x,)), in_dims=(0, 0, 0 if own else None))
    call(rows.views(rows.theta), rows.buffers, x)


TRAIN = {"loop": train_loop, "vmap": train_vmap, "fused": fused.train}
PREDICT = {"loop": predict_loop, "vmap": predict_vmap, "fused": fused.predict}
REFRESH = {"loop": refresh_loop, "vmap": refresh_vmap, "fused": fused.refresh}


def disagreement(rows: Rows, x_KN: Tensor, loss: LossOfRows, together: str = "vmap") -> str | None:
    """Why these rows may not go forward `together`, or None: one batch through the loop too, everything compared.

    vmap can be wrong without an error: gradients in an embedding's padding, an attribute that differs between
    rows, a buffer that `forward` replaces. So outputs, losses, gradients and buffers must agree. Leaves the
    rows as they were.
    """
    built_in = _in_the_net(rows)
    if built_in is not None:
        return built_in
    before = {name: tensor.clone() for name, tensor in rows.buffers.items()}
    seen: dict[str, dict[str, Tensor]] = {}
    for way in ("loop", together):
        try:
            losses = TRAIN[way](rows, x_KN, loss)
            seen[way] = {"losses": losses, "gradients": rows.grad.clone()}
            seen[way]["outputs"] = PREDICT[way](rows, x_KN[0])
            seen[way] |= {f"the buffer {name}": tensor.clone() for name, tensor in rows.buffers.items()}
        except Exception as error:
            if way == "loop":
                raise  # the net itself does not run
            return f"{together} raised {type(error).__name__}: {' '.join(str(error).split())[:160]}"
        finally:
            for name, tensor in before.items():
                rows.buffers[name].copy_(tensor)
            rows.grad.zero_()
    wrong = [what for what, value in seen["loop"].items() if not _close(value, seen[together][what])]
    return f"{together} and loop disagree on {', '.join(wrong)}" if wrong else None


def _in_the_net(rows: Rows) -> str | None:
    """Faults that one batch need not show."""
    if rows.draws is not None:
        return "the net draws random numbers itself, as functional dropout does; each row draws from its own seed"
    for name, layer in rows.modules[0].named_modules():
        if isinstance(layer, nn.Embedding | nn.EmbeddingBag) and layer.padding_idx is not None:
            return f"vmap gives the padding of the embedding {name} a gradient"
    for module in rows.modules[1:]:
        for (name, first), other in zip(rows.modules[0].named_modules(), module.modules(), strict=True):
            for attribute, value in vars(first).items():
                if attribute not in _OF_MODULES and not _same(value, vars(other).get(attribute)):
                    return f"the attribute {f'{name}.{attribute}'.lstrip('.')} differs from row to row"
    return None


_OF_MODULES = frozenset(vars(nn.Module()))


def _same(a: object, b: object) -> bool:
    """Whether two plain values are equal; what is no plain value counts as equal."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, Tensor) and isinstance(b, Tensor) and not isinstance(a, nn.Parameter):
        return torch.equal(a, b)
    plain = bool | int | float | str | None
    return not isinstance(a, plain) or not isinstance(b, plain) or a == b


def _close(a: Tensor, b: Tensor) -> bool:
    """Equal to 1e-4 of the largest value in each row (float32 rounding through a net is about 1e-6)."""
    if a.shape != b.shape:
        return False
    if not a.is_floating_point():
        return torch.equal(a, b)
    a_KM, b_KM = a.double().reshape(len(a), -1), b.double().reshape(len(b), -1)
    scale_K = a_KM.abs().amax(1).nan_to_num().clamp(min=1e-6)
    return bool(((a_KM - b_KM).abs().amax(1) <= 1e-4 * scale_K).all())
