"""Candidates whose nets are not what they predicted take no part in the ensemble, and are not exported."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hpsearch.errors import RunError
from hpsearch.folder import Folder
from hpsearch.pack.train import Pack, Settings
from hpsearch.prepare import prepare
from hpsearch.prepared import Prepared
from hpsearch.search.progress import Quiet
from hpsearch.squeeze.candidates import Candidate
from hpsearch.squeeze.kept import keep, kept
from hpsearch.squeeze.rebuilt import choose_rebuilt
from hpsearch.squeeze.team import team_of

NETS = """
from torch import nn


def build(outputs, width=16):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, outputs))
"""
STUDY = """
name: s
data: {source: "sklearn:digits"}
net: my_nets:build
search: {trials: 3, metric: log_loss}
params: {epochs: 3, lr: [0.003, 0.01]}
squeeze: {ensemble: 3}
"""


class Notes(Quiet):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    (tmp_path / "my_nets.py").write_text(NETS)
    (tmp_path / "s.yaml").write_text(STUDY)
    return prepare(tmp_path / "s.yaml")


def library(prepared: Prepared) -> list[Candidate]:
    pack = Pack.start(
        Settings(0, prepared.net.factory(), "loop"),
        prepared.searched,
        range(3),
        [prepared.params(n) for n in range(3)],
    )
    pack.train()
    states = sorted(pack.done, key=lambda state: state.record.best["log_loss"])
    return [
        Candidate(
            s.record.trial, s.record.best_epoch or 0, (s,), s.tensors["best.prediction"].numpy(), s.record.best
        )
        for s in states
    ]


def broken(one: Candidate) -> Candidate:
    """The candidate with other weights than it predicted with."""
    (state,) = one.states
    tensors: dict[str, Any] = {**state.tensors, "best.theta": torch.randn_like(state.tensors["best.theta"])}
    return replace(one, states=(replace(state, tensors=tensors),))


def test_a_broken_candidate_is_left_out(prepared: Prepared) -> None:
    first, *others = library(prepared)
    notes = Notes()
    _, members, left = choose_rebuilt([broken(first), *others], prepared, notes)
    assert [one.trial for one in left] == [one.trial for one in others]
    assert first.trial not in {one.trial for one in members}
    assert len(notes.notes) == 1
    assert notes.notes[0].startswith(f"trial {first.trial} (best, epoch {first.epoch}) is left out: a net rebuilt")


def test_sound_candidates_stay(prepared: Prepared) -> None:
    sound, notes = library(prepared), Notes()
    assert choose_rebuilt(sound, prepared, notes)[2] == sound
    assert notes.notes == []


def test_none_that_can_be_rebuilt(prepared: Prepared) -> None:
    with pytest.raises(RunError, match="no trial's net can be rebuilt; the first: a net rebuilt from"):
        choose_rebuilt([broken(one) for one in library(prepared)], prepared, Notes())


def test_a_net_that_is_not_what_it_predicted_is_not_exported(prepared: Prepared, tmp_path: Path) -> None:
    first, *_ = library(prepared)
    folder = Folder(tmp_path / "run")
    folder.create()
    told = {"members": [first.named()]}
    keep(folder, "best", team_of([first], prepared), told)
    assert kept(folder, prepared, "best")[1] == told
    keep(folder, "best", team_of([broken(first)], prepared), told)
    with pytest.raises(RunError, match="the best cannot be exported: a net rebuilt from"):
        kept(folder, prepared, "best")
