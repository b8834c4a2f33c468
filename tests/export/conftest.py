"""Small exports that the tests of this folder share; each takes about a second to build."""

from pathlib import Path

import pytest
from export_cases import Case, make_card, make_case

from hpsearch.export import bundle


@pytest.fixture(scope="session")
def table_case() -> Case:
    return make_case("table", "classes", 3)


@pytest.fixture(scope="session")
def array_case() -> Case:
    return make_case("array", "regression", 1)


@pytest.fixture(scope="session")
def table_export(table_case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ensemble of three on a table with hostile names; `""` and `?` mean missing."""
    folder = tmp_path_factory.mktemp("table") / "export"
    bundle.write(folder, *table_case[:4], make_card(3, ["", "?"]))
    return folder


@pytest.fixture(scope="session")
def array_export(array_case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single net on arrays [N, 2, 2, 3]."""
    folder = tmp_path_factory.mktemp("array") / "export"
    bundle.write(folder, *array_case[:4], make_card(1))
    return folder
