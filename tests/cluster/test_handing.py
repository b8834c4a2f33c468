"""A run folder said line by line arrives as it was, or not at all."""

from pathlib import Path

import numpy as np
import pytest

from hpsearch.cluster.handing import Arriving, hand
from hpsearch.errors import RunError


@pytest.fixture
def lines(tmp_path: Path) -> list[str]:
    root = tmp_path / "run"
    (root / "rows").mkdir(parents=True)
    (root / "study.yaml").write_text("name: s\n")
    (root / "empty").write_bytes(b"")
    (root / ".lock").write_text("held")
    (root / "rows" / "00000.safetensors").write_bytes(np.random.default_rng(0).bytes(100_000))
    said = ["a warning of somebody's"]
    hand(root, said.append)
    return said


def take(lines: list[str], root: Path) -> int:
    arriving = Arriving(root)
    for line in lines:
        arriving.line(line)
    return arriving.whole()


def test_every_file_arrives(lines: list[str], tmp_path: Path) -> None:
    assert take(lines, tmp_path / "here") == 3
    for name in ("study.yaml", "empty", "rows/00000.safetensors"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
    assert not (tmp_path / "here" / ".lock").exists()


def test_an_early_end_is_told(lines: list[str], tmp_path: Path) -> None:
    for end in (0, 1, 3, len(lines) - 1):
        with pytest.raises(RunError, match="ended early"):
            take(lines[:end], tmp_path / str(end))


def test_a_part_that_is_lost_or_altered_is_told(lines: list[str], tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"rows/00000.safetensors: is not what the cluster has"):
        take([*lines[:5], *lines[6:]], tmp_path / "lost")


def test_a_name_that_leads_out_is_refused(lines: list[str], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="leads out of the run folder"):
        take([line.replace("study.yaml", "../../study.yaml") for line in lines], tmp_path / "here")
