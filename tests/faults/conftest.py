"""A small study that was launched undisturbed: what broken launches are held against."""

from pathlib import Path

import pytest
from launches import MEDIUM, SMALL, undisturbed

from hpsearch.folder import Folder


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faults") / "small.yaml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="session")
def medium(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Folder]:
    """A longer one, and its undisturbed run."""
    path = tmp_path_factory.mktemp("faults") / "medium.yaml"
    return path, undisturbed(MEDIUM, path)


@pytest.fixture(scope="session")
def whole(small: Path) -> Folder:
    return undisturbed(SMALL, small)
