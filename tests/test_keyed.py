"""Random numbers by key: what they are, how often, and that neighbours do not matter."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from hpsearch.keyed import fold, key, keys, permutations, uniforms
from hpsearch.pack.masks import Masks

KEYS = st.integers(0, 2**64 - 1)
WORD = 2**64 - 1


def splitmix(seed: int, n: int) -> list[int]:
    """The first n outputs of SplitMix64 from Steele, Lea & Flood 2014, in Python's integers."""
    out = []
    for step in range(1, n + 1):
        z = (seed + step * 0x9E3779B97F4A7C15) & WORD
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
        out.append(z ^ (z >> 31))
    return out


def masks(keys_K: np.ndarray, drops: list[list[float]], sizes: list[tuple[int, ...]]) -> list[Tensor]:
    """The masks of each layer, [K, *size]; `drops` holds one list a layer, one number a row."""
    outs = [torch.full((len(keys_K), *size), torch.nan) for size in sizes]
    Masks([torch.tensor(drop) for drop in drops], outs).fill(keys_K)
    return outs


def array(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.uint64)


def test_the_reference_gives_the_published_numbers() -> None:
    """As Java's SplittableRandom and Vigna's splitmix64.c do for the seed 1234567."""
    assert splitmix(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@settings(deadline=None, max_examples=60)
@given(st.lists(KEYS, min_size=1, max_size=4), st.lists(st.integers(1, 13), min_size=1, max_size=3), st.data())
def test_masks_compare_splitmix64_with_the_rate(seeds: list[int], sizes: list[int], data: st.DataObject) -> None:
    rate = st.integers(0, 65535)
    rates = [data.draw(st.lists(rate, min_size=len(seeds), max_size=len(seeds))) for _ in sizes]
    drops = [[r / 65536 for r in layer] for layer in rates]
    got = masks(array(*seeds), drops, [(n,) for n in sizes])
    for row, seed in enumerate(seeds):
        words = splitmix(seed, sum(-(-n // 4) for n in sizes))
        for n, layer, out in zip(sizes, rates, got, strict=True):
            mine, words = words[: -(-n // 4)], words[-(-n // 4) :]
            draws = [word >> shift & 0xFFFF for word in mine for shift in (0, 16, 32, 48)]  # 0 … 65535, as signed
            signed = [d - 65536 if d >= 32768 else d for d in draws[:n]]
            scale = torch.tensor(65536 / (65536 - layer[row]))
            expected = [scale if d >= layer[row] - 32768 else torch.tensor(0.0) for d in signed]
            torch.testing.assert_close(out[row], torch.stack(expected), rtol=1e-6, atol=0)


@pytest.mark.parametrize("drop", [0.01, 0.1, 0.5, 0.9])
def test_a_mask_drops_its_share_and_has_mean_one(drop: float) -> None:
    (mask,) = masks(keys(0, range(8), "mask"), [[drop] * 8], [(100, 250)])
    dropped = int((mask == 0).sum())
    assert stats.binomtest(dropped, mask.numel(), round(drop * 65536) / 65536).pvalue > 1e-3
    assert mask.unique().tolist() == pytest.approx([0, 1 / (1 - drop)], rel=1e-3)
    assert float(mask.double().mean()) == pytest.approx(1, abs=5 * (drop / (1 - drop) / mask.numel()) ** 0.5)


def test_without_dropout_every_value_is_exactly_one() -> None:
    one, other = masks(keys(0, range(64), "mask"), [[0.0] * 64, [0.0, 0.5] * 32], [(999,), (64,)])
    assert bool((one == 1).all())
    assert bool((other[::2] == 1).all())
    assert bool((other[1::2] != 1).all())


def test_a_rate_that_rounds_to_one_still_keeps_finite_values() -> None:
    (mask,) = masks(array(1), [[1 - 1e-9]], [(10_000,)])
    assert bool(torch.isfinite(mask).all())


@settings(deadline=None, max_examples=40)
@given(st.lists(KEYS, min_size=2, max_size=6, unique=True), st.integers(1, 40), st.integers(1, 40), st.data())
def test_a_rows_mask_depends_on_neither_its_neighbours_nor_its_place(
    seeds: list[int], n: int, m: int, data: st.DataObject
) -> None:
    drop = [0.1 + 0.1 * row for row in range(len(seeds))]
    sizes = [(n,), (2, m)]
    together = masks(array(*seeds), [drop, drop[::-1]], sizes)
    order = data.draw(st.permutations(range(len(seeds))))
    rows = order[: data.draw(st.integers(1, len(seeds)))]
    some = masks(array(*(seeds[r] for r in rows)), [[drop[r] for r in rows], [drop[::-1][r] for r in rows]], sizes)
    for a, b in zip(together, some, strict=True):
        assert torch.equal(a[rows], b)


def test_masks_are_filled_anew_and_the_same_key_gives_the_same_mask() -> None:
    out = torch.empty(2, 500)
    filler = Masks([torch.tensor([0.5, 0.5])], [out])
    seen = []
    for step in (0, 1, 0):
        filler.fill(fold(array(5, 6), step))
        seen.append(out.clone())
    assert torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0][0], seen[0][1])


@settings(deadline=None, max_examples=60)
@given(KEYS, st.integers(1, 200))
def test_permutations_are_permutations_and_belong_to_their_key(seed: int, n: int) -> None:
    both = permutations(array(seed, seed ^ 1), n)
    assert (np.sort(both, axis=1) == np.arange(n)).all()
    assert (both[0] == permutations(array(seed), n)[0]).all()


def test_every_order_comes_as_often() -> None:
    orders = permutations(keys(0, range(3000), "order"), 3)
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > 1e-3


def test_uniforms_are_uniform_within_and_across_keys() -> None:
    drawn = uniforms(keys(0, range(200), "u"), 10)
    assert 0 <= drawn.min() <= drawn.max() < 1
    assert stats.kstest(drawn.ravel(), "uniform").pvalue > 1e-3
    assert stats.kstest(drawn[:, 0], "uniform").pvalue > 1e-3


def test_folds_of_counters_are_distinct_and_depend_on_their_order() -> None:
    base = keys(0, range(20), "train")
    folded = [fold(base, epoch, step) for epoch in range(20) for step in range(20)]
    assert len(np.unique(np.concatenate([base, *folded]))) == 20 * 401


@settings(deadline=None)
@given(st.lists(KEYS, min_size=1, max_size=5), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_fold_of_scalars_is_the_fold_of_columns(seeds: list[int], epoch: int, step: int) -> None:
    base, columns = array(*seeds), [np.full(len(seeds), number) for number in (epoch, step)]
    assert (fold(base, epoch, step) == fold(base, *columns)).all()
    assert (fold(base, epoch, step) == fold(fold(base, epoch), step)).all()


def test_keys_tell_words_numbers_and_their_places_apart() -> None:
    made = [key(1, 2), key(2, 1), key(12), key("1", 2), key("1", "2"), key("12"), key(1, 2, ""), key()]
    assert len(set(made)) == len(made)
    assert key(0, 3, "param", "lr") == 0x730906A4BC085613  # for ever: the draws hang on it


def test_normal_numbers_are_finite_at_both_ends_and_normal() -> None:
    from scipy.stats import kstest

    from hpsearch.pack.draws import Draws, normals

    steps = torch.tensor([0.0, 2.0**-24, 0.5, 1 - 2.0**-23, 1 - 2.0**-24])
    assert torch.isfinite(normals(steps)).all()
    drawn = Draws(1, 20_000, torch.device("cpu")).uniforms(np.array([7], dtype=np.uint64), torch.float32)
    assert kstest(normals(drawn)[0].numpy(), "norm").pvalue > 0.01
