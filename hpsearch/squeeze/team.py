"""Nets that predict together, what they are made of, and what they score."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from torch import nn

from hpsearch.data.dataset import Arrays
from hpsearch.data.folds import joined
from hpsearch.intervals import score
from hpsearch.pack.checkpoint import RowState
from hpsearch.pack.net import whole_net
from hpsearch.prepared import Prepared
from hpsearch.squeeze.calibrate import together
from hpsearch.squeeze.candidates import Candidate, predict, rows_of
from hpsearch.squeeze.settle import settled

Scores = dict[str, dict[str, float]]  # of a team, by part and metric
On = Literal["search", "train", "all"]


@dataclass(frozen=True)
class Made:
    """What nets are made of: rows, by their `best.*` tensors.

    `on`: what they were trained on, as trials are in the search, or the training part, or that and the validation
    part. `averages`: whose batch norms have yet to learn the statistics of weights that are means.
    """

    rows: tuple[RowState, ...]
    on: On = "search"
    averages: tuple[bool, ...] = ()

    def nets(self, prepared: Prepared) -> list[nn.Module]:
        arrays, factory = trained_on(prepared, self.on), prepared.net.factory()
        averages = self.averages or (False,) * len(self.rows)
        nets = [whole_net(factory, row, arrays) for row in self.rows]
        return [settled(net, arrays) if mean else net for net, mean in zip(nets, averages, strict=True)]


def trained_on(prepared: Prepared, on: On) -> Arrays:
    if on == "all":
        return replace(prepared.arrays, train=joined(prepared.arrays))
    return prepared.searched if on == "search" else prepared.arrays


@dataclass(frozen=True)
class Team:
    """Nets that predict together. `temperature`: of their probabilities, which it makes less sure above 1.

    `made`: what the nets are made of, where they are to be kept.
    """

    nets: Sequence[nn.Module]
    weights: Sequence[float]
    temperature: float
    made: Made | None

    def predict(self, x: np.ndarray, prepared: Prepared) -> np.ndarray:
        """Log-probabilities [N, C] or values [N]."""
        target = prepared.arrays.target
        found = [predict(net, x, target) for net in self.nets]
        return together(found, self.weights, self.temperature, target.task)


@dataclass(frozen=True)
class Judged(Team):
    """A team, and what it predicts of validation: in cross-validation each net of what it has not seen."""

    judged: np.ndarray
    truth: np.ndarray

    def scores(self, prepared: Prepared) -> Scores:
        """The study's metric, and log loss or rmse, on validation and test."""
        arrays, test = prepared.arrays, prepared.dataset.test
        return {
            "validation": score(self.judged, self.truth, arrays.target.task, arrays.metric),
            "test": score(self.predict(test.x, prepared), test.y, arrays.target.task, arrays.metric),
        }


def team_of(
    members: Sequence[Candidate],
    prepared: Prepared,
    weights: Sequence[float] = (),
    temperature: float = 1.0,
    on: On = "search",
) -> Judged:
    """The members' nets; of a cross-validated member those of its folds, each of which counts as much."""
    weights = weights or [1 / len(members)] * len(members)
    rows = [rows_of(member) for member in members]
    made = Made(tuple(row for own in rows for row in own), on)
    shares = [weight / len(own) for weight, own in zip(weights, rows, strict=True) for _ in own]
    judged = together([member.prediction for member in members], weights, temperature, prepared.arrays.target.task)
    truth = trained_on(prepared, on).validation.y
    return Judged(made.nets(prepared), shares, temperature, made, judged, truth)
