"""The ensemble's members, chosen among the candidates by the validation part alone."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hpsearch.prepared import Prepared
from hpsearch.squeeze.candidates import Candidate
from hpsearch.squeeze.evidence import weigh
from hpsearch.squeeze.library import Library


def choose(library: Sequence[Candidate], prepared: Prepared) -> tuple[dict[str, Any], list[Candidate]]:
    """The ensemble's members among the candidates, by the validation part alone, and what is said of them."""
    arrays, size = prepared.searched, prepared.study.squeeze.ensemble
    task, metric, y = arrays.target.task, arrays.metric, arrays.validation.y
    predictions = np.stack([candidate.prediction for candidate in library])
    shares, evidence = weigh(Library(predictions, y, task, metric), size, prepared.study.seed, arrays.block)
    members = [library[place] for place in shares]
    described = {
        "members": [member.named() for member in members],
        "weights": list(shares.values()),
        **asdict(evidence),
    }
    return described, members
