"""A loader that leaves the process is refused as any loader that fails."""

from pathlib import Path

import pytest

from hpsearch import pipeline
from hpsearch.errors import UserError
from hpsearch.prepare import prepare

LOADERS = """
import sys

import numpy as np
import torch

X, Y = np.arange(120.0).reshape(60, 2), np.arange(60) % 2


def leaves():
    sys.exit(0)


def leaves_in_argparse():
    import argparse

    argparse.ArgumentParser().parse_args(["--help"])


class Leaving(torch.utils.data.Dataset):
    def __len__(self):
        return 60

    def __getitem__(self, i):
        if i == 7:
            raise SystemExit("seven")
        return X[i], Y[i]


def part_that_leaves():
    return {"train": (X[:40], Y[:40]), "test": Leaving()}
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    (tmp_path / "my_loaders.py").write_text(LOADERS)
    return tmp_path / "s.yaml"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("leaves", "my_loaders:leaves called sys.exit(0) (line 11 of my_loaders.py)"),
        ("leaves_in_argparse", "my_loaders:leaves_in_argparse called sys.exit(0) (line 17 of my_loaders.py)"),
        ("Leaving", "my_loaders:Leaving failed: SystemExit: seven (line 26 of my_loaders.py)"),
        ("part_that_leaves", "my_loaders:part_that_leaves failed: SystemExit: seven (line 26 of my_loaders.py)"),
    ],
)
def test_an_exit_names_its_loader(name: str, said: str, study: Path) -> None:
    study.write_text(f"name: s\ndata: {{source: 'my_loaders:{name}'}}\nparams: {{lr: 0.1}}\n")
    with pytest.raises(UserError) as caught:
        prepare(study)
    assert said in str(caught.value)
    with pytest.raises(UserError):
        pipeline.launch(study, study.parent / "runs")
    assert not (study.parent / "runs").exists()
