"""Greedy ensembles: the members whose averaged prediction scores best on the validation part.

Caruana et al. 2004, "Ensemble Selection from Libraries of Models": forward selection with replacement, with that
paper's two cures for its overfitting, a start from the best few and bags of candidates. Classes are combined by
the mean of probabilities, values by their mean.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from hpsearch.squeeze.library import Library, Shares

_BAGS = 20


def greedy(library: Library, picks: int, start: int = 1, among: Sequence[int] | None = None) -> list[int]:
    """`picks` of these candidates, with replacement: each the one that makes the running mean score best.

    It starts from the best candidates alone, as many of the first `start` as score best together. Ties go by log
    loss or rmse, then by order. A pick may repeat: counts are weights.
    """
    places = list(range(len(library))) if among is None else sorted(among)
    seen = set(places)
    order = [place for place in library.best_first if place in seen][: min(start, picks)]
    values = library.means
    counts = values.new_tensor(range(1, len(order) + 1)).view(-1, *[1] * (values.dim() - 1))
    ranks = library.ranks(values[order].cumsum(0) / counts)
    chosen = order[: max(range(len(order)), key=lambda i: (*ranks[i], -i)) + 1]
    total, values = values[chosen].sum(0), values if among is None else values[places]
    while len(chosen) < picks:
        ranks = library.ranks((values + total) / (len(chosen) + 1))
        best = max(range(len(ranks)), key=lambda m: (*ranks[m], -m))
        chosen.append(places[best])
        total = total + values[best]
    return chosen


def votes(library: Library, picks: int, seed: int) -> Counter[int]:
    """How often each candidate is picked by selections that see the best few and half of the others each.

    Without the best few in each, a selection that has not the one that stands out would vote for what is worse.
    """
    rng, count = np.random.default_rng(seed), Counter[int]()
    best, others = library.best_first[:picks], np.array(library.best_first[picks:], dtype=np.int64)
    for _ in range(_BAGS if len(others) > 1 else 1):
        some = rng.permutation(others)[: -(-len(others) // 2)] if len(others) > 1 else others
        count.update(greedy(library, picks, start=picks, among=[*best, *some.tolist()]))
    return count


def heaviest(count: Counter[int], size: int) -> Shares:
    """The `size` candidates with most votes, and their shares of these; ties by order, which is best first."""
    kept = sorted(count, key=lambda m: (-count[m], m))[:size]
    return {m: count[m] / sum(count[k] for k in kept) for m in kept}


def top(library: Library, count: int) -> Shares:
    """The best few alone, each with the same weight."""
    best = library.best_first[:count]
    return dict.fromkeys(best, 1 / len(best))
