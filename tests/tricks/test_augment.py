"""Augmentations against plain loops over examples, scikit-image-like references in numpy and scipy, and claims."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from hpsearch.tricks import augment, mixing

K, N, C, H, W = 3, 5, 2, 9, 7


def column(*values):
    return torch.tensor(values, dtype=torch.float64)


OFF = column(0, 0, 0)


def normal(*size, seed=2):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniform(*size, seed=3):
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


IMAGES = normal(K, N, C, H, W)


def of_scipy(image, inverse, offset):
    """scipy's resampling of one channel; `inverse` and `offset` take places (row, column) from the middle."""
    middle = (np.array(image.shape) - 1) / 2
    shift = middle - inverse @ (middle + offset)
    return ndimage.affine_transform(image, inverse, shift, order=1, mode="nearest")


@pytest.mark.parametrize(
    "strength",
    [
        {"shift": column(0.3, 0.1, 0.5)},
        {"rotation": column(10, 45, 180)},
        {"scale": column(0.2, 0.5, 1.0)},
        {"flip": column(1, 1, 1)},
        {"shift": column(0.2, 0.2, 0.2), "flip": column(0.5, 0.5, 0.5), "rotation": column(5, 20, 90),
         "scale": column(0.1, 0.3, 0.6)},
    ],
    ids=["shift", "rotation", "scale", "flip", "all"],
)  # fmt: skip
def test_moves_are_scipys_affine_transform(strength):
    u = uniform(K, N, 5)
    columns = [strength.get(name, OFF) for name in ("shift", "flip", "rotation", "scale")]
    found = augment.moved(IMAGES, *columns, u)
    shift, flip, rotation, scale = columns
    for k in range(K):
        for n in range(N):
            a, b, c, d, e = u[k, n].tolist()
            pixels = np.round([(2 * b - 1) * float(shift[k]) * H, (2 * a - 1) * float(shift[k]) * W])
            angle = math.radians((2 * d - 1) * float(rotation[k]))
            zoom = (1 + float(scale[k])) ** (2 * e - 1)
            mirror = -1 if c < float(flip[k]) else 1
            turn = np.array(
                [[math.cos(angle), math.sin(angle)], [-math.sin(angle) * mirror, math.cos(angle) * mirror]]
            )
            for channel in range(C):
                expected = of_scipy(IMAGES[k, n, channel].numpy(), turn / zoom, pixels)
                np.testing.assert_allclose(found[k, n, channel].numpy(), expected, atol=1e-9)


def test_a_shift_is_that_of_a_padded_image():
    u = uniform(K, N, 5)
    found = augment.moved(IMAGES, column(0.3, 0.3, 0.3), OFF, OFF, OFF, u)
    padded = torch.nn.functional.pad(IMAGES.flatten(0, 1), (4, 4, 4, 4), mode="replicate").view(
        K, N, C, H + 8, W + 8
    )
    for k in range(K):
        for n in range(N):
            dx, dy = (torch.round((2 * u[k, n, :2] - 1) * 0.3 * column(W, H))).int().tolist()
            cropped = padded[k, n, :, 4 - dy : 4 - dy + H, 4 - dx : 4 - dx + W]
            assert torch.allclose(found[k, n], cropped, atol=1e-9)


def test_a_flip_turns_its_share_of_images():
    images, u = normal(1, 4000, 1, 1, 3), uniform(1, 4000, 5)
    found = augment.moved(images, OFF[:1], column(0.3), OFF[:1], OFF[:1], u)
    turned = (found - images.flip(-1)).abs().amax((-3, -2, -1))[0] < 1e-9
    same = (found - images).abs().amax((-3, -2, -1))[0] < 1e-9
    assert bool((turned | same).all())
    assert float(turned.double().mean()) == pytest.approx(0.3, abs=0.03)


def test_erasing_sets_its_share_of_images_to_the_mean_in_one_rectangle():
    images = torch.ones(1, 2000, 1, 16, 16, dtype=torch.float64)
    gone = augment.erased(images, column(0.4), uniform(1, 2000, 5))[0, :, 0] == 0
    touched = gone.flatten(1).any(1)
    assert float(touched.double().mean()) == pytest.approx(0.4, abs=0.04)
    areas = gone[touched].flatten(1).double().mean(1)
    assert 0.0 < areas.min() <= 0.05
    assert 0.25 < areas.max() <= 0.42  # whole pixels
    for one in gone[touched][:200]:
        rows, columns = one.any(1), one.any(0)
        assert int(rows.sum() * columns.sum()) == int(one.sum())
    middle = gone[touched].double().mean(0)
    assert middle.min() > 0  # anywhere


def test_light_is_the_plain_formula():
    u = uniform(K, N, 2)
    brightness, contrast = column(0.5, 0.0, 1.0), column(0.2, 0.5, 0.0)
    found = augment.lit(IMAGES, brightness, contrast, u)
    for k in range(K):
        for n in range(N):
            gain = (1 + float(contrast[k])) ** (2 * float(u[k, n, 1]) - 1)
            mean = IMAGES[k, n].mean()
            plus = (2 * float(u[k, n, 0]) - 1) * float(brightness[k])
            assert torch.allclose(found[k, n], mean + gain * (IMAGES[k, n] - mean) + plus)


def test_noise_has_the_spread_of_its_row():
    x, noise = normal(3, 400, 50), column(0.0, 0.1, 2.0)
    change = augment.noisy(x, noise, normal(3, 400, 50, seed=9)) - x
    assert change.std((1, 2)).tolist() == pytest.approx([0, 0.1, 2.0], rel=0.03, abs=0)
    assert torch.equal(change[0], torch.zeros_like(change[0]))


def test_swap_noise_takes_features_as_a_whole_from_others_and_keeps_their_distribution():
    feature = torch.tensor([0, 1, 1, 1, 2])  # feature 1 is a category of three columns
    x = torch.cat([normal(2, 300, 1), torch.eye(3).double()[torch.arange(600) % 3].view(2, 300, 3),
                   normal(2, 300, 1, seed=8)], -1)  # fmt: skip
    found = augment.swapped(x, column(0.0, 0.25), feature, uniform(2, 300, 2, 3))
    assert torch.equal(found[0], x[0])
    assert torch.equal(found[1, :, 1:4].sum(-1), torch.ones(300).double())  # a category stays one
    changed = (found[1, :, [0, 4]] != x[1, :, [0, 4]]).double().mean()
    assert float(changed) == pytest.approx(0.25, abs=0.04)
    for d in (0, 4):
        assert set(found[1, :, d].tolist()) <= set(x[1, :, d].tolist())


# --- mixing -----------------------------------------------------------------------------------------------------


def test_mixup_is_the_papers_formula():
    share = uniform(K, N)
    other = torch.roll(IMAGES, -1, 1)
    found = mixing.mixup(IMAGES, other, share)
    lam = share.view(K, N, 1, 1, 1)
    assert torch.allclose(found, lam * IMAGES + (1 - lam) * other)
    assert torch.equal(mixing.mixup(IMAGES, other, torch.ones(K, N).double()), IMAGES)


def test_cutmix_pastes_a_rectangle_and_tells_its_area():
    images, other = torch.zeros(2, 500, 1, 16, 16).double(), torch.ones(2, 500, 1, 16, 16).double()
    share = uniform(2, 500)
    found, stays = mixing.cutmix(images, other, share, uniform(2, 500, 2, seed=4))
    assert torch.allclose(1 - found.mean((-3, -2, -1)), stays)
    for one in found[0, :100, 0]:
        assert int(one.any(1).sum() * one.any(0).sum()) == int(one.sum())
    assert bool((stays >= share - 1e-9).all())  # what juts out is cut off
    none, whole = mixing.cutmix(images, other, torch.ones(2, 500).double(), uniform(2, 500, 2))
    assert torch.equal(none, images)
    assert torch.equal(whole, torch.ones(2, 500).double())


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 8.0])
def test_shares_are_drawn_from_the_beta_distribution(alpha):
    from scipy.stats import beta, ks_1samp

    table = torch.from_numpy(mixing.beta_table(np.array([alpha])))
    drawn = mixing.beta(table, uniform(1, 5000))[0].numpy()
    assert ks_1samp(drawn, beta(alpha, alpha).cdf).pvalue > 0.01


def test_no_mixing_leaves_an_example_to_itself():
    table = torch.from_numpy(mixing.beta_table(np.array([0.0, 0.5])))
    shares = mixing.beta(table, uniform(2, 50))
    assert torch.equal(shares[0], torch.ones(50).double())
    assert bool((shares[1] < 1).any())
