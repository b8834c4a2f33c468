"""Inputs without a label: between two training inputs, or with whole features or a box of another."""

import numpy as np

from hpsearch.data.dataset import Arrays, Part, Target
from hpsearch.nets.shape import Layout
from hpsearch.squeeze.pool import mixed


def arrays(x: np.ndarray, layout: Layout | None = None) -> Arrays:
    part = Part(x.astype(np.float32), np.zeros(len(x), int), np.arange(len(x)))
    return Arrays(part, part, Target("classification", ("a", "b")), "log_loss", layout=layout)


def test_half_are_between_two_training_inputs() -> None:
    x = np.random.default_rng(0).normal(size=(6, 3))
    found = mixed(arrays(x), 0)
    assert found.shape == (60, 3)
    for row in found[:30]:
        assert any(
            np.abs(np.cross(row - a, b - a)).max() < 1e-5
            for i, a in enumerate(x)
            for j, b in enumerate(x)
            if i != j
        ) or any(np.allclose(row, a) for a in x)


def test_half_have_whole_features_of_another_row() -> None:
    """A word's columns are taken together: each row has one word still."""
    words = np.eye(4)[np.arange(40) % 4]
    numbers = np.arange(40.0)[:, None]
    layout = Layout(np.array([0, 1, 1, 1, 1]), np.array([True, False, False, False, False]))
    x = np.hstack([numbers, words])
    found = mixed(arrays(x, layout), 1)[200:]
    assert (found[:, 1:].sum(1) == 1).all()
    assert np.isin(found[:, 0], numbers).all()
    same = [(row == x).all(1).any() for row in found]
    assert 0.2 < 1 - np.mean(same) < 0.6


def test_half_of_the_images_have_a_box_of_another() -> None:
    x = np.arange(5.0)[:, None, None, None] * np.ones((1, 2, 8, 8))
    found = mixed(arrays(x), 2)[25:]
    assert all(len(np.unique(image)) <= 2 for image in found)
    assert any(len(np.unique(image)) == 2 for image in found)
    for image in found:
        assert (image[0] == image[1]).all()
        kinds, counts = np.unique(image[0], return_counts=True)
        assert len(kinds) == 1 or counts.min() <= 0.5 * 64 + 16


def test_the_same_seed_gives_the_same_inputs_and_there_is_a_limit() -> None:
    x = np.random.default_rng(1).normal(size=(12_000, 2))
    assert mixed(arrays(x), 5).shape == (30_000, 2)
    assert (mixed(arrays(x), 5) == mixed(arrays(x), 5)).all()
    assert (mixed(arrays(x), 5) != mixed(arrays(x), 6)).any()
