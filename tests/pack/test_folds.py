"""Cross-validation in a pack: each fold's row is the trial trained on the other folds and judged on its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hpsearch.data.dataset import Arrays, Part
from hpsearch.data.folds import cross_validated
from hpsearch.intervals import score
from hpsearch.nets.build import NETS
from hpsearch.pack.checkpoint import Record, RowState
from hpsearch.pack.train import Pack, Settings
from hpsearch.search.outcomes import outcomes


@pytest.fixture
def folded(make_arrays):
    return lambda task, folds=3: cross_validated(make_arrays(task), folds, seed=0)


def settings(forward: str = "loop", dtype: torch.dtype = torch.float32) -> Settings:
    return Settings(0, NETS["mlp"], forward, dtype=dtype)


def alone(arrays: Arrays, fold: int) -> Arrays:
    """The same study with this fold as its validation part."""
    assert arrays.folds is not None
    parts = [
        arrays.train.at(np.flatnonzero(arrays.folds != fold)),
        arrays.train.at(np.flatnonzero(arrays.folds == fold)),
    ]
    return replace(arrays, train=parts[0], validation=parts[1], folds=None)


def trained(pack: Pack) -> dict[str, RowState]:
    pack.train()
    return {state.record.name: state for state in pack.done}


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_folds_row_is_the_trial_trained_on_the_others_and_judged_on_it(task, folded, make_params) -> None:
    arrays = folded(task)
    params = make_params(epochs=3, dropout=0.2, norm="batch", average="ema", average_span=0.2, prior_bias=False)
    together = trained(Pack.start(settings(), arrays, [4], [params]))
    assert set(together) == {"4.0", "4.1", "4.2"}
    sizes = np.bincount(arrays.folds)
    for fold in range(3):
        if sizes[fold] != sizes.max():
            continue  # its row leaves out what fills no epoch of the others
        one = trained(Pack(settings(), alone(arrays, fold), [RowState(Record(4, params, fold=fold), {})]))[
            f"4.{fold}"
        ]
        mine = together[f"4.{fold}"]
        assert torch.equal(one.tensors["theta"], mine.tensors["theta"])
        assert torch.equal(one.tensors["best.prediction"], mine.tensors["best.prediction"])
        assert one.record.best == mine.record.best


@pytest.mark.parametrize("way", ["vmap", "fused"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_way_forward_trains_the_same(way, task, folded, make_params) -> None:
    params = [make_params(epochs=3, norm="batch", average=average, dropout=0.1) for average in ("none", "swa")]
    loop, other = (
        trained(Pack.start(settings(forward, torch.float64), folded(task), [0, 1], params))
        for forward in ("loop", way)
    )
    assert loop.keys() == other.keys()
    for name, state in loop.items():
        for tensor in ("theta", "best.theta", "best.prediction"):
            assert torch.allclose(state.tensors[tensor], other[name].tensors[tensor], rtol=0, atol=1e-8), (
                name,
                tensor,
            )


def test_a_trials_value_is_of_what_each_row_has_not_seen(folded, make_params) -> None:
    arrays = folded("classification")
    pack = Pack.start(settings(), arrays, [7], [make_params(epochs=2)])
    pack.train()
    found = outcomes(pack.done, 0, arrays)[7]
    prediction = np.full((len(arrays.validation.y), 3), np.nan, dtype=np.float32)
    for state in pack.done:
        prediction[arrays.folds == state.record.fold] = state.tensors["best.prediction"].numpy()
    assert found.scores == pytest.approx(score(prediction, arrays.validation.y, arrays.target.task, arrays.metric))
    assert found.value == found.scores[arrays.metric]
    thinned = [RowState(state.record, {}) for state in pack.done]
    assert outcomes(thinned, 0, arrays)[7].scores == found.scores


def test_a_trial_fails_with_any_of_its_rows(folded, make_params) -> None:
    arrays = folded("regression")
    pack = Pack.start(settings(), arrays, [1], [make_params(epochs=2)])
    pack.train()
    pack.done[1].record.failure = "the training loss became nan in epoch 1"
    found = outcomes(pack.done, 0, arrays)[1]
    assert found.value is None
    assert found.failure == "the training loss became nan in epoch 1"


def test_every_row_is_held_out_once_and_classes_and_groups_are_kept(make_arrays) -> None:
    arrays = make_arrays("classification")
    count = len(arrays.train.y) + len(arrays.validation.y)
    folds = cross_validated(arrays, 4, 0).folds
    assert folds is not None
    assert len(folds) == count
    for number in range(3):
        of_class = np.bincount(folds[np.concatenate([arrays.train.y, arrays.validation.y]) == number], minlength=4)
        assert of_class.max() - of_class.min() <= 1
    groups = np.arange(count) // 5
    grouped = cross_validated(arrays, 4, 0, groups).folds
    assert all(len(np.unique(grouped[groups == group])) == 1 for group in np.unique(groups))


def test_extra_data_train_every_row_and_judge_none(make_arrays) -> None:
    arrays = make_arrays("regression")
    extra = np.arange(len(arrays.train.y)) >= len(arrays.train.y) - 6
    train = Part(arrays.train.x, arrays.train.y, arrays.train.index, None, extra)
    found = cross_validated(replace(arrays, train=train), 3, 0)
    assert (found.folds[-6:] == -1).all()
    assert found.train.extra[-6:].all()
    assert len(found.validation.y) == len(arrays.train.y) - 6 + len(arrays.validation.y)
    assert np.array_equal(found.train.x[-6:], arrays.train.x[-6:])
