"""Greedy ensembles: the members whose averaged prediction scores best on the validation part.

Caruana et al. 2004, "Ensemble Selection from Libraries of Models": forward selection with replacement, with that
paper's two cures for its overfitting, a start from the best few and bags of candidates. Classes are combined by
the mean of probabilities, values by their mean.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from hpsearch.squeeze.library import Library, Shares

_BAGS, _BAG = 20, 0.5  # selections, and the share of the candidates that each of them sees


def greedy(library: Library, picks: int, start: int = 1) -> list[int]:
    """`picks` candidates, with replacement: each the one that makes the running mean score best.

    It starts from the best candidates alone, as many of the first `start` as score best together. Ties go by log
    loss or rmse, then by order. A pick may repeat: counts are weights.
    """
    values = library.means()
    order = library.best_first()[: min(start, picks)]
    counts = np.arange(1, len(order) + 1)
    running = values[order].cumsum(0)
    ranks = library.ranks(running / values.new_tensor(counts).view(-1, *[1] * (values.dim() - 1)))
    chosen = order[: max(range(len(order)), key=lambda i: (*ranks[i], -i)) + 1]
    total = values[chosen].sum(0)
    while len(chosen) < picks:
        ranks = library.ranks((values + total) / (len(chosen) + 1))
        chosen.append(max(range(len(ranks)), key=lambda m: (*ranks[m], -m)))
        total = total + values[chosen[-1]]
    return chosen


def votes(library: Library, picks: int, seed: int) -> Counter[int]:
    """How often each candidate is picked by selections that see half of the candidates each."""
    rng, count = np.random.default_rng(seed), Counter[int]()
    for _ in range(_BAGS):
        bag = np.sort(rng.permutation(len(library))[: max(round(_BAG * len(library)), 1)])
        count.update(int(bag[pick]) for pick in greedy(library.of(bag), picks, start=picks))
    return count


def heaviest(count: Counter[int], size: int) -> Shares:
    """The `size` candidates with most votes, and their shares of these; ties by order, which is best first."""
    kept = sorted(count, key=lambda m: (-count[m], m))[:size]
    return {m: count[m] / sum(count[k] for k in kept) for m in kept}


def top(library: Library, count: int) -> Shares:
    """The best few alone, each with the same weight."""
    best = library.best_first()[:count]
    return dict.fromkeys(best, 1 / len(best))


def weights_of(picks: Sequence[int]) -> Shares:
    """Members in the order of their first pick, with their shares."""
    return {member: picks.count(member) / len(picks) for member in dict.fromkeys(picks)}
