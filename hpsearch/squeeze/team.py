"""Nets that predict together, and what they score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from hpsearch.data.dataset import Arrays
from hpsearch.intervals import score
from hpsearch.prepared import Prepared
from hpsearch.squeeze.calibrate import together
from hpsearch.squeeze.candidates import Candidate, nets_of, predict

Scores = dict[str, dict[str, float]]  # of a team, by part and metric


@dataclass(frozen=True)
class Team:
    """Nets that predict together. `temperature`: of their probabilities, which it makes less sure above 1.

    `judged`: what they predict of the validation part, in cross-validation each of what it has not seen; `truth`:
    of these examples.
    """

    nets: Sequence[nn.Module]
    weights: Sequence[float]
    temperature: float
    judged: np.ndarray
    truth: np.ndarray

    def predict(self, x: np.ndarray, prepared: Prepared) -> np.ndarray:
        """Log-probabilities [N, C] or values [N]."""
        target = prepared.arrays.target
        found = [predict(net, x, target) for net in self.nets]
        return together(found, self.weights, self.temperature, target.task)

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
    arrays: Arrays | None = None,
) -> Team:
    """The members' nets. `arrays`: on which they were trained, where not those of the search."""
    weights = weights or [1 / len(members)] * len(members)
    arrays = arrays or prepared.searched
    nets = [nets_of(member, prepared.net, arrays) for member in members]
    shares = [weight / len(own) for weight, own in zip(weights, nets, strict=True) for _ in own]
    judged = together([member.prediction for member in members], weights, temperature, arrays.target.task)
    return Team([net for own in nets for net in own], shares, temperature, judged, arrays.validation.y)
