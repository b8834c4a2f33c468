"""Augmented and mixed training: each row's own, the same with any neighbours, and never on validation data."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hpsearch.data.cuts import cuts
from hpsearch.data.dataset import Arrays, Part, Target
from hpsearch.nets.shape import Layout
from hpsearch.pack.examples import Batch
from hpsearch.pack.front import front_of
from hpsearch.pack.train import Pack
from hpsearch.tricks.losses import Targets

IMAGE_TRICKS = {
    "shift": 0.2, "flip": 0.5, "rotation": 20, "scale": 0.3, "erasing": 0.5, "brightness": 0.4, "contrast": 0.3,
    "noise": 0.2, "mixup": 0.5, "cutmix": 1.0,
}  # fmt: skip
TABLE_TRICKS = {"noise": 0.2, "swap_noise": 0.2, "mixup": 0.5}


@pytest.fixture(scope="module")
def images() -> Arrays:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 160)
    x = rng.normal(size=(160, 1, 6, 6)).astype(np.float32) + y[:, None, None, None].astype(np.float32)
    parts = [Part(x[own], y[own], np.arange(160)[own]) for own in (slice(0, 120), slice(120, None))]
    return Arrays(*parts, Target("classification", ("a", "b", "c")), "accuracy")


@pytest.fixture(scope="module")
def table(make_arrays) -> Arrays:
    number = np.array([True, True, True, False, False, False])
    return replace(make_arrays(), layout=Layout(np.array([0, 1, 2, 3, 3, 3]), number))


CASES = [*((name, value, "images") for name, value in IMAGE_TRICKS.items()),
         *((name, value, "table") for name, value in TABLE_TRICKS.items())]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "kind"), CASES)
def test_a_trick_changes_its_row_and_no_other(name, value, kind, images, table, make_params, train, unlike):
    arrays = {"images": images, "table": table}[kind]
    plain, with_it = make_params(), make_params(**{name: value})
    alone = train(arrays, [plain, plain, plain])
    together = train(arrays, [plain, with_it, plain])
    assert [unlike(alone[k], together[k]) for k in (0, 2)] == [[], []]
    assert not torch.equal(alone[1].tensors["theta"], together[1].tensors["theta"])
    (by_itself,) = train(arrays, [with_it], [1])
    assert unlike(by_itself, together[1]) == []


@pytest.mark.parametrize("forward", ["loop", "vmap", "fused"])
def test_all_tricks_at_once_train_the_same_alone_resumed_and_in_a_pack(
    forward, images, make_params, train, unlike, settings
):
    rows = [make_params(**{name: value * (k + 1) / 3 for name, value in IMAGE_TRICKS.items()}) for k in range(3)]
    whole = train(images, rows, forward=forward)
    assert unlike(train(images, rows[2:], [2], forward=forward)[0], whole[2]) == []
    halfway = train(images, rows, until={0: 2, 1: 2, 2: 2}, forward=forward)
    pack = Pack(settings(forward=forward), images, halfway)
    pack.train()
    resumed = sorted(pack.states(), key=lambda state: state.record.trial)
    assert [unlike(a, b) for a, b in zip(resumed, whole, strict=True)] == [[], [], []]


def test_a_packs_batches_are_mixed_with_their_targets(images, make_params, settings):
    """Each mixed input is, to its share, the example of its first target, and else of its second."""
    pack = Pack.start(settings(), images, [0, 1], [make_params(), make_params(mixup=1.0)])
    index = np.stack([np.arange(16), np.arange(16)])
    plain = pack.examples.batch(index)
    mixed = pack.augment(plain, np.array([0, 0]), 0)
    assert torch.equal(mixed.x[0], plain.x[0])
    share = mixed.targets.share
    assert torch.equal(share[0], torch.ones(16))
    assert 0.5 <= float(share[1].min()) < 0.9
    for n in range(16):
        other = (n + 1) % 16
        expected = share[1, n] * plain.x[1, n] + (1 - share[1, n]) * plain.x[1, other]
        assert torch.allclose(mixed.x[1, n], expected, atol=1e-6)
        assert mixed.targets.first[1, n] == plain.targets.first[1, n]
        assert mixed.targets.second[1, n] == plain.targets.first[1, other]
    probabilities = torch.zeros(16, 3)
    probabilities[range(16), mixed.targets.first[1]] += share[1]
    probabilities[range(16), mixed.targets.second[1]] += 1 - share[1]
    assert torch.allclose(probabilities.sum(1), torch.ones(16))


def test_a_row_of_mixup_and_cutmix_draws_one_for_each_example(images, make_params, settings):
    pack = Pack.start(settings(), images, [0], [make_params(mixup=1.0, cutmix=1.0)])
    plain = pack.examples.batch(np.arange(120)[None])
    mixed = pack.augment(plain, np.array([0]), 0)
    other = torch.roll(plain.x, -1, 1)
    pasted = ((mixed.x == plain.x) | (mixed.x == other)).flatten(2).all(2)[0]
    assert 0.35 < float(pasted.float().mean()) < 0.65


def test_a_teachers_word_and_a_weight_are_mixed_as_their_examples_are(images, make_params, settings):
    pack = Pack.start(settings(), images, [0], [make_params(mixup=1.0)])
    teacher = torch.randn(1, 16, 3, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    weight = torch.arange(1.0, 17.0)[None]
    batch = Batch(torch.zeros(1, 16, 1, 6, 6), Targets(torch.zeros(1, 16, dtype=torch.long)), teacher, weight)
    mixed = pack.augment(batch, np.array([0]), 0)
    told, next_weight = mixed.targets.share, weight.roll(-1)
    share = (told * next_weight / (weight - told * (weight - next_weight)))[..., None]  # of the inputs
    assert torch.allclose(
        mixed.weight[0], (share[..., 0] * weight + (1 - share[..., 0]) * next_weight)[0], atol=1e-4
    )
    assert bool((share >= 0.5 - 1e-6).all())
    share = told[..., None]
    expected = (share * teacher.exp() + (1 - share) * torch.roll(teacher, -1, 1).exp()).log()
    assert torch.allclose(mixed.teacher, expected, atol=1e-5)


def test_noise_leaves_categories_and_swap_noise_moves_them_as_a_whole(table, make_params, settings):
    for name in ("noise", "swap_noise"):
        pack = Pack.start(settings(), table, [0], [make_params(**{name: 0.5})])
        plain = pack.examples.batch(np.arange(100)[None])
        changed = pack.augment(plain, np.array([0]), 0).x[0] != plain.x[0]
        if name == "noise":
            assert changed.any(0).tolist() == [True] * 3 + [False] * 3
        else:
            assert torch.equal(changed[:, 3], changed[:, 4])
            assert torch.equal(changed[:, 3], changed[:, 5])
            assert float(changed.float().mean()) == pytest.approx(0.5, abs=0.08)


def test_validation_is_never_augmented(images, make_params, settings):
    pack = Pack.start(settings(), images, [0], [make_params(**IMAGE_TRICKS)])
    before = pack.examples.x_validation.clone()
    first = pack.predict(pack.examples.x_validation)
    pack.steps_alone(np.arange(120)[None], 0 + 1)
    assert torch.equal(pack.examples.x_validation, before)
    assert torch.equal(Pack.start(settings(), images, [0], [make_params()]).predict(before), first)


def test_a_pack_without_tricks_draws_nothing(images, make_params, settings):
    assert Pack.start(settings(), images, [0], [make_params()]).augment.idle


def test_a_regressions_targets_are_mixed_as_values(make_arrays, make_params, train):
    arrays = make_arrays("regression")
    (state,) = train(arrays, [make_params(mixup=0.3, epochs=12)])
    assert state.record.best["rmse"] < arrays.validation.y.std()


def test_noise_is_added_before_a_number_is_encoded_in_pieces(make_arrays, make_params, settings):
    arrays = make_arrays()
    arrays = replace(arrays, cuts=cuts(arrays, 6))
    rows = [make_params(pieces=6, noise=noise) for noise in (0.0, 0.5)]
    pack = Pack.start(settings(), arrays, [0, 1], rows)
    order = np.tile(np.arange(20), (2, 1))
    entering = pack.entering(order, 0).x
    front, _ = front_of(rows[0], arrays)
    assert torch.equal(entering[0], front(torch.from_numpy(arrays.train.x[:20].copy())))
    assert not torch.equal(entering[1], entering[0])
    assert torch.equal(entering[1], front(entering[1, :, :6]))
