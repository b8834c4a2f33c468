"""Fixtures for the whole suite: Ray starts once, and only for the tests that ask for it."""

from collections.abc import Iterator

import pytest
import torch

torch.set_num_threads(1)

_LAUNCHING = ("faults", "test_cli", "test_lock", "test_main", "test_wrong_input")  # in processes of their own


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with Ray run one after another in one process, whatever runs beside them."""
    for item in items:
        launches = item.path.stem in _LAUNCHING or item.path.parent.name in _LAUNCHING
        if launches or "ray_cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("ray"))


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """Ray with two CPUs, for all tests that launch studies in this process."""
    from hpsearch.search.cluster import cluster

    with cluster(workers=2):
        yield
