"""Greedy ensembles against a plain loop with scikit-learn's metrics; the cures for their overfitting."""

from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, root_mean_squared_error

from hpsearch.squeeze.ensemble import greedy, heaviest, top, votes
from hpsearch.squeeze.library import Library, combine

RNG = np.random.default_rng(0)


def library(members: int, examples: int, classes: int, skill: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities [M, N, C] of candidates that know a little, and the truth."""
    y = RNG.integers(classes, size=examples)
    logits = RNG.normal(size=(members, examples, classes))
    logits[:, np.arange(examples), y] += skill
    logp = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return logp.astype(np.float32), y


def plain_greedy(logp: np.ndarray, y: np.ndarray, metric: str, size: int) -> list[int]:
    """Caruana et al. 2004 with replacement, one candidate after another."""
    picks: list[int] = []
    for _ in range(size):
        best, best_score = -1, (-np.inf, -np.inf)
        for m in range(len(logp)):
            mean = np.exp(logp[[*picks, m]].astype(np.float64)).mean(0)
            loss = -log_loss(y, mean / mean.sum(-1, keepdims=True), labels=range(logp.shape[-1]))
            score = (accuracy_score(y, mean.argmax(-1)) if metric == "accuracy" else loss, loss)
            if score[0] > best_score[0] + 1e-12 or (
                abs(score[0] - best_score[0]) <= 1e-12 and score[1] > best_score[1] + 1e-9
            ):
                best, best_score = m, score
        picks.append(best)
    return picks


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_greedy_picks_what_a_plain_loop_picks(metric: str) -> None:
    logp, y = library(members=8, examples=120, classes=4, skill=1.0)
    assert greedy(Library(logp, y, "classification", metric), 5) == plain_greedy(logp, y, metric, 5)


def test_the_first_pick_is_the_best_alone() -> None:
    logp, y = library(members=6, examples=200, classes=3, skill=1.0)
    losses = [log_loss(y, np.exp(p), labels=range(3)) for p in logp.astype(np.float64)]
    assert greedy(Library(logp, y, "classification", "log_loss"), 1) == [int(np.argmin(losses))]


def test_values_are_averaged_by_weight() -> None:
    a, b = RNG.normal(size=10), RNG.normal(size=10)
    np.testing.assert_allclose(combine([a, b], [3, 1], "regression"), 0.75 * a + 0.25 * b)


def test_probabilities_are_averaged_by_weight() -> None:
    logp, _ = library(members=2, examples=10, classes=3, skill=0.0)
    wanted = 0.2 * np.exp(logp[0].astype(np.float64)) + 0.8 * np.exp(logp[1].astype(np.float64))
    np.testing.assert_allclose(np.exp(combine(list(logp), [1, 4], "classification")), wanted, rtol=1e-5)


def test_a_greedy_regression_is_at_least_as_good_as_its_best_member() -> None:
    y = RNG.normal(size=100)
    values = y + RNG.normal(size=(6, 100))
    shares = heaviest(Counter(greedy(Library(values, y, "regression", "rmse"), 5)), 5)
    team = combine([values[m] for m in shares], list(shares.values()), "regression")
    assert root_mean_squared_error(y, team) <= min(root_mean_squared_error(y, v) for v in values)


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "auroc"])
def test_a_sorted_start_is_as_many_of_the_best_as_score_best_together(metric: str) -> None:
    logp, y = library(members=9, examples=150, classes=2, skill=0.7)
    found = Library(logp, y, "classification", metric)
    order = found.best_first
    means = [np.exp(combine(list(logp[order[:n]]), [1] * n, "classification")) for n in range(1, 6)]
    ranks = [found.ranks(torch.tensor(mean[None]).double())[0] for mean in means]
    wanted = max(range(5), key=lambda n: (*ranks[n], -n)) + 1
    assert greedy(found, 5, start=5)[:wanted] == order[:wanted]


def test_votes_are_of_selections_that_see_the_best_few_and_half_of_the_others() -> None:
    logp, y = library(members=20, examples=100, classes=3, skill=1.0)
    found = Library(logp, y, "classification", "log_loss")
    count = votes(found, picks=4, seed=0)
    assert sum(count.values()) == 20 * 4
    assert count == votes(found, picks=4, seed=0)
    one = Library(logp[:1], y, "classification", "log_loss")
    assert heaviest(votes(one, 3, 0), 5) == {0: 1.0}


@pytest.mark.parametrize("others", [1, 7, 31])
def test_one_that_stands_out_is_not_voted_down_by_bags_without_it(others: int) -> None:
    logp, y = library(members=others, examples=200, classes=4, skill=0.0)
    best, _ = library(members=1, examples=200, classes=4, skill=0.0)
    best[0] = np.log(0.02 / 3)
    best[0, np.arange(200), y] = np.log(0.98)
    found = Library(np.concatenate([best, logp]), y, "classification", "log_loss")
    assert heaviest(votes(found, 5, 0), 5) == {0: 1.0}


def test_a_selection_among_some_is_that_of_a_library_of_them() -> None:
    logp, y = library(members=12, examples=100, classes=3, skill=1.0)
    some = [1, 4, 5, 9]
    alone = greedy(Library(logp[some], y, "classification", "accuracy"), 5, start=3)
    assert greedy(Library(logp, y, "classification", "accuracy"), 5, 3, some) == [some[place] for place in alone]


def test_the_heaviest_share_their_votes() -> None:
    assert heaviest(Counter({4: 1, 2: 3, 0: 3, 7: 2}), 3) == {0: 3 / 8, 2: 3 / 8, 7: 2 / 8}


def test_the_top_are_the_best_alone() -> None:
    y = RNG.normal(size=80)
    values = np.stack([y + noise * RNG.normal(size=80) for noise in (3, 0.1, 1, 0.2)])
    assert top(Library(values, y, "regression", "rmse"), 2) == {1: 0.5, 3: 0.5}
    assert top(Library(values, y, "regression", "rmse"), 9).keys() == {0, 1, 2, 3}


def test_an_ensemble_with_the_cures_overfits_less_than_a_plain_one() -> None:
    """Candidates of equal skill: what a selection picks out is luck, and more of it on new examples is worse."""
    plain, cured = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        y = rng.integers(2, size=1060)
        logits = rng.normal(size=(40, 1060, 2))
        logits[:, np.arange(1060), y] += 1
        logp = (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32)
        found = Library(logp, y, "classification", "accuracy")
        chosen, fresh = found.on(np.arange(60)), found.on(np.arange(60, 1060))
        for kept, shares in (
            (plain, heaviest(Counter(greedy(chosen, 5)), 5)),
            (cured, heaviest(votes(chosen, 5, seed), 5)),
        ):
            kept.append(fresh.ranks(torch.tensor(np.exp(fresh.together(shares)[None])).double())[0][0])
    assert np.mean(cured) > np.mean(plain)
