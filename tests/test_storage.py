"""Runs in a store that is not this machine's disk: `file://`, which is one for every purpose but speed."""

from pathlib import Path

import pytest

from hpsearch.errors import RunError, UserError
from hpsearch.storage import Store, is_url, kept, place_of


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"file://{tmp_path}/store", "s", "s.yaml: storage.path")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    root = tmp_path / "run"
    (root / "rows").mkdir(parents=True)
    (root / "ledger.journal").write_text("one\n")
    (root / "rows" / "0").write_bytes(b"row")
    (root / ".lock").write_text("held")
    return root


def test_what_is_brought_there_comes_back(store: Store, run: Path, tmp_path: Path) -> None:
    assert store.push(run) == 2
    again = Store(f"file://{tmp_path}/store", "s", "s.yaml: storage.path")
    assert again.fetch(tmp_path / "other") == 2
    assert (tmp_path / "other" / "rows" / "0").read_bytes() == b"row"
    assert not (tmp_path / "other" / ".lock").exists()


def test_what_has_not_changed_is_not_brought_again_and_what_is_gone_goes(store: Store, run: Path) -> None:
    store.push(run)
    assert store.push(run) == 0
    (run / "rows" / "0").unlink()
    (run / "rows" / "1").write_bytes(b"new")
    assert store.push(run) == 1
    found = Path(store._root)
    assert sorted(path.name for path in (found / "rows").iterdir()) == ["1"]


def test_a_run_that_went_on_elsewhere_takes_the_place_of_the_older_one(
    store: Store, run: Path, tmp_path: Path
) -> None:
    store.push(run)
    elsewhere = Store(f"file://{tmp_path}/store", "s", "s.yaml: storage.path")
    elsewhere.fetch(tmp_path / "other")
    (tmp_path / "other" / "ledger.journal").write_text("one\ntwo\n")
    elsewhere.push(tmp_path / "other")
    assert Store(f"file://{tmp_path}/store", "s", "s.yaml: storage.path").fetch(run) == 2
    assert (run / "ledger.journal").read_text() == "one\ntwo\n"


def test_a_file_that_was_altered_there_is_refused(store: Store, run: Path, tmp_path: Path) -> None:
    store.push(run)
    (tmp_path / "store" / "s" / "rows" / "0").write_bytes(b"rox")
    for _ in range(2):  # nothing of it stays that a second attempt would take for whole
        with pytest.raises(RunError, match=r"rows/0 is not what its hash says"):
            Store(f"file://{tmp_path}/store", "s", "s.yaml: storage.path").fetch(tmp_path / "other")
    assert list((tmp_path / "other" / "rows").iterdir()) == []


def test_it_is_brought_there_however_the_launch_ends(store: Store, run: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), kept(store, run, print):
        (run / "more").write_text("late")
        raise KeyboardInterrupt
    assert (tmp_path / "store" / "s" / "more").read_text() == "late"


def test_a_store_that_is_gone_is_told_and_what_failed_besides_is_not_hidden(run: Path, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a folder should be")
    store, told = Store(f"file://{tmp_path}/blocked", "s", "s.yaml: storage.path"), []
    with pytest.raises(KeyboardInterrupt), kept(store, run, told.append):
        raise KeyboardInterrupt
    assert "not brought there" in told[0]
    with pytest.raises(RunError, match="could not be brought there"), kept(store, run, told.append):
        pass
    (tmp_path / "blocked").unlink()
    with kept(store, run, told.append):
        pass
    assert (tmp_path / "blocked" / "s" / "ledger.journal").read_text() == "one\n"


def test_unknown_stores_are_refused() -> None:
    with pytest.raises(UserError, match=r"s.yaml: storage.path: nowhere://x: "):
        Store("nowhere://x", "s", "s.yaml: storage.path")


def test_a_folder_is_its_own_place_and_a_url_has_one() -> None:
    assert place_of("/shared/runs") == Path("/shared/runs")
    assert is_url("s3://bucket/runs")
    assert place_of("s3://bucket/runs") != place_of("s3://bucket/other")


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", range(4))
def test_a_launch_that_is_killed_while_it_brings_files_leaves_whole_ones(
    after: int, store: Store, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after so many writes to the store: of the hashes, of each file."""
    store.push(run)
    (run / "ledger.journal").write_text("one\ntwo\n")
    (run / "rows" / "0").write_bytes(b"another row")
    write, count = store._files.pipe_file, iter(range(9))

    def dies(path: str, data: bytes) -> None:
        if next(count) == after:
            raise Killed
        write(path, data)

    monkeypatch.setattr(store._files, "pipe_file", dies)
    with pytest.raises(Killed):
        store.push(run)
    monkeypatch.undo()
    there = tmp_path / "other"
    assert Store(f"file://{tmp_path}/store", "s", "s.yaml: storage.path").fetch(there) == 2
    assert (there / "ledger.journal").read_text() in ("one\n", "one\ntwo\n")
    assert (there / "rows" / "0").read_bytes() in (b"row", b"another row")
