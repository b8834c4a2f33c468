"""The ledger: the one owner and only writer of a study's trials, an Optuna study in a journal file.

A trial enters once, waiting, with all its parameters. A leg reports all its rows in one call, which may be
made twice. States: finished is COMPLETE, an exception or a number that is not finite is FAIL with the reason
beside it, and nothing is left RUNNING when a launch ends or the next one begins.
"""

import fcntl
import gc
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import json_to_distribution
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, _storage
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpsearch.errors import DamagedError, RunError
from hpsearch.files import set_aside, told_when_full
from hpsearch.search.messages import Entry, Outcome, StaleLaunchError
from hpsearch.search.progress import View
from hpsearch.search.standing import Standing

# Optuna reads each parameter's distribution anew from its text, which is two thirds of opening a journal: the
# trials of a study share a few, and nothing changes one
setattr(_storage, json_to_distribution.__name__, cache(json_to_distribution))


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the search for cycles, which looks at all trials again and again while more are read."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Ledger:
    """Opens (or makes) the journal at `path`, mends a torn tail, and holds it until the process ends.

    `budget_bytes` bounds the rows of finished trials on disk.
    """

    @uncollected()
    def __init__(
        self,
        path: str,
        name: str,
        direction: Literal["minimize", "maximize"],
        budget_bytes: float = float("inf"),
    ) -> None:
        optuna.logging.set_verbosity(logging.WARNING)
        self._hold = _hold(Path(path))
        mend(Path(path))
        self._journal = _OneWriter(path)
        self._storage = JournalStorage(self._journal)
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=name,
            direction=direction,
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        trials = self._trials()
        self._ids = [trial._trial_id for trial in trials]
        self._counts = Counter(_STATES[trial.state] for trial in trials)
        self._standing = Standing(map(row, trials), direction, budget_bytes)
        self._number = int(self._study.user_attrs.get("launch", 0))
        self._legs: dict[int, float] = {}
        self._sizes: dict[int, int] = {}
        self._stopping = self._planned = False

    # --- the driver's calls ---------------------------------------------------------------------------------

    def begin(self, entries: Sequence[Entry], data: str | None = None, first: int = 0) -> int:
        """Starts a launch: enters the trials that are new, sets the unfinished waiting; gives its number.

        `entries` are the trials from number `first` on. `data` is a hash of the study's data, kept for who asks
        (`ledger.data`).
        """
        assert first <= len(self._ids), f"trials {len(self._ids)} to {first} are missing"
        if data is not None and "data" not in self._study.user_attrs:
            self._study.set_user_attr("data", data)
        self._stopping = self._planned = False
        self._number += 1
        self._study.set_user_attr("launch", self._number)
        with self._journal.one_sync():
            for entry in entries[len(self._ids) - first :]:
                trial = create_trial(
                    state=TrialState.WAITING,
                    params={name: entry.params[name] for name in entry.distributions},
                    distributions=dict(entry.distributions),
                    user_attrs={"fixed": dict(entry.fixed)},
                )
                self._ids.append(self._storage.create_new_trial(self._study._study_id, trial))
                self._counts["waiting"] += 1
        self.rest()
        return self._number

    def rest(self) -> None:
        """Sets every running trial waiting: nobody runs it any more."""
        with self._journal.one_sync():
            for trial in self._trials():
                if trial.state == TrialState.RUNNING:
                    self._set(trial, TrialState.WAITING)

    def stop(self) -> None:
        """Asks the legs to store their rows and end."""
        self._stopping = True

    def plan_is_made(self) -> None:
        """Lets the workers go that wait for the plan."""
        self._planned = True

    def awaits_plan(self) -> bool:
        return not (self._planned or self._stopping)

    def view(self) -> View:
        return View(
            dict(self._counts), self._standing.best, dict(self._legs), dict(self._sizes), self._stopping,
            self._planned,
        )  # fmt: skip

    def waiting(self) -> list[int]:
        """The numbers of the trials that are not finished."""
        return [trial.number for trial in self._trials() if not trial.state.is_finished()]

    def worth(self) -> tuple[set[int], set[int]]:
        """The trials whose rows are worth their place on the disk, and those that are not finished."""
        return self._standing.kept(), set(self.waiting())

    def fail(self, launch: int, numbers: Sequence[int], leg: int, reason: str) -> None:
        """Ends trials whose leg cannot be run."""
        failed = Outcome(None, {}, None, 0, 0.0, leg, reason)
        self.report(launch, leg, dict.fromkeys(numbers, failed))

    # --- the legs' calls ------------------------------------------------------------------------------------

    def start(self, launch: int, leg: int, numbers: Sequence[int]) -> bool:
        """Notes that a leg begins; gives whether it is to."""
        self._check(launch)
        if self._stopping:
            return False
        self._legs[leg], self._sizes[leg] = 0.0, len(numbers)
        with self._journal.one_sync():
            for number in numbers:
                trial = self._trial(number)
                if trial.state == TrialState.WAITING:
                    self._set(trial, TrialState.RUNNING)
        return True

    def beat(self, launch: int, leg: int, share: float) -> bool:
        """Notes a leg's progress; gives whether it is to go on."""
        self._check(launch)
        self._legs[leg] = share
        return not self._stopping

    def kept(self, launch: int, outcomes: Mapping[int, Outcome]) -> set[int]:
        """Of trials that are about to end: those whose rows are worth their place on the disk."""
        self._check(launch)
        rows = [
            {"number": number, "state": "complete", "value": outcome.value, "outcome": asdict(outcome)}
            for number, outcome in outcomes.items()
            if outcome.failure is None
        ]
        return self._standing.kept(rows) & set(outcomes)

    def report(self, launch: int, leg: int, outcomes: Mapping[int, Outcome]) -> list[int]:
        """Ends trials; gives those of the leg's rows to drop (none: nothing prunes yet). May be called twice."""
        self._check(launch)
        with self._journal.one_sync():
            for number, outcome in outcomes.items():
                self._end(self._trial(number), outcome)
        self._legs.pop(leg, None)
        return []

    def _end(self, trial: FrozenTrial, outcome: Outcome) -> None:
        if trial.state.is_finished():
            return
        self._storage.set_trial_user_attr(trial._trial_id, "outcome", asdict(outcome))
        if outcome.failure is None:
            assert outcome.value is not None
            self._set(trial, TrialState.COMPLETE, [outcome.value])
            self._standing.add(row(self._trial(trial.number)))
        else:
            self._set(trial, TrialState.FAIL)

    def _set(self, trial: FrozenTrial, state: TrialState, values: list[float] | None = None) -> None:
        before = _STATES[trial.state]
        self._storage.set_trial_state_values(trial._trial_id, state, values)
        self._counts.subtract([before])
        self._counts[_STATES[state]] += 1

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _trial(self, number: int) -> FrozenTrial:
        return self._storage.get_trial(self._ids[number])

    def _check(self, launch: int) -> None:
        if launch != self._number:
            raise StaleLaunchError(f"launch {launch} is over; launch {self._number} has the run now")


class _OneWriter(JournalFileBackend):
    """The journal of a single writer: no lock file, records that belong together are synced once, and what it has
    written is not read from the disk again.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._path = Path(path)
        self._first = self._path.read_bytes().count(b"\n")  # records of earlier launches
        self._recent: list[str] = []  # those from number `_first` on
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._syncs = True

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        if log_number_from < self._first:
            return super().read_logs(log_number_from)
        del self._recent[: log_number_from - self._first]
        self._first = log_number_from
        return iter([json.loads(line) for line in self._recent])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends whole records or, where the disk is full, nothing."""
        lines = [json.dumps(log, separators=(",", ":")) for log in logs]
        data = "".join(f"{line}\n" for line in lines).encode()
        end = os.fstat(self._file).st_size
        with told_when_full(self._path):
            try:
                written = 0
                while written < len(data):
                    written += os.write(self._file, data[written:])
                if self._syncs:
                    os.fsync(self._file)
            except OSError:
                os.ftruncate(self._file, end)
                raise
        self._recent += lines

    @contextmanager
    def one_sync(self) -> Iterator[None]:
        self._syncs = False
        try:
            yield
        finally:
            self._syncs = True
            with told_when_full(self._path):
                os.fsync(self._file)


_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
}


def row(trial: FrozenTrial) -> dict[str, Any]:
    """A trial as plain values: number, state, value, outcome (None until it ended), params."""
    params = {**trial.user_attrs.get("fixed", {}), **trial.params}
    return {
        "number": trial.number,
        "state": _STATES[trial.state],
        "value": trial.value if trial.state == TrialState.COMPLETE else None,
        "outcome": trial.user_attrs.get("outcome"),
        "params": params,
    }


class _Reader(BaseJournalBackend):
    """A journal that somebody else may be writing: its records up to the first that cannot be read."""

    def __init__(self, path: Path) -> None:
        self._logs, _ = _records(path.read_bytes() if path.exists() else b"")

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        return iter(self._logs[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise RunError("a journal is opened for reading only")


def _load(path: Path, name: str) -> optuna.Study | None:
    """The study in a journal; None where it is not entered yet.

    Raises:
        DamagedError: its records are no study's.
    """
    found = path.stat() if path.exists() else None
    return _loaded(path, name, found and (found.st_ino, found.st_size, found.st_mtime_ns))


@lru_cache(maxsize=1)
@uncollected()
def _loaded(path: Path, name: str, _state: tuple[int, ...] | None) -> optuna.Study | None:
    """The same; what did not change since is not read twice, which of 100,000 trials takes half a minute."""
    optuna.logging.set_verbosity(logging.WARNING)
    try:
        storage = JournalStorage(_Reader(path))
        names = [study.study_name for study in storage.get_all_studies()]
        if not names:
            return None
        return optuna.load_study(study_name=name, storage=storage)
    except Exception as error:  # whatever Optuna's replay makes of nonsense
        raise DamagedError(f"{path}: is not the ledger of {name!r}: {type(error).__name__}: {error}") from None


@uncollected()
def read(path: Path, name: str) -> list[dict[str, Any]]:
    """The trials of a journal that somebody else may be writing, without touching it.

    Raises:
        DamagedError: its records are no study's.
    """
    study = _load(path, name)
    if study is None:
        return []
    try:
        return [_sound(row(trial)) for trial in study.get_trials(deepcopy=False)]
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{path}: is not the ledger of {name!r}: {type(error).__name__}: {error}") from None


def _sound(row: dict[str, Any]) -> dict[str, Any]:
    """A row as it is; an error where it is none that a ledger wrote."""
    if row["outcome"] is not None:
        outcome = Outcome(**row["outcome"])
        numbers = [*outcome.scores.values(), *([row["value"]] if row["state"] == "complete" else [])]
        if not isinstance(outcome.leg, int) or not all(isinstance(number, float) for number in numbers):
            raise ValueError(f"trial {row['number']} has no sound outcome")
        if row["state"] == "complete" and not outcome.scores:
            raise ValueError(f"trial {row['number']} has no score")
    elif row["state"] in ("complete", "failed"):
        raise ValueError(f"trial {row['number']} ended without an outcome")
    return row


def direction(path: Path, name: str) -> str:
    """maximize or minimize, of the study in a journal."""
    study = _load(path, name)
    assert study is not None
    return study.direction.name.lower()


def data(path: Path, name: str) -> str | None:
    """The hash of its data with which a study was begun, where the journal has it."""
    try:
        study = _load(path, name)
    except DamagedError:
        return None
    return study.user_attrs.get("data") if study else None


def recover(path: Path, name: str) -> list[str]:
    """Sets aside what cannot be read of a journal: its tail, or all of it where its records are no study's.

    Gives what was done, in words. What is lost so is reported again from the rows on disk. Waits for a ledger that
    an earlier launch left dying.
    """
    told = []
    if path.exists() and path.stat().st_size == 0:
        told.append(
            f"{path}: is empty; its trials enter anew, and those whose rows are on disk are not trained again"
        )
    if path.exists():
        held = _hold(path)
        tail = mend(path)
        if tail is not None:
            told.append(f"{path}: from its first line that could not be read it was set aside as {tail.name}")
        try:
            read(path, name)
        except DamagedError as error:
            told.append(f"{error}; set aside as {set_aside(path).name}")
        held.close()
    return told


def mend(path: Path) -> Path | None:
    """Sets a torn tail aside: what follows the last line that can be read. Gives the file it went to.

    Optuna loads a journal with a torn last line once, fails at the next append, and never loads it again
    (optuna#5138). What the tail reported is reported again by its leg, whose rows are on disk.
    """
    if not path.exists():
        return None
    data = path.read_bytes()
    _, good = _records(data)
    if good == len(data):
        return None
    aside = path.with_name(f"{path.name}.torn-{time.strftime('%Y%m%d-%H%M%S')}")
    with told_when_full(aside), aside.open("ab") as file:
        file.write(data[good:])
        file.flush()
        os.fsync(file.fileno())
    with path.open("r+b") as file:
        file.truncate(good)
    return aside


def _records(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """A journal's records before the first line that is no whole one, and how many bytes they take."""
    records, good = [], 0
    for line in data.splitlines(keepends=True):
        record = _record(line) if line.endswith(b"\n") else None
        if record is None:
            break
        records.append(record)
        good += len(line)
    return records, good


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _hold(path: Path, patience_s: float = 60) -> Any:
    """Waits for a ledger that an earlier launch left dying, then holds the journal for this process."""
    file = path.with_name(f".{path.name}.owner").open("a")
    end = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > end:
                raise RunError(f"{path}: another process has held the ledger for {patience_s:.0f} s") from None
            time.sleep(0.1)
