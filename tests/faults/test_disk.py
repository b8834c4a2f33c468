"""A disk that is full: on a file system of a few megabytes, filled to the last byte at the worst moment."""

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from launches import check_same, checkpoints

from hpsearch import pipeline
from hpsearch.errors import DiskFullError, RunError
from hpsearch.folder import Folder
from hpsearch.search import ledger
from hpsearch.search.journal import mend
from hpsearch.search.ledger import Ledger
from hpsearch.search.messages import Entry, Outcome
from hpsearch.search.packing import read
from hpsearch.search.progress import Quiet, Seen
from hpsearch.search.shelf import Shelf


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("a file system can be mounted by root alone")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path) -> None:
    """Until not one more byte fits."""
    with (disk / "ballast").open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC


def make_room(disk: Path) -> None:
    (disk / "ballast").unlink()


def outcome(value: float) -> Outcome:
    return Outcome(value, {"accuracy": value, "log_loss": 1.0}, best_epoch=2, epochs=3, seconds=1.0, leg=0)


def test_a_journal_without_room_keeps_whole_records_and_goes_on_when_there_is_some(disk: Path) -> None:
    path = disk / "ledger.journal"
    book = Ledger(str(path), "study", "maximize")
    launch = book.begin([Entry({}, {}, {"epochs": 3})] * 2)
    book.report(launch, 0, {0: outcome(0.5)})
    fill(disk)
    before = path.read_bytes()
    with pytest.raises(DiskFullError, match=r"ledger\.journal: cannot be written: no space left on the disk"):
        book.report(launch, 0, {1: Outcome(**{**outcome(0.6).__dict__, "failure": "x" * 9999})})
    assert path.read_bytes()[: len(before)] == before
    assert mend(path) is None
    make_room(disk)
    book.report(launch, 0, {1: outcome(0.7)})
    assert [row["value"] for row in ledger.read(path, "study")] == [0.5, 0.7]


class Filler(Quiet):
    """Fills the disk when legs have stored rows on their way, or when a stage begins."""

    def __init__(self, disk: Path, stage: str) -> None:
        self.disk, self.at, self.done = disk, stage, False

    def progress(self, view: Seen) -> None:
        if self.at == "checkpoint" and not self.done and checkpoints(Folder(self.disk / "small")):
            self._fill()

    def stage(self, name: str) -> None:
        if name == self.at:
            self._fill()

    def _fill(self) -> None:
        fill(self.disk)
        self.done = True


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["search", "checkpoint", "export"])
def test_a_launch_without_room_ends_in_a_sentence_and_goes_on_when_there_is_some(
    moment: str, disk: Path, small: Path, whole: Folder, ray_cluster: None
) -> None:
    folder = Folder(disk / "small")
    filler = Filler(disk, moment)
    with pytest.raises(RunError, match="no space left on the disk") as caught:
        pipeline.launch(small, disk, plan=whole.plan, reporter=filler, skip_checks=True)
    assert filler.done
    assert len(str(caught.value).splitlines()) == 1
    assert str(disk) in str(caught.value)
    Shelf.look(folder)  # what was stored is whole
    ledger.read(folder.ledger, "small")
    assert not list(disk.glob("small/rows/.*"))
    make_room(disk)
    pipeline.launch(small, disk, plan=whole.plan, skip_checks=True)
    check_same(whole, folder, trials=8)
    assert read(folder.plan) == read(whole.plan)
