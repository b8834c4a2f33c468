"""Fixtures for the whole suite: Ray starts once, and only for the tests that ask for it."""

from collections.abc import Iterator

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """Ray with two CPUs, for all tests that launch studies in this process."""
    from hpsearch.search.cluster import cluster

    with cluster(workers=2):
        yield
