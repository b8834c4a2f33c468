"""Averages of weights over a run against plain loops and torch's own."""

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

from hpsearch.tricks.averaging import AVERAGES, average_rates

TOTAL = 40


def walk():
    return np.cumsum(np.random.default_rng(5).normal(size=(TOTAL, 3)), 0)


def plain_none(theta, span):
    return theta[-1]


def plain_ema(theta, span):
    average = np.zeros(3)
    for t, weights in enumerate(theta):
        decay = min(t / (t + 1), max(1 - 1 / (span * TOTAL), 0))
        average = decay * average + (1 - decay) * weights
    return average


def plain_swa(theta, span):
    return theta[int(np.floor((1 - span) * TOTAL)) :].mean(0)


PLAIN = {"none": plain_none, "ema": plain_ema, "swa": plain_swa}


def averaged(kind, span):
    columns, total = {"average_span": np.array([[span]])}, np.array([[TOTAL]])
    rate = average_rates([kind], columns, np.arange(TOTAL)[None], total)[0]
    average = np.full(3, 7.0)
    for weights, share in zip(walk(), rate, strict=True):
        average += share * (weights - average)
    return average


def test_every_average_has_a_plain_one_here():
    assert PLAIN.keys() == AVERAGES.keys()


@pytest.mark.parametrize("span", [0.01, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("kind", AVERAGES)
def test_an_average_is_the_plain_loops(kind, span):
    np.testing.assert_allclose(averaged(kind, span), PLAIN[kind](walk(), span), atol=1e-12)


def test_swa_of_the_whole_run_and_ema_once_it_has_run_are_torchs():
    def torchs(first, **arguments):
        net = torch.nn.Linear(3, 1, bias=False).double()
        net.weight.data[0] = torch.from_numpy(first.copy())
        model = AveragedModel(net, **arguments)
        for weights in walk():
            net.weight.data[0] = torch.from_numpy(weights.copy())
            model.update_parameters(net)
        return model.module.weight.detach().numpy()[0]

    np.testing.assert_allclose(averaged("swa", 1.0), torchs(walk()[0]), atol=1e-12)
    span = 2 / TOTAL  # decay 1/2, from the second step on: torch's begins with the first weights
    np.testing.assert_allclose(averaged("ema", span), torchs(walk()[0], avg_fn=get_ema_avg_fn(0.5)), atol=1e-9)


def test_rows_of_different_kinds_do_not_mix():
    kinds, spans = [*AVERAGES, *AVERAGES], np.linspace(0.1, 0.9, 6)[:, None]
    total, step = np.arange(20, 80, 10)[:, None], np.arange(20)[None] + np.arange(6)[:, None]
    together = average_rates(kinds, {"average_span": spans}, step, total)
    for k, kind in enumerate(kinds):
        row = slice(k, k + 1)
        alone = average_rates([kind], {"average_span": spans[row]}, step[row], total[row])
        assert np.array_equal(together[row], alone)
