"""Confident learning, against the definition written out, and on planted and inherent noise."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from broken_studies import Fault, write
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from hpsearch.prepare import prepare
from hpsearch.recipe.check import run
from hpsearch.recipe.labels import calibrated, suspects
from hpsearch.recipe.verdict import Finding


@given(st.integers(0, 10_000), st.integers(2, 4))
@settings(max_examples=40, deadline=None)
def test_suspects_are_those_of_the_definition(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), rng.integers(classes, size=40)])
    p = rng.dirichlet(np.full(classes, 0.3), size=len(y))
    usual = [np.mean([p[i, c] for i in range(len(y)) if y[i] == c]) for c in range(classes)]
    expected = []
    for i in range(len(y)):
        confident = [c for c in range(classes) if p[i, c] >= usual[c]]
        if confident and max(confident, key=lambda c: p[i, c]) != y[i] and p[i, y[i]] < 0.1:
            expected.append(i)
    assert suspects(p, y).tolist() == expected


def test_a_sure_and_wrong_label_is_suspect_and_an_unsure_one_is_not() -> None:
    p = np.array([[0.9, 0.1], [0.95, 0.05], [0.1, 0.9], [0.2, 0.8], [0.99, 0.01], [0.6, 0.4]])
    y = np.array([0, 0, 1, 1, 1, 1])
    assert suspects(p, y).tolist() == [4]


def test_probabilities_are_as_sure_as_they_are_right() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 3)) * 2
    y = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    sound = calibrated(logits, y)
    np.testing.assert_allclose(calibrated(7 * logits, y), sound, atol=1e-3)
    assert sound.max(1).mean() == pytest.approx((sound.argmax(1) == y).mean(), abs=0.02)


def looked(data: Any, folder: Path, **study: Any) -> Finding:
    return run(prepare(write(Fault("labels", "", data, study), folder)), ["D2.labels"])["D2.labels"]


def flipped(y: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which a share is another class, and which."""
    rng = np.random.default_rng(0)
    wrong = rng.random(len(y)) < share
    classes = int(y.max()) + 1
    return np.where(wrong, (y + rng.integers(1, classes, len(y))) % classes, y), wrong


def pictures(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Bars and blocks anywhere on small pictures, which no single pixel tells apart."""
    y = rng.integers(4, size=500)
    x = 0.25 * rng.normal(size=(500, 1, 16, 16)).astype(np.float32)
    for i, (a, b) in enumerate(rng.integers(2, 8, (500, 2))):
        if y[i] < 2:
            x[(i, 0, slice(a, a + 6), b) if y[i] else (i, 0, a, slice(b, b + 6))] += 0.8
        elif y[i] == 2:
            x[i, 0, a + np.arange(6), b + np.arange(6)] += 0.8
        else:
            x[i, 0, a : a + 4, b : b + 4] += 0.5
    return x, y


def digits() -> np.ndarray:
    return (load_digits().images / 16).astype(np.float32)[:, None]


def by_chance(rng: np.random.Generator, rows: int = 400) -> pd.DataFrame:
    """A quarter of the rows has the other answer, wherever they lie."""
    x = rng.normal(size=(rows, 4))
    y = (x[:, 0] + x[:, 1] > 0) ^ (rng.random(rows) < 0.25)
    return pd.DataFrame(x, columns=list("abcd")).assign(y=np.where(y, "good", "bad"))


def test_noise_in_a_quarter_of_the_rows_accuses_no_label(tmp_path: Path) -> None:
    found = looked(by_chance, tmp_path)
    assert found.verdict in ("pass", "skip")
    assert found.rows == ()


@pytest.mark.slow
def test_flipped_labels_of_digits_are_found(tmp_path: Path) -> None:
    x, (y, wrong) = digits(), flipped(load_digits().target, 0.05)
    found = looked(lambda rng: (x, y), tmp_path)
    assert found.verdict == "warn"
    assert wrong[list(found.rows)].mean() > 0.85
    assert len(found.rows) > 0.4 * wrong.sum()  # of which a fifth is of the test part


@pytest.mark.slow
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
@pytest.mark.parametrize("share", [0.0, 0.06])
def test_flipped_labels_of_tables_are_found_and_no_others(load: Any, share: float, tmp_path: Path) -> None:
    table, (y, wrong) = load(as_frame=True).data, flipped(load().target, share)
    found = looked(lambda rng: table.assign(y=[f"class {label}" for label in y]), tmp_path)
    assert found.verdict == ("warn" if share else "pass")
    assert not share or wrong[list(found.rows)].mean() > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("data", [pictures, lambda rng: (digits(), load_digits().target)])
@pytest.mark.parametrize("net", ["mlp", "resnet"])
def test_clean_pictures_are_not_accused(data: Any, net: str, tmp_path: Path) -> None:
    params = {"norm": "batch", "width": 8} if net == "resnet" else {}
    assert looked(data, tmp_path, net=net, params=params).verdict in ("pass", "skip")


@pytest.mark.slow
@pytest.mark.parametrize("slope", [0.8, 1.5, 2.5, 4.0])
def test_classes_that_overlap_are_not_accused(slope: float, tmp_path: Path) -> None:
    def overlapping(rng: np.random.Generator) -> pd.DataFrame:
        x = rng.normal(size=(1200, 5))
        y = rng.random(1200) < 1 / (1 + np.exp(-slope * x @ np.array([0.8, -0.5, 0.3, 0.0, 0.0])))
        return pd.DataFrame(x, columns=list("abcde")).assign(y=np.where(y, "good", "bad"))

    assert looked(overlapping, tmp_path).verdict in ("pass", "skip")
