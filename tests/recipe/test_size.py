from pathlib import Path

import pytest
import torch
from broken_studies import Fault, blobs, write
from torch import nn

from hpsearch.prepare import prepare
from hpsearch.recipe.check import run
from hpsearch.recipe.size import Size, afforded


@pytest.mark.parametrize(("width", "cut"), [(100, 1), (700, 2), (1000, 4), (4000, 16)])
def test_a_net_is_as_large_as_its_operations(width: int, cut: int) -> None:
    """Two operations a weight forward, three times that a step, 27,000 steps of 64 examples, within 4e12."""
    needed = 2 * 3 * width**2 * 64 * 27_000 / 4e12
    assert cut == 16 or cut / 2 < max(needed, 1) <= cut
    assert afforded(nn.Linear(width, width, bias=False), torch.zeros(3, width), 64).cut == cut


def test_a_cut_run_sees_so_many_fewer_examples() -> None:
    size = Size(cut=8, batch=16, per_step=2.0)
    assert size.steps(300) * 16 * 8 == 300 * 64
    assert size.rows == {"train": 1000, "validation": 500}
    assert Size().rows == {"train": 4000, "validation": 2000}
    assert Size().steps(300) == 300


def test_a_large_net_is_checked_in_part_and_says_so(tmp_path: Path) -> None:
    large = Fault("large", "", blobs, {"params": {"width": 2048, "depth": 3, "batch_size": 64}})
    found = run(prepare(write(large, tmp_path)), ["R5"])["R5"]
    assert "with one example in 16 of a full run, since the net is large" in found.measured


def test_a_narrow_convolution_and_many_small_operations_count_as_they_take() -> None:
    wide = nn.Linear(400, 400, bias=False)
    assert afforded(wide, torch.zeros(3, 400), 64).cut == 1
    many = nn.Sequential(wide, *(nn.ReLU() for _ in range(200)))
    assert afforded(many, torch.zeros(3, 400), 64).cut > 1
    narrow = nn.Conv2d(4, 4, 3, padding=1, bias=False)  # of as many operations an example as the wide one
    side = round((400**2 / (4 * 4 * 9)) ** 0.5)
    assert afforded(narrow, torch.zeros(3, 4, side, side), 64).cut > 1
