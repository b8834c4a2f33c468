"""D1: how the data are distributed, looked at before any net."""

import numpy as np
from scipy import stats

from hpsearch.data import lookalikes
from hpsearch.recipe import pictures
from hpsearch.recipe.verdict import Finding, judged, percent, skipped, some
from hpsearch.recipe.view import Feature, View

_IMBALANCED = 10  # times as many rows in the largest class as in the smallest
_MOSTLY = 0.995  # of the rows with one value: near-constant
_FAR = 20.0  # standard deviations
_FEW = 10  # different whole numbers, which are classes rather than values
_CHANCE = 1e-3  # of one false alarm about drift among all features, where the parts are drawn at random
_WORDS = 20  # of a feature, the commonest, that are compared group by group
_LARGE = 0.3  # a distance between two distributions, from 0 to 1, that no accident of a small part makes


def classes(view: View) -> Finding:
    """D1.classes: how many rows each class has, and which classes are probably none of their own."""
    if not view.is_classification:
        return skipped("for classes")
    counts = np.bincount(view.y[view.part["train"]], minlength=view.target.outputs)
    names = [str(name) for name in view.target.classes]
    rows = dict(zip(names, np.bincount(view.y, minlength=len(names)).tolist(), strict=True))
    alike, odd = lookalikes.pairs(rows), lookalikes.strangers(rows)
    order = np.argsort(counts)
    least, most = (f"{names[i]} {counts[i]}" for i in (order[0], order[-1]))
    rare = counts[order[-1]] >= _IMBALANCED * counts[order[0]]
    advice = [
        (rare, "accuracy and log loss hardly see the rare classes: search by balanced_accuracy, f1 or auroc, and "
         "put class_weights or loss: focal into the search"),
        (alike, "a class is its spelling: where two mean the same, write them alike in the source"),
        (odd, "where a class stands for rows without a label, take these rows out of the source"),
    ]  # fmt: skip
    return judged(
        False, bool(rare or alike or odd),
        "; ".join([f"{len(counts)} classes; training rows: {most} at most, {least} at least{view.of}",
                   *([some([*alike, *odd], 3)] if alike or odd else [])]),
        f"the largest class less than {_IMBALANCED} times the smallest; no two classes that look alike, none that "
        "looks like a missing label",
        "; ".join(told for holds, told in advice if holds),
        picture=pictures.bars(
            {name: np.bincount(view.y[part], minlength=len(counts)).tolist() for name, part in view.part.items()},
            names, "rows",
        ),
    )  # fmt: skip


def target(view: View) -> Finding:
    """D1.target: how the values to predict are distributed."""
    if view.is_classification:
        return skipped("for values")
    y = view.y[view.part["train"]]
    skew = float(stats.skew(y)) if np.ptp(y) > 0 else 0.0
    told = f"mean {y.mean():.4g}, standard deviation {y.std():.4g}, {y.min():.4g} to {y.max():.4g}"
    told += f", skewness {skew:.2g}"
    if np.ptp(y) == 0:
        return judged(
            True, False, told, "more than one value", "every target is the same: there is nothing to learn"
        )
    values = np.unique(y)
    if len(values) <= _FEW and np.all(values == np.round(values)):
        return judged(
            False, True, f"{len(values)} values: {some([f'{v:g}' for v in values], _FEW)}",
            "values, not names of classes",
            "if these stand for classes, put task: classification under data: the squared error would order them",
        )  # fmt: skip
    return judged(
        False, abs(skew) > 3, told + view.of, "skewness within ±3",
        "a few extreme targets rule the squared error: predict the logarithm, or put loss: huber into the search",
    )  # fmt: skip


def missing(view: View) -> Finding:
    """D1.missing: which features have no value in how many rows."""
    shares = {feature.name: float(feature.missing.mean()) for feature in view.features}
    having = sorted((name for name, share in shares.items() if share), key=lambda name: -shares[name])
    told = some([f"{name} {percent(shares[name])}" for name in having]) or "none"
    return judged(
        bool(having) and all(share > 0.5 for share in shares.values()),
        any(share > 0.5 for share in shares.values()),
        told + view.of,
        "no feature missing in more than half of the rows",
        "look why: such a column says little by its values, and its marker of missing values may be all there is; "
        "a word that stands for a missing value belongs into data.missing",
    )


def formats(view: View) -> Finding:
    """D1.formats: columns of text that may be read in more than one way, as numbers, dates or words."""
    return judged(
        False, bool(view.doubts), "; ".join(view.doubts) or "none",
        "no column whose texts may be read in more than one way",
        "see how each was read, and name its format under data.formats in the study",
    )  # fmt: skip


def constant(view: View) -> Finding:
    """D1.constant: features that are the same in (nearly) every training row."""
    train = view.part["train"]
    shares = {f.name: _commonest(f.codes[train]) for f in view.features}
    still = [name for name, share in shares.items() if share == 1]
    nearly = [name for name, share in shares.items() if _MOSTLY <= share < 1]
    told = [f"{len(still)} of {len(shares)} constant"] + ([f"({some(still)})"] if still else [])
    told += [f"{len(nearly)} nearly ({some(nearly)})"] if nearly else []
    same = len(np.unique(view.copies.group[view.copies.part["train"]])) == 1
    return judged(
        same,
        bool(still or nearly),
        " ".join(told) + view.of,
        f"no feature with one value in {percent(_MOSTLY)} of the training rows",
        "every input is the same: the reading of the data is wrong"
        if same
        else f"take them out ({view.dropping}), or see whether they were read as they should be",
    )


def _commonest(codes: np.ndarray) -> float:
    return float(np.unique(codes, return_counts=True)[1].max() / len(codes))


def outliers(view: View) -> Finding:
    """D1.outliers: numbers so far out that they rule a net's inputs, measured against the other training rows."""
    found, rows = {}, []
    for feature in view.features:
        if feature.is_number:
            far = _far(feature.values, view.part["train"])
            if far.any():
                found[feature.name] = int(far.sum())
                rows += view.sources(np.flatnonzero(far)).tolist()
    told = some([f"{name} in {count} rows" for name, count in found.items()]) or "none"
    return judged(
        False,
        bool(found),
        told + view.of,
        f"no number beyond {_FAR:g} standard deviations of the other training rows",
        "look at these rows: a unit or a decimal point may be wrong"
        + ("" if view.kind == "images" else "; where they are right, scaling: quantile tames them"),
        sorted(set(rows)),
    )


def _far(values: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Whether each value [N] is far from the mean of the other training rows, in their standard deviations."""
    inside = np.zeros(len(values), dtype=bool)
    inside[train] = ~np.isnan(values[train])
    count = int(inside.sum())
    if count < 3:
        return np.zeros(len(values), dtype=bool)
    known = values[inside]
    far = np.abs(values - known.mean()) > _FAR * known.std()  # of a missing value this is false
    far[inside] = False
    # one that is so far from the others is at least so far from all, itself included
    least = np.sqrt((count - 1) / count / (1 / _FAR**2 + 1 / count)) * (1 - 1e-6)
    for place in np.flatnonzero(inside & (np.abs(values - known.mean()) >= least * known.std())):
        inside[place] = False
        others = values[inside]
        far[place] = np.abs(values[place] - others.mean()) > _FAR * others.std() > 0
        inside[place] = True
    return np.asarray(far & (known.std() > 0))


def identifiers(view: View) -> Finding:
    """D1.identifiers: features that name a row rather than describe it."""
    found = [feature.name for feature in view.features if _is_identifier(feature, view)]
    return judged(
        False,
        bool(found),
        some(found) or "none",
        "no word or whole number that is another one in (nearly) every row",
        f"take it out ({view.dropping}): a net learns such a column by heart, and it says nothing about new rows",
    )


def _is_identifier(feature: Feature, view: View) -> bool:
    known = ~feature.missing
    count = int(known.sum())
    if count < 20 or len(np.unique(feature.codes[known])) < 0.95 * count:
        return False
    if not feature.is_number:
        return True
    values = feature.values[known]
    if feature.is_date or not np.all(values == np.round(values)):
        return False
    # numbers without gaps, or in the order of the rows, were counted and not measured
    counted = not view.of and bool(np.ptp(values) < 1.2 * count)
    return counted or bool(abs(stats.spearmanr(values, view.rows[known]).statistic) > 0.999)


def normalised(view: View) -> Finding:
    """D1.normalised: numbers that were standardised over all rows, before the split."""
    numbers = [f for f in view.features if f.is_number and view.kind != "images"]
    train = view.part["train"]
    if view.of or not numbers:
        return skipped("a sample of the rows does not tell" if view.of else "there are no numbers")
    found = [f.name for f in numbers if _centred(f.values) and not _centred(f.values[train])]
    return judged(
        False, len(found) > len(numbers) / 2, some(found) or "none",
        "no number whose mean is exactly 0 over all rows and not over the training rows",
        "validation and test have had a say in how the inputs are scaled: give the raw numbers, they are "
        "scaled here "
        "by the training part alone",
    )  # fmt: skip


def _centred(values: np.ndarray) -> bool:
    known = values[~np.isnan(values)]
    spread = known.std() if len(known) else 0.0
    return bool(spread > 0 and abs(known.mean()) < 1e-5 * spread)


def drift(view: View) -> Finding:
    """D1.drift: whether validation and test come from where training does, feature by feature and in the target.

    Two-sample tests (Kolmogorov-Smirnov for numbers, chi-square for words, classes and what is missing), with
    Bonferroni's correction for as many as there are. Parts that were not drawn by share are told of, and do not
    fail but for the classes that they have; by group, means of groups are compared.
    """
    y = Feature("the target", view.y.astype(np.float64), not view.is_classification)
    holes = [
        Feature(f"what is missing of {f.name}", f.missing.astype(np.float64), False)
        for f in view.features
        if f.is_number and f.missing.any()
    ]
    cases = [(f, part) for f in (y, *view.features, *holes) for part in ("validation", "test")]
    found: dict[str, float] = {}
    for feature, part in cases:
        a, b = view.part["train"], view.part[part]
        chance, distance = _apart(feature, a, b) if view.unit is None else _groups_apart(feature, a, b, view.unit)
        if chance < _CHANCE / len(cases):
            found[f"{feature.name} in {part}"] = distance
    worst = sorted(found, key=lambda name: -found[name])
    drawn = view.unit is None and not view.given
    failing = [name for name in found if drawn or (view.is_classification and name.startswith(y.name))]
    return judged(
        any(found[name] > _LARGE for name in failing),
        bool(found),
        (some([f"{name} (distance {found[name]:.2g})" for name in worst]) or "none") + view.of,
        f"no distribution further from training's than chance makes it (one false alarm in {1 / _CHANCE:g} "
        "studies)",
        "the parts are not alike, so validation does not tell what training needs to know: see how they were split"
        if drawn
        else "new data will differ as these parts do: more of the past or of the groups, or features that stay",
    )


def _apart(feature: Feature, a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """The probability of such a difference by chance, and the distance of the distributions, from 0 to 1.

    The distance is the largest of the cumulative shares for numbers, half the sum over values for words.
    """
    if feature.is_number:
        one, two = (feature.values[rows][~feature.missing[rows]] for rows in (a, b))
        return _of_numbers(one, two)
    size = int(feature.codes.max()) + 2
    table = np.stack([np.bincount(feature.codes[rows] + 1, minlength=size) for rows in (a, b)])
    shares = table / table.sum(1, keepdims=True)
    tested = _without_rare(table)
    chance = 1.0 if tested.shape[1] < 2 else float(stats.chi2_contingency(tested).pvalue)
    return chance, float(np.abs(shares[0] - shares[1]).sum() / 2)


def _of_numbers(one: np.ndarray, two: np.ndarray) -> tuple[float, float]:
    if len(one) == 0 or len(two) == 0:
        return 1.0, 0.0
    test = stats.ks_2samp(one, two, method="auto")
    return float(test.pvalue), float(test.statistic)


def _groups_apart(feature: Feature, a: np.ndarray, b: np.ndarray, unit: np.ndarray) -> tuple[float, float]:
    """The same of the groups' means: rows of one group are no independent draws. Of words, of each one's share."""
    known = [rows[~feature.missing[rows]] for rows in (a, b)]
    if feature.is_number:
        return _of_numbers(*(_means(feature.values[rows], unit[rows]) for rows in known))
    codes = np.unique(feature.codes[np.concatenate(known)], return_counts=True)
    commonest = codes[0][np.argsort(-codes[1])[:_WORDS]]
    tests = [
        _of_numbers(*(_means((feature.codes[rows] == code).astype(float), unit[rows]) for rows in known))
        for code in commonest.tolist()
    ]
    chance = min((chance for chance, _ in tests), default=1.0)
    return min(chance * len(tests), 1.0), _apart(feature, a, b)[1]


def _means(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Of each unit's values."""
    groups = np.unique(unit, return_inverse=True)[1]
    return np.asarray(np.bincount(groups, values) / np.maximum(np.bincount(groups), 1))


def _without_rare(table: np.ndarray) -> np.ndarray:
    """The table with its rare values put together until each is expected 5 times, as the chi-square test wants."""
    share = table.sum(1).min() / table.sum()
    order = np.argsort(table.sum(0))[::-1]
    kept: list[np.ndarray] = []
    for column in table[:, order].T:
        if kept and min(column.sum(), kept[-1].sum()) * share < 5:
            kept[-1] = kept[-1] + column
        else:
            kept.append(column)
    return np.stack([column for column in kept if column.sum() > 0], axis=1)
