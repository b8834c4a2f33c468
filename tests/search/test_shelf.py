"""Where rows lie: of legs that were split, thinned, and lost."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from hpsearch.folder import Folder
from hpsearch.pack import checkpoint
from hpsearch.pack.checkpoint import Record, RowState
from hpsearch.search.packing import Leg
from hpsearch.search.recover import rebuilt
from hpsearch.search.shelf import Shelf

WHOLE = Leg(0, (0, 1, 2, 3), "loop", 1, 1.0, "")
LEFT, RIGHT = Leg(1, (0, 1), "loop", 1, 1.0, "", (0,)), Leg(2, (2, 3), "loop", 1, 1.0, "", (0,))
ROWS = [
    {
        "number": trial, "state": "complete", "value": trial / 10,
        "outcome": {"scores": {"log_loss": 1.0}, "bytes": 16, "leg": 1 if trial < 2 else 2},
    }
    for trial in range(4)
]  # fmt: skip
WORTH = ("minimize", 1e9)


def row(trial: int, epoch: int = 9) -> RowState:
    return RowState(Record(trial, {"epochs": 9}, epoch=epoch), {"theta": torch.full((4,), float(trial))})


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A leg of four that was split when its first two rows had ended, and its halves, which ended."""
    folder = Folder(tmp_path)
    folder.create()
    checkpoint.store(folder.rows(0), [row(0), row(1), row(2, epoch=4), row(3, epoch=4)], asdict(WHOLE))
    for leg in (LEFT, RIGHT):
        checkpoint.store(folder.rows(leg.leg), [row(trial) for trial in leg.trials], asdict(leg))
    return folder


def test_a_row_lies_with_the_last_leg_that_has_it(folder: Folder) -> None:
    assert Shelf.look(folder).rows() == {0: 1, 1: 1, 2: 2, 3: 2}


def test_a_sweep_keeps_each_row_once(folder: Folder) -> None:
    Shelf.look(folder).sweep({0, 1, 2, 3}, set(), running=())
    assert [head.stored for head in Shelf.look(folder).heads.values()] == [set(), {0, 1}, {2, 3}]


def test_a_sweep_leaves_running_legs_and_unfinished_trials_alone(folder: Folder) -> None:
    Shelf.look(folder).sweep(set(), {3}, running=[1])
    assert [head.stored for head in Shelf.look(folder).heads.values()] == [{0, 1, 2, 3}, {0, 1}, {2, 3}]


def test_a_row_whose_file_is_gone_is_lost_though_the_leg_that_was_split_has_its_record(folder: Folder) -> None:
    Shelf.look(folder).sweep({0, 1, 2, 3}, set(), running=())
    assert Shelf.look(folder).lost(ROWS, *WORTH) == set()
    folder.rows(1).unlink()
    assert Shelf.look(folder).lost(ROWS, *WORTH) == {0, 1}


def test_a_row_that_the_split_leg_still_has_is_not_lost(folder: Folder) -> None:
    folder.rows(1).unlink()
    assert Shelf.look(folder).lost(ROWS, *WORTH) == set()


def test_a_row_that_was_not_worth_its_place_is_not_lost_when_there_is_more(folder: Folder) -> None:
    Shelf.look(folder).sweep({0}, set(), running=())
    assert Shelf.look(folder).rows() == {0: 1}
    assert Shelf.look(folder).lost(ROWS, *WORTH) == set()


def test_a_plan_is_put_together_from_the_rows_files(folder: Folder) -> None:
    abouts = [head.about for head in Shelf.look(folder).heads.values()]
    assert rebuilt(abouts).latest() == [LEFT, RIGHT]
    half = rebuilt(abouts[:2]).latest()
    assert [(leg.trials, leg.after) for leg in half] == [((0, 1), (0,)), ((2, 3), (0,))]
    assert rebuilt([{}, {"leg": "x"}, *abouts]) == rebuilt(abouts)
