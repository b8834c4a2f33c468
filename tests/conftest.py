"""Fixtures for the whole suite: Ray starts once, and only for the tests that ask for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

torch.set_num_threads(1)

_LAUNCHING = ("faults", "test_cli", "test_lock", "test_main", "test_wrong_input")  # in processes of their own


def _uses_ray(file: Path) -> bool:
    launches = file.stem in _LAUNCHING or file.parent.name in _LAUNCHING
    return launches or "ray_cluster" in file.read_text(encoding="utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """In two processes (`-n 2`), files with Ray are run in one of them, whatever runs beside them."""
    from xdist.scheduler import LoadScopeScheduling

    with_ray = {file.name for file in Path(__file__).parent.rglob("test_*.py") if _uses_ray(file)}

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return "ray" if nodeid.partition("::")[0].rpartition("/")[2] in with_ray else nodeid

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """Ray with two CPUs, for all tests that launch studies in this process."""
    from hpsearch.search.cluster import cluster

    with cluster(workers=2):
        yield
