"""Rows that stop, go to disk and come back train on as if nothing had happened."""

import pytest

from hpsearch.pack import checkpoint
from hpsearch.pack.train import Pack


@pytest.fixture
def rows(make_params):
    def make(**shared):
        columns = [
            {"optimizer": "adam", "dropout": 0.3, "weight_decay": 0.01},
            {"optimizer": "sgd", "schedule": "cosine", "clip": 0.5},
            {"optimizer": "adamw", "dropout": 0.1, "label_smoothing": 0.1, "schedule": "cyclic", "cycles": 2},
        ]
        return [make_params(**{**column, **shared}) for column in columns]

    return make


def by_trial(states):
    return sorted(states, key=lambda state: state.record.trial)


@pytest.mark.parametrize("way", ["loop", "vmap"])
@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_rows_stored_and_loaded_go_on_bit_identically(way, norm, arrays, rows, train, settings, unlike, tmp_path):
    file = tmp_path / "rows.safetensors"
    half = Pack.start(settings(forward=way), arrays, range(3), rows(norm=norm))
    half.train(on_epoch=lambda pack: pack.records[0].epoch < 2)
    checkpoint.store(file, half.states())
    resumed = Pack(settings(forward=way), arrays, checkpoint.load(file))
    resumed.train()
    undisturbed = train(arrays, rows(norm=norm), forward=way)
    assert [unlike(*pair) for pair in zip(undisturbed, by_trial(resumed.done), strict=True)] == [[]] * 3


def test_a_checkpoint_on_the_way_disturbs_nothing(arrays, rows, train, settings, unlike, tmp_path):
    pack = Pack.start(settings(), arrays, range(3), rows())

    def store(pack):
        checkpoint.store(tmp_path / f"{pack.records[0].epoch}.safetensors", pack.states())
        return True

    pack.train(on_epoch=store)
    assert [unlike(*pair) for pair in zip(train(arrays, rows()), by_trial(pack.done), strict=True)] == [[]] * 3
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize("way", ["loop", "vmap", "fused"])
def test_rows_at_different_epochs_train_side_by_side(way, arrays, rows, train, settings, unlike):
    states = train(arrays, rows(), until={0: 3, 1: 0, 2: 1}, forward=way)
    assert [state.record.epoch for state in states] == [3, 0, 1]
    pack = Pack(settings(forward=way), arrays, states)
    pack.train()
    undisturbed = train(arrays, rows(), forward=way)
    assert [unlike(*pair) for pair in zip(undisturbed, by_trial(pack.done), strict=True)] == [[]] * 3


@pytest.mark.parametrize("way", ["loop", "vmap", "fused"])
def test_rows_of_different_lengths_train_as_each_alone(way, arrays, rows, train, unlike):
    lengths = [{**row, "epochs": epochs} for row, epochs in zip(rows(), (4, 1, 6), strict=True)]
    states = train(arrays, lengths, forward=way)
    assert [state.record.epoch for state in states] == [4, 1, 6]
    for k, state in enumerate(states):
        assert unlike(state, train(arrays, [lengths[k]], [k], forward=way)[0]) == []


def test_until_stops_the_rows_it_names_and_the_others_run_to_their_end(arrays, rows, train):
    states = train(arrays, rows(), until={0: 2, 2: 99})
    assert [state.record.epoch for state in states] == [2, 5, 5]


def test_training_stops_after_the_epoch_in_which_it_is_told_to(arrays, rows, settings):
    pack = Pack.start(settings(), arrays, range(3), rows())
    pack.train(on_epoch=lambda pack: pack.records[0].epoch < 3)
    assert [state.record.epoch for state in pack.states()] == [3, 3, 3]
    assert pack.done == []


def test_a_finished_row_is_handed_back_as_it_is(arrays, rows, train, settings, unlike):
    states = train(arrays, rows())
    pack = Pack(settings(), arrays, states)
    pack.train()
    assert [unlike(*pair) for pair in zip(states, by_trial(pack.done), strict=True)] == [[]] * 3


def test_a_file_gives_back_what_was_stored(arrays, rows, train, unlike, tmp_path):
    file, states = tmp_path / "rows.safetensors", train(arrays, rows(norm="batch"), [12, 1, 2])
    checkpoint.store(file, states)
    assert [unlike(*pair) for pair in zip(states, checkpoint.load(file), strict=True)] == [[]] * 3
    assert checkpoint.head(file).records == [state.record for state in states]
    assert [state.record.trial for state in checkpoint.load(file, [2, 12])] == [12, 2]
    assert unlike(states[1], checkpoint.load(file, [1])[0]) == []


def test_a_record_that_is_no_json_leaves_the_old_file(arrays, rows, train, tmp_path):
    file, states = tmp_path / "rows.safetensors", train(arrays, rows(), until=dict.fromkeys(range(3), 1))
    checkpoint.store(file, states)
    states[0].record.curve.append([2, float("nan"), 0.5, 0.5])
    with pytest.raises(ValueError, match="JSON"):
        checkpoint.store(file, states)
    assert [record.epoch for record in checkpoint.head(file).records] == [1, 1, 1]
    assert list(tmp_path.iterdir()) == [file]
