"""Pulling a run from its store: into a folder, through links, never over something else."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hpsearch.cluster.pull import pull
from hpsearch.errors import UserError
from hpsearch.storage import Store


class Server:
    """The job server of a cluster that has one finished job, whose run folder is in a store."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get_address(self) -> str:
        return "http://127.0.0.1:8265"

    def get_job_info(self, name: str) -> Any:
        about = {"hpsearch": "0", "study": "s", "runs": self._url}
        return SimpleNamespace(
            submission_id=name, status=SimpleNamespace(value="SUCCEEDED"), metadata=about,
            start_time=0, end_time=1, message="",
        )  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Server:
    run = tmp_path / "origin"
    run.mkdir()
    (run / "study.yaml").write_text("name: s\n")
    url = f"file://{tmp_path / 'store'}"
    Store(url, "s", "test").push(run)
    return Server(url)


def test_a_link_to_a_folder_stays_a_link(server: Server, tmp_path: Path) -> None:
    (tmp_path / "to").symlink_to("far")
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "s").symlink_to("farther")
    for _ in range(2):  # the second replaces the first
        assert pull(server, "job", str(tmp_path / "to"), print) == tmp_path / "to" / "s"
    assert (tmp_path / "to").is_symlink() and (tmp_path / "far" / "s").is_symlink()
    assert (tmp_path / "far" / "farther" / "study.yaml").read_text() == "name: s\n"


def test_a_link_to_nothing_makes_the_folder(server: Server, tmp_path: Path) -> None:
    (tmp_path / "to").symlink_to("far")
    pull(server, "job", str(tmp_path / "to"), print)
    assert (tmp_path / "far" / "s" / "study.yaml").is_file()


def test_a_circle_of_links_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "to").symlink_to("other")
    (tmp_path / "other").symlink_to("to")
    with pytest.raises(UserError, match=r"--to: .*in a circle"):
        pull(server, "job", str(tmp_path / "to"), print)
