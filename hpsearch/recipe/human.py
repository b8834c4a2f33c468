"""R6: what a person would score."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import cohen_kappa_score

from hpsearch.data import categories, labels, preprocess
from hpsearch.data.sources import read_table
from hpsearch.errors import UserError
from hpsearch.metrics import METRICS
from hpsearch.recipe.bench import Bench
from hpsearch.recipe.verdict import Finding, judged, skipped

_OF_PROBABILITIES = ("log_loss", "auroc")  # which a person who names classes has not
_FAR = 0.02  # of a person's score


def agreement(bench: Bench) -> Finding:
    """R6: the human score that the study names, or how far a second person's labels agree with the data's.

    And what is left between the baseline and that. Labels are compared on training and validation rows, by
    accuracy where the study's metric is one of probabilities.
    """
    told = bench.prepared.study.human
    if told is None:
        return skipped("the study names no human: {score: …} and no second labels, human: {labels: second.csv}")
    name = bench.metric
    if told.score is not None:
        person, words = told.score, f"a person {told.score:g}"
    else:
        name = "accuracy" if name in _OF_PROBABILITIES else name
        first, second = paired_answers(bench)
        person = _score(bench, name, first, second)
        words = f"a second person agrees with {len(first)} labels at {person:.4g}"
        words += f", Cohen's κ {cohen_kappa_score(first, second):.3f}" if bench.is_classification else ""
    y = torch.from_numpy(bench.arrays.validation.y.copy())
    sign = METRICS[name].sign
    ours = sign * float(np.nanmax(sign * METRICS[name].score(bench.longer.best, y).numpy()))
    return judged(
        False,
        sign * (ours - person) > _FAR * abs(person),
        f"validation {name}: {words}, the baseline {ours:.4g}; head-room {sign * (person - ours):.3g}",
        f"a net no further above a person than {_FAR:.0%}".replace("%", " %"),
        "a net that agrees with labels more than people do has learnt how they were made, or sees the answer",
    )


def paired_answers(bench: Bench) -> tuple[np.ndarray, np.ndarray]:
    """The data's answers and the second person's, [n] each, for the rows that have both.

    Raises:
        UserError: the file has no such rows, or a class that the data have not.
    """
    prepared = bench.prepared
    assert prepared.study.human is not None and prepared.study.human.labels is not None
    where = f"{prepared.place}: human.labels"
    table = read_table(prepared.base / prepared.study.human.labels, text=None)
    named = prepared.study.data.target
    others = [name for name in table.columns if name != "row"]
    if not others:
        raise UserError(f"{where}: has no column with labels beside `row`")
    column = named if named is not None and named in table else str(others[-1])
    table = table[table[column].notna()]
    rows = table.index.to_numpy() if "row" not in table else _whole(table["row"], where)
    answers = _answers(bench, table[column], where)
    known = _by_row(bench)
    pairs = [(known[row], answer) for row, answer in zip(rows.tolist(), answers, strict=True) if row in known]
    if not pairs:
        raise UserError(
            f"{where}: has no training or validation row of the source; the column `row` counts from 0"
        )
    first, second = zip(*pairs, strict=True)
    return np.array(first), np.array(second)


def _whole(column: "pd.Series[Any]", where: str) -> np.ndarray:
    values = preprocess.numbers(column, where, "a row is a whole number from 0")
    if not np.all(values == np.round(values)):
        raise UserError(f"{where}: the column `row` holds whole numbers from 0")
    return values.astype(np.int64)


def _answers(bench: Bench, column: "pd.Series[Any]", where: str) -> np.ndarray:
    if not bench.is_classification:
        return preprocess.numbers(column, where)
    found = labels.codes(column, bench.target.classes)
    unseen = np.flatnonzero(found == categories.UNSEEN)
    if len(unseen):
        name = labels.names(column.iloc[unseen[:1]])[0]
        raise UserError(f"{where}: has the class {name!r}, which the source has not")
    return found


def _by_row(bench: Bench) -> dict[int, Any]:
    dataset = bench.prepared.dataset
    parts = (dataset.train, dataset.validation)  # never the test part
    return {int(row): y for p in parts for row, y in zip(p.index[: len(p.own_y)], p.own_y, strict=True)}


def _score(bench: Bench, name: str, first: np.ndarray, second: np.ndarray) -> float:
    y = torch.from_numpy(first)
    if not bench.is_classification:
        return float(METRICS[name].score(torch.from_numpy(second)[None], y)[0])
    sure = torch.full((1, len(second), bench.target.outputs), -20.0)
    sure[0, torch.arange(len(second)), torch.from_numpy(second)] = 0.0
    return float(METRICS[name].score(sure, y)[0])
