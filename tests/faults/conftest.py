"""A small study that was launched undisturbed: what broken launches are held against."""

from pathlib import Path

import pytest
from launches import MEDIUM, SMALL, finish, launch

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
    path.write_text(MEDIUM)
    status, out, err = finish(launch(path, path.parent / "whole"))
    assert status == 0, out + err
    return path, Folder(path.parent / "whole" / "medium")


@pytest.fixture(scope="session")
def whole(small: Path) -> Folder:
    status, out, err = finish(launch(small, small.parent / "whole"))
    assert status == 0, out + err
    return Folder(small.parent / "whole" / "small")
