"""A temperature against a grid, and on probabilities that are too sure by a known factor."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from hpsearch.squeeze.calibrate import scaled, temperature


def drawn(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities [N, 3] and classes drawn by them: calibrated."""
    rng = np.random.default_rng(seed)
    logp = log_softmax(2 * rng.normal(size=(rows, 3)), axis=-1)
    y = (np.exp(logp).cumsum(-1) < rng.random((rows, 1))).sum(-1).clip(max=2)
    return logp, y


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_what_is_too_sure_by_a_factor_has_that_temperature(factor: float) -> None:
    logp, y = drawn(20_000)
    assert temperature(factor * logp, y) == pytest.approx(factor, rel=0.05)


def test_no_temperature_of_a_grid_has_a_lower_loss() -> None:
    logp, y = drawn(300)
    t = temperature(2 * logp, y)
    ours = log_loss(y, np.exp(scaled(2 * logp, t).astype(np.float64)), labels=range(3))
    for other in np.geomspace(0.2, 5, 60):
        theirs = log_loss(y, np.exp(scaled(2 * logp, float(other)).astype(np.float64)), labels=range(3))
        assert ours <= theirs + 2e-3  # the prior's part


def test_few_rows_without_a_mistake_do_not_make_it_certain() -> None:
    logp = log_softmax(np.array([[1.0, 0, 0]] * 10), axis=-1)
    assert temperature(logp, np.zeros(10, dtype=int)) > 0.15


def test_hits_stay_hits_and_rows_sum_to_one() -> None:
    logp, _ = drawn(100)
    for t in (0.3, 1.0, 4.0):
        assert (scaled(logp, t).argmax(-1) == logp.argmax(-1)).all()
        np.testing.assert_allclose(np.exp(scaled(logp, t)).sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(scaled(logp, 1.0), logp, atol=1e-6)
