"""D2: the same row twice, with the same answer or with another, in one part or in two."""

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from sklearn.decomposition import PCA
from sklearn.metrics import mutual_info_score
from sklearn.neighbors import NearestNeighbors

from hpsearch.recipe import pictures
from hpsearch.recipe.pictures import Draw
from hpsearch.recipe.verdict import Finding, judged, percent, skipped
from hpsearch.recipe.view import View

_MANY = 0.01  # of the rows
_NEAR, _FIFTH = 0.1, 5  # of the distance of the fifth nearest
_NEIGHBOURS = 4000  # rows of a part among which near ones are looked for
_MOVED, _MOVES = 0.3, 5  # standard deviations of a number; times
_CHANCE = 1e-3
_DIRECTIONS = 100  # in which rows differ most: they tell near ones from others as well as a thousand
_WORDS = 50  # of a column, each a direction of its own; of more, random directions
_FEW, _MOST_FEW = 20, 60  # values of a feature, and features, between which dependence is looked at
_SHOWN = 16


def duplicates(view: View) -> Finding:
    """D2.duplicates: training rows whose inputs an earlier training row has."""
    train = view.copies.part["train"]
    group = view.copies.group[train]
    first = np.unique(group, return_index=True)[1]
    again = np.setdiff1d(np.arange(len(group)), first)
    share = len(again) / len(group)
    return judged(
        False,
        share > _MANY,
        f"{len(again)} of {len(group)} training rows ({percent(share)})",
        f"at most {percent(_MANY)}",
        "rows that were collected twice count twice: drop them, or see whether what tells them apart is missing",
        view.copies.rows[train[again]],
    )


def leakage(view: View) -> Finding:
    """D2.leakage: validation and test rows whose inputs were trained on.

    A failure where it is more than 1 % of a part, beyond chance, and more than twice what is natural in a table
    of few answers.
    """
    copies, told, rows, fails = view.copies, [], [], False
    train = np.unique(copies.group[copies.part["train"]])
    natural = _natural(view)
    for part in ("validation", "test"):
        places = copies.part[part]
        seen = places[np.isin(copies.group[places], train)]
        low = _lower_end(len(seen), len(places))
        fails |= low > _MANY and low > 2 * natural
        told.append(f"{len(seen)} of {len(places)} {part} rows ({percent(len(seen) / len(places))})")
        rows += copies.rows[seen].tolist()
    return judged(
        fails,
        bool(rows),
        ", ".join(told) + (f"; {percent(natural)} would be natural" if natural > _MANY / 10 else ""),
        "none; surely more than 1 % of a part is a failure",
        "what was learnt by heart scores there as if it were understood: drop the duplicates, or keep those that "
        f"belong together in one part ({view.together})",
        rows,
        _pairs(view, rows),
    )


def extra(view: View) -> Finding:
    """D2.extra: validation and test rows whose inputs data.extra has; a failure by the rule of D2.leakage."""
    if view.in_extra is None:
        return skipped("the study names no data.extra")
    told, fails, natural = [], False, _natural(view)
    for part in ("validation", "test"):
        rows = view.copies.rows[view.copies.part[part]]
        count = int(np.isin(rows, view.in_extra).sum())
        low = _lower_end(count, len(rows))
        fails |= low > _MANY and low > 2 * natural
        told.append(f"{count} of {len(rows)} {part} rows ({percent(count / len(rows))})")
    return judged(
        fails,
        len(view.in_extra) > 0,
        ", ".join(told),
        "none; surely more than 1 % of a part is a failure",
        "extra data are for training alone: take out of them what is validated and tested on",
        view.in_extra,
    )


def conflicts(view: View) -> Finding:
    """D2.conflicts: rows with equal inputs and different answers; no net can be right on all of them."""
    copies, wrong, rows = view.copies, 0, []
    for places in _equal(copies.group):
        answers, counts = np.unique(copies.y[places], return_counts=True)
        if len(answers) > 1:
            wrong += int(counts.sum() - counts.max())
            rows += copies.rows[places].tolist()
    total = len(copies.y)
    low, natural = _lower_end(wrong, total), _natural(view)
    told = f"{len(rows)} rows"
    if view.is_classification:
        told += f", of which {wrong} must be wrong ({percent(wrong / total)})"
        told += f"; an accuracy of {percent(1 - wrong / total)} is the most that a net can have" if wrong else ""
    return judged(
        view.is_classification and wrong / total > _MANY and low > _MANY / 2 and natural < _MANY,
        bool(rows),
        told,
        "none; of classes, more than 1 % of rows that must be wrong is a failure",
        "look at them: either labels are wrong, or what tells these rows apart is not among the features",
        rows,
        _pairs(view, rows),
    )


def near(view: View) -> Finding:
    """D2.near: validation and test rows that are nearly a training row, though not equal to it.

    Nearly: their nearest training row is at less than a tenth of the distance of the fifth nearest. Warns where
    that is so more often than in points spread evenly around, and beside words more often than after the numbers
    were moved. Images are compared without brightness and contrast.
    """
    in_training = view.part["train"]
    if not any(feature.is_number and not feature.missing[in_training].all() for feature in view.features):
        return skipped("words alone have no distance")
    rng = np.random.default_rng(0)
    group = dict(zip(view.copies.rows.tolist(), view.copies.group.tolist(), strict=True))
    own = np.array([group[row] for row in view.rows.tolist()])
    train = _sample(in_training, rng)
    train = train[np.unique(own[train], return_index=True)[1]]  # equal rows are no neighbours
    trained = np.unique(view.copies.group[view.copies.part["train"]])
    places = np.concatenate([_sample(view.part[part], rng) for part in ("validation", "test")])
    places = places[~np.isin(own[places], trained)]
    if len(train) < _FIFTH or len(places) == 0:
        return skipped("too few rows that are not equal to others")
    distance = _distances(view, train, places)
    close = places[_is_near(distance)]
    natural = _by_chance(distance)
    if any(not feature.is_number for feature in view.features):
        natural = max(natural, _by_moving(view, train, places))
    chance = float(stats.binomtest(len(close), len(places), natural, alternative="greater").pvalue)
    return judged(
        False,
        chance < _CHANCE,
        f"{len(close)} of {len(places)} rows at less than {_NEAR:g} of the fifth nearest's distance from one of "
        f"{len(train)} training rows",
        f"{percent(natural)} by chance",
        "copies that were cut, saved or measured again are duplicates still: drop them, or keep them in one part "
        f"({view.together})",
        view.sources(close),
    )


def _distances(view: View, train: np.ndarray, places: np.ndarray, moved: float = 0.0, seed: int = 0) -> np.ndarray:
    """From the rows at these places to their five nearest in training, [n, 5]; with their numbers moved first."""
    x = _comparable(view, np.concatenate([train, places]), len(train), moved, seed)
    found = NearestNeighbors(n_neighbors=_FIFTH).fit(x[: len(train)]).kneighbors(x[len(train) :])[0]
    return np.asarray(found)


def _is_near(distance: np.ndarray) -> np.ndarray:
    return np.asarray(distance[:, 0] < _NEAR * distance[:, -1])


def _by_moving(view: View, train: np.ndarray, places: np.ndarray) -> float:
    """How often rows are so near whose numbers were moved by a part of their spread: no copies are left then.

    Where few numbers stand beside words, a row may have one near neighbour of the same words, and others far away.
    """
    near = np.stack([_is_near(_distances(view, train, places, _MOVED, seed)) for seed in range(_MOVES)])
    share = float(near.mean())
    return share + 2 * math.sqrt(share * (1 - share) / near.size)


def _by_chance(distance: np.ndarray) -> float:
    """How often points that are spread evenly around have their nearest neighbour so near, from distances [N, 5].

    In D dimensions (r1 / r5)^D is Beta(1, 4), and (r2 / r5)^D is Beta(2, 3), whose median gives D (as in Facco et
    al. 2017, "Estimating the intrinsic dimension of datasets"); copies change r1 alone.
    """
    ratio = float(np.median(distance[:, 1] / np.maximum(distance[:, -1], 1e-300)))
    if not 0 < ratio < 1:
        return 0.0
    dimensions = np.log(stats.beta(2, 3).median()) / np.log(ratio)
    return float(stats.beta(1, 4).cdf(_NEAR**dimensions))


def _natural(view: View) -> float:
    """The share of rows with a twin in training, were each feature drawn given the one that tells most about it.

    Features of many values are drawn by themselves: their rows are few, and copies among them would explain all.
    """
    if view.kind == "images":
        return 0.0
    train = view.part["train"]
    codes = [np.unique(feature.codes[train], return_inverse=True)[1] for feature in view.features]
    few = sorted((c for c in codes if c.max() < _FEW), key=lambda c: -int(c.max()))
    alone = [c for c in codes if c.max() >= _FEW] + few[_MOST_FEW:]
    same = twins_of_tree(few[:_MOST_FEW])
    for column in alone:
        same *= float(np.square(np.bincount(column) / len(column)).sum())
    return float(1 - (1 - same) ** len(view.copies.part["train"]))


def twins_of_tree(columns: Sequence[np.ndarray]) -> float:
    """How probably two rows are equal, of columns of codes [N] that hang together as a tree.

    The tree with the most mutual information (Chow & Liu 1968, "Approximating discrete probability distributions
    with dependence trees"). The sum over all rows of their squared probability goes from the leaves to the root.
    """
    if not columns:
        return 1.0
    told = np.zeros((len(columns), len(columns)))
    for i, j in itertools.combinations(range(len(columns)), 2):
        told[i, j] = mutual_info_score(columns[i], columns[j]) + 1e-9  # 0 would be no edge
    order, parent = breadth_first_order(minimum_spanning_tree(-told), 0, directed=False)
    below = [np.ones(int(column.max()) + 1) for column in columns]  # of each value, its subtrees' sums
    for child in order[:0:-1]:
        joint = np.zeros((len(below[parent[child]]), len(below[child])))
        np.add.at(joint, (columns[parent[child]], columns[child]), 1)
        below[parent[child]] *= np.square(joint / joint.sum(1, keepdims=True)) @ below[child]
    root = np.bincount(columns[0]) / len(columns[0])
    return float((np.square(root) * below[0]).sum())


def _lower_end(count: int, total: int) -> float:
    """Of the 95 % interval of a share (Clopper and Pearson)."""
    return float(stats.binomtest(count, total).proportion_ci().low)


def _equal(group: np.ndarray) -> Iterator[np.ndarray]:
    """The places of each group of two or more."""
    order = np.argsort(group, kind="stable")
    for places in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        if len(places) > 1:
            yield np.sort(places)


def _pairs(view: View, rows: Sequence[int]) -> Draw | None:
    """The first rows, each beside the first row that equals it, as far as they are in view."""
    place = {int(row): i for i, row in enumerate(view.rows)}
    group = dict(zip(view.copies.rows.tolist(), view.copies.group.tolist(), strict=True))
    of_group: dict[int, list[int]] = {}
    for row in place:
        of_group.setdefault(group[row], []).append(row)
    shown: list[int] = []
    for row in (row for row in rows[:_SHOWN] if row in place):
        twin = next((other for other in of_group[group[row]] if other != row), None)
        shown += [place[row]] if twin is None else [place[row], place[twin]]
    shown = list(dict.fromkeys(shown))[:_SHOWN]
    if not shown:
        return None
    if view.kind == "images":
        return pictures.images(
            view.inputs(np.array(shown)), [f"{view.rows[i]}: {_answer(view, i)}" for i in shown]
        )
    features = view.features[:6]
    cells = [[view.rows[i], _answer(view, i), *(f.values[i] for f in features)] for i in shown]
    return pictures.table(["row", "answer", *(feature.name for feature in features)], cells)


def _answer(view: View, place: int) -> object:
    return view.target.classes[view.y[place]] if view.is_classification else float(view.y[place])


def _sample(places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return places if len(places) <= _NEIGHBOURS else np.sort(rng.choice(places, _NEIGHBOURS, replace=False))


def _comparable(view: View, places: np.ndarray, trained: int, moved: float = 0.0, seed: int = 0) -> np.ndarray:
    """Rows as points [N, D] between which a distance means something, the first `trained` of them for training.

    `moved`: how far the numbers of the others are moved, at random, in standard deviations.
    """
    if view.kind == "images":
        flat = view.flat(places)
        spread = flat.std(1, keepdims=True)
        return fewer((flat - flat.mean(1, keepdims=True)) / np.where(spread > 0, spread, 1), trained)
    train, rng, mover = view.part["train"], np.random.default_rng(0), np.random.default_rng(seed)
    columns = []
    for feature in view.features:
        known = feature.values[train][~feature.missing[train]]
        if feature.is_number and len(known):
            values = (feature.values[places] - known.mean()) / (known.std() or 1)
            values[trained:] += moved * mover.normal(size=len(places) - trained) if moved else 0.0
            columns.append(np.nan_to_num(values)[:, None])
        elif not feature.is_number:
            columns.append(_directions(feature.codes + 1, rng)[places])
    return fewer(np.concatenate(columns, axis=1).astype(np.float32), trained)


def _directions(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A point for each word, about a standard deviation from any other word's."""
    count = int(codes.max()) + 1
    if count <= _WORDS:
        return np.asarray(np.eye(count)[codes] / np.sqrt(2))
    drawn = rng.normal(size=(count, 16))
    return np.asarray((drawn / np.linalg.norm(drawn, axis=1, keepdims=True) / np.sqrt(2))[codes])


def fewer(x: np.ndarray, trained: int) -> np.ndarray:
    """The directions in which the first rows, those of training, differ most, of many columns."""
    if x.shape[1] <= _DIRECTIONS:
        return x
    some = x[: min(trained, _NEIGHBOURS)]
    return np.asarray(PCA(min(_DIRECTIONS, len(some)), random_state=0).fit(some).transform(x))
