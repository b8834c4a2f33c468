"""The winners once more, with new seeds: how much of a win was luck.

The best of many trials was chosen for its score, and scores hold chance: other first weights, another order of the
examples, and it comes out a little worse. What it scores with seeds that chose nothing is what it is worth.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hpsearch.folder import Folder
from hpsearch.prepared import Prepared
from hpsearch.search import standing
from hpsearch.search.progress import Reporter
from hpsearch.squeeze import further
from hpsearch.squeeze.candidates import Candidate, candidates


def again(
    folder: Folder, prepared: Prepared, trials: Sequence[int], workers: int, report: Reporter
) -> list[dict[int, Candidate]]:
    """Of each new seed, these trials at their best epochs; one that failed is left out.

    There are fewer seeds where there would be more trainings than rows are kept of.
    """
    asked = prepared.study.squeeze.seeds
    assert asked is not None
    seeds = min(asked, max(standing.MOST // len(trials), 1))
    report.note(f"again: the {len(trials)} trials that won, each with {seeds} new seeds")
    runs = [(seed, trial) for seed in range(seeds) for trial in trials]
    params, arrays = [prepared.params(trial) for _, trial in runs], prepared.searched
    rows = further.train(folder.again, prepared, "again", params, arrays, workers, report, {"runs": runs})
    found: list[dict[int, Candidate]] = [{} for _ in range(seeds)]
    for one in candidates(folder.again, rows, arrays, with_snapshots=False):
        seed, trial = runs[one.trial]
        found[seed][trial] = one
    return found


def luck(won: float, again: Sequence[float], sign: int) -> dict[str, Any]:
    """How far the win lies above what the same trial scores with other seeds, and those seeds' spread.

    `sign`: 1 where more is better.
    """
    mean = float(np.mean(again)) if again else None
    return {
        "won": won,
        "again": list(again),
        "luck": None if mean is None else sign * (won - mean),
        "spread": float(np.std(again, ddof=1)) if len(again) > 1 else None,
    }
