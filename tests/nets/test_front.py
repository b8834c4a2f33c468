"""What stands before a net: chosen features, ranks for values, another size; against scikit-learn and Pillow."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression
from sklearn.preprocessing import QuantileTransformer

from hpsearch.data.cuts import cuts
from hpsearch.data.dataset import Arrays, Part, Target
from hpsearch.data.relevance import relevance
from hpsearch.knobs import of_net
from hpsearch.nets.front import Pieces, Quantile, Resize, Select, resampling
from hpsearch.nets.shape import Layout, Shape
from hpsearch.pack.front import front_of

DEFAULTS = {name: knob.default for name, knob in of_net("resnet").items()} | {
    name: knob.default for name, knob in of_net("mlp").items()
}


def arrays_of(x, y=None, layout=None, task="classification"):
    y = np.arange(len(x)) % 2 if y is None else y
    x = x.astype(np.float32)
    half = len(x) // 2
    parts = [Part(x[own], y[own], np.arange(len(x))[own]) for own in (slice(0, half), slice(half, None))]
    return Arrays(*parts, Target(task, ("a", "b") if task == "classification" else ()), "accuracy", layout=layout)


# --- features ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_most_telling_features_are_kept(task):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 6))
    y = (x[:, 4] + 0.5 * x[:, 1] > 0).astype(np.int64) if task == "classification" else x[:, 4] + 0.5 * x[:, 1]
    arrays = arrays_of(x, y, task=task)
    found = relevance(arrays)
    estimate = mutual_info_classif if task == "classification" else mutual_info_regression
    expected = estimate(arrays.train.x, arrays.train.y, random_state=0)
    np.testing.assert_allclose(found, expected)
    arrays = replace(arrays, relevance=found)
    front, shape = front_of({**DEFAULTS, "features": 0.34}, arrays)
    assert shape.inputs == (2,)
    assert torch.equal(front(torch.from_numpy(arrays.train.x)), torch.from_numpy(arrays.train.x[:, [1, 4]]))


def test_a_category_is_kept_as_a_whole_with_what_it_is():
    layout = Layout(np.array([0, 1, 1, 1, 2, 2]), np.array([True, False, False, False, True, False]))
    arrays = replace(arrays_of(np.eye(6).repeat(4, 0), layout=layout), relevance=np.array([0.1, 0.9, 0.5]))
    front, shape = front_of({**DEFAULTS, "features": 0.6}, arrays)
    assert isinstance(front[0], Select)
    assert front[0].columns.tolist() == [1, 2, 3, 4, 5]
    assert shape.layout.feature.tolist() == [0, 0, 0, 1, 1]
    assert shape.layout.number.tolist() == [False, False, False, True, False]


def test_at_least_one_feature_is_kept_and_all_without_the_trick():
    arrays = replace(arrays_of(np.eye(4)), relevance=np.arange(4.0))
    assert front_of({**DEFAULTS, "features": 0.01}, arrays)[1].inputs == (1,)
    assert front_of(DEFAULTS, arrays) == (None, Shape((4,), 2, None))


# --- ranks ------------------------------------------------------------------------------------------------------


def test_quantile_scaling_is_scikit_learns():
    rng = np.random.default_rng(0)
    x = np.stack([rng.exponential(size=5000), rng.normal(size=5000) ** 3, rng.uniform(size=5000)], 1)
    ours = Quantile(x.astype(np.float32), np.ones(3, dtype=bool))(torch.from_numpy(x)).numpy()
    theirs = QuantileTransformer(n_quantiles=1000, output_distribution="normal").fit_transform(x)
    inner = np.abs(theirs) < 2.2
    assert np.abs(ours - theirs)[inner].max() < 0.05
    assert np.abs(ours).max() < 3  # the ends are the outermost ranks


def test_equal_values_have_their_mean_rank_and_other_columns_stay():
    x = np.stack([np.repeat([0, 1, 5], [50, 30, 20]), np.arange(100)], 1).astype(np.float32)
    scored = Quantile(x, np.array([True, False]))(torch.from_numpy(x)).numpy()
    assert np.array_equal(scored[:, 1], x[:, 1])
    from scipy.stats import norm

    for value, rank in ((0, 0.25), (1, 0.65), (5, 0.9)):
        assert scored[x[:, 0] == value, 0] == pytest.approx(norm.ppf(rank), abs=0.05)


def test_a_constant_column_and_values_beyond_training_are_finite():
    x = np.stack([np.ones(40), np.arange(40)], 1).astype(np.float32)
    scored = Quantile(x, np.ones(2, dtype=bool))(torch.tensor([[1.0, -1e6], [7.0, 1e6]]))
    assert torch.isfinite(scored).all()
    assert float(scored[1, 1]) == pytest.approx(-float(scored[0, 1]), abs=1e-4)


# --- pieces -----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.integers(2, 6))
def test_pieces_are_the_papers_encoding(seed: int, count: int):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(50, 3)).astype(np.float32)
    ends = {c: np.sort(rng.normal(size=count + 1)).astype(np.float32) for c in (0, 2)}
    encoded = Pieces(ends)(torch.from_numpy(x)).numpy()
    by_hand = []
    for row in x:
        told = list(row)
        for column, points in ends.items():
            for a, b in pairwise(points):
                told.append(0.0 if row[column] < a else 1.0 if row[column] >= b else (row[column] - a) / (b - a))
        by_hand.append(told)
    np.testing.assert_allclose(encoded, by_hand, atol=1e-5)


def test_a_net_gets_pieces_beside_its_numbers_and_they_belong_to_their_feature():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3)).astype(np.float32)
    x[:, 1] = x[:, 1] > 0  # a category
    y = (np.abs(x[:, 0]) > 1).astype(np.int64)
    layout = Layout(np.array([0, 1, 2]), np.array([True, False, True]))
    arrays = arrays_of(x, y, layout)
    arrays = replace(arrays, cuts=cuts(arrays, 4))
    front, shape = front_of({**DEFAULTS, "pieces": 4, "scaling": "quantile"}, arrays)
    entering = front(torch.from_numpy(x))
    assert entering.shape == (400, *shape.inputs)
    assert shape.layout.number.tolist() == [True, False, True] + [False] * (shape.inputs[0] - 3)
    assert set(shape.layout.feature[3:].tolist()) <= {0, 2}
    assert shape.layout.categories() == [[1]]
    assert 0 < float(entering[:, 3:].mean()) < 1
    plain = front_of({**DEFAULTS, "pieces": 4}, arrays)[0]
    begun = plain(torch.from_numpy(x))[:, 3:] > 0
    assert float((begun == (entering[:, 3:] > 0)).float().mean()) > 0.98  # ranks keep the order but at the ends
    assert front_of({**DEFAULTS, "pieces": 1}, arrays)[0] is None


# --- sizes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [((28, 28), 14), ((32, 20), 9), ((8, 8), 16)])
def test_another_size_is_pillows_resampling(before, after):
    image = np.random.default_rng(0).uniform(size=before).astype(np.float32)
    found = Resize(*before, after)(torch.from_numpy(image)[None, None])[0, 0].numpy()
    expected = np.asarray(Image.fromarray(image).resize((after, after), Image.Resampling.BILINEAR))
    assert np.abs(found - expected).max() < 1e-4


def test_resampling_keeps_constants():
    assert torch.allclose(resampling(28, 10).sum(1), torch.ones(10), atol=1e-6)


def test_the_front_tells_the_net_the_size():
    arrays = arrays_of(np.random.default_rng(0).normal(size=(8, 3, 10, 12)))
    front, shape = front_of({**DEFAULTS, "image_size": 6}, arrays)
    assert shape.inputs == (3, 6, 6)
    assert front(torch.from_numpy(arrays.train.x)).shape == (4, 3, 6, 6)
