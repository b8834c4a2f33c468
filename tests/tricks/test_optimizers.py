"""Optimizers and clipping on the rows of a matrix against torch's, row by row."""

import numpy as np
import pytest
import torch

from hpsearch.tricks.optimizers import OPTIMIZERS, Now, Slab, clip_, unbias

K, P, STEPS = 4, 11, 30
TORCH = {
    "adam": lambda p, lr, decay, momentum: torch.optim.Adam([p], lr, weight_decay=decay),
    "adamw": lambda p, lr, decay, momentum: torch.optim.AdamW([p], lr, weight_decay=decay),
    "sgd": lambda p, lr, decay, momentum: torch.optim.SGD([p], lr, momentum, weight_decay=decay),
    "nesterov": lambda p, lr, decay, momentum: torch.optim.SGD(
        [p], lr, momentum, weight_decay=decay, nesterov=momentum > 0
    ),
}
LR = torch.tensor([[1e-3], [0.01], [0.1], [0.5]], dtype=torch.float64)
DECAY = torch.tensor([[0.0], [0.01], [0.3], [0.0]], dtype=torch.float64)
MOMENTUM = torch.tensor([[0.9], [0.0], [0.5], [0.99]], dtype=torch.float64)


@pytest.fixture(params=[True, False], ids=["by row", "by column"])
def walk(request):
    """Steps along the same gradients; gives all matrices."""

    def run(kind, decay=DECAY, rows=slice(0, K), dtype=torch.float64):
        theta, grads = _start()
        theta = theta.to(dtype)
        state = [torch.zeros_like(theta) for _ in range(4)]
        for step in range(STEPS):
            state[0].copy_(grads[step])
            lr, *columns = [column.to(dtype)[rows] for column in (LR * 0.9**step, decay, MOMENTUM)]
            age = np.full((K, 1), step + 1)
            fresh = [torch.from_numpy(column).to(dtype)[rows] for column in (age, *unbias(age))]
            matrices = [matrix[rows] for matrix in (theta, *state)]
            OPTIMIZERS[kind](Slab(*matrices, *columns, request.param), Now(lr, *fresh))
        return theta, *state

    return run


def _start():
    generator = torch.Generator().manual_seed(4)
    theta = torch.randn(K, P, generator=generator, dtype=torch.float64)
    return theta, torch.randn(STEPS, K, P, generator=generator, dtype=torch.float64)


def torchs(kind, decay=DECAY, dtype=torch.float64):
    start, grads = _start()
    out = []
    for k in range(K):
        theta = start[k].to(dtype).clone().requires_grad_()
        optimizer = TORCH[kind](theta, float(LR[k]), float(decay[k]), float(MOMENTUM[k]))
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = float(LR[k]) * 0.9**step
            theta.grad = grads[step, k].to(dtype)
            optimizer.step()
        out.append(theta.detach())
    return torch.stack(out)


def test_every_optimizer_is_held_against_torchs_here():
    assert TORCH.keys() == OPTIMIZERS.keys()


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("decay", [DECAY, torch.zeros_like(DECAY)], ids=["decay", "no decay"])
def test_an_optimizer_moves_each_row_as_torchs_does(kind, decay, walk):
    assert torch.allclose(walk(kind, decay)[0], torchs(kind, decay), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_optimizer_moves_each_row_as_torchs_does_in_float32(kind, walk):
    assert torch.allclose(walk(kind, dtype=torch.float32)[0], torchs(kind, dtype=torch.float32), rtol=0, atol=2e-5)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_optimizer_leaves_the_rows_outside_its_slab(kind, walk):
    theta, _, first, second, work = walk(kind, rows=slice(1, 3))
    whole = walk(kind)[0]
    for outside in (0, 3):
        assert torch.equal(theta[outside], _start()[0][outside])
        assert not any(matrix[outside].any() for matrix in (first, second, work))
    assert torch.equal(theta[1:3], whole[1:3])


@pytest.mark.parametrize("by_row", [True, False])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_gradient_of_zero_moves_nothing(kind, by_row):
    theta = torch.ones(2, 3)
    zeros, column = [torch.zeros(2, 3) for _ in range(4)], torch.full((2, 1), 0.1)
    OPTIMIZERS[kind](Slab(theta, *zeros, 0 * column, column, by_row), Now(*[column] * 4))
    assert torch.equal(theta, torch.ones(2, 3))


def test_the_bias_correction_keeps_its_digits_at_the_first_step():
    first, second = unbias(np.array([1]))
    assert float(first[0]) == pytest.approx(0.1, rel=1e-12)
    assert float(second[0]) == pytest.approx(0.001, rel=1e-12)


@pytest.mark.parametrize("limit", [1e-3, 0.5, 2.0, 1e6])
def test_clipping_scales_each_row_as_torchs_does(limit):
    grad = _start()[1][0] * torch.tensor([[0.01], [1.0], [3.0], [100.0]])
    expected = []
    for row in grad:
        parts = [torch.zeros(4, dtype=torch.float64), torch.zeros(7, dtype=torch.float64)]
        for part, values in zip(parts, row.split([4, 7]), strict=True):
            part.grad = values.clone()
        torch.nn.utils.clip_grad_norm_(parts, limit)
        expected.append(torch.cat([part.grad for part in parts]))
    clip_(grad, torch.full((K,), limit, dtype=torch.float64))
    assert torch.allclose(grad, torch.stack(expected), rtol=1e-12, atol=0)


def test_each_row_has_its_own_limit_and_zero_is_none():
    grad = torch.ones(4, 25)
    grad[3] = torch.nan
    clip_(grad, torch.tensor([0.0, 1.0, 50.0, 1.0]))
    assert torch.equal(grad[0], torch.ones(25))
    assert float(grad[1].norm()) == pytest.approx(1.0, rel=1e-5)
    assert torch.equal(grad[2], torch.ones(25))
    assert grad[3].isnan().all()


def test_clipping_a_gradient_of_zero_leaves_zero():
    grad = torch.zeros(1, 5)
    clip_(grad, torch.ones(1))
    assert torch.equal(grad, torch.zeros(1, 5))
