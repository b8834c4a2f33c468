"""The ledger: the one owner and only writer of a study's trials, an Optuna study in a journal file.

A trial enters once, waiting, with all its parameters. A leg reports all its rows in one call, which may be
made twice. States: finished is COMPLETE, an exception or a number that is not finite is FAIL with the reason
beside it, and nothing is left RUNNING when a launch ends or the next one begins.
"""

import fcntl
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpsearch.errors import DamagedError, RunError
from hpsearch.files import set_aside, told_when_full
from hpsearch.search import standing
from hpsearch.search.messages import Entry, Outcome, StaleLaunchError
from hpsearch.search.progress import View


class Ledger:
    """Opens (or makes) the journal at `path`, mends a torn tail, and holds it until the process ends.

    `budget_bytes` bounds the rows of finished trials on disk.
    """

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
        self._direction, self._budget_bytes = direction, budget_bytes
        self._legs: dict[int, float] = {}
        self._sizes: dict[int, int] = {}
        self._stopping = self._planned = False

    # --- the driver's calls ---------------------------------------------------------------------------------

    def begin(self, entries: Sequence[Entry], data: str | None = None) -> int:
        """Starts a launch: enters the trials that are new, sets the unfinished waiting; gives its number.

        `data` is a hash of the study's data, kept for who asks (`ledger.data`).
        """
        if data is not None and "data" not in self._study.user_attrs:
            self._study.set_user_attr("data", data)
        self._stopping = self._planned = False
        launch = self._launch() + 1
        self._study.set_user_attr("launch", launch)
        with self._journal.one_sync():
            for entry in entries[len(self._trials()) :]:
                params = {name: entry.params[name] for name in entry.distributions}
                self._study.add_trial(
                    create_trial(
                        state=TrialState.WAITING,
                        params=params,
                        distributions=dict(entry.distributions),
                        user_attrs={"fixed": dict(entry.fixed)},
                    )
                )
        self.rest()
        return launch

    def rest(self) -> None:
        """Sets every running trial waiting: nobody runs it any more."""
        with self._journal.one_sync():
            for trial in self._trials():
                if trial.state == TrialState.RUNNING:
                    self._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)

    def stop(self) -> None:
        """Asks the legs to store their rows and end."""
        self._stopping = True

    def plan_is_made(self) -> None:
        """Lets the workers go that wait for the plan."""
        self._planned = True

    def awaits_plan(self) -> bool:
        return not (self._planned or self._stopping)

    def view(self) -> View:
        trials = self._trials()
        values = [
            trial.value for trial in trials if trial.state == TrialState.COMPLETE and trial.value is not None
        ]
        best = max if self._study.direction == StudyDirection.MAXIMIZE else min
        counts = Counter(_STATES[trial.state] for trial in trials)
        return View(
            counts, best(values, default=None), dict(self._legs), dict(self._sizes), self._stopping, self._planned
        )

    def waiting(self) -> list[int]:
        """The numbers of the trials that are not finished."""
        return [trial.number for trial in self._trials() if not trial.state.is_finished()]

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
        trials = self._trials()
        with self._journal.one_sync():
            for number in numbers:
                if trials[number].state == TrialState.WAITING:
                    self._storage.set_trial_state_values(trials[number]._trial_id, TrialState.RUNNING)
        return True

    def beat(self, launch: int, leg: int, share: float) -> bool:
        """Notes a leg's progress; gives whether it is to go on."""
        self._check(launch)
        self._legs[leg] = share
        return not self._stopping

    def kept(self, launch: int, outcomes: Mapping[int, Outcome]) -> set[int]:
        """Of trials that are about to end: those whose rows are worth their place on the disk."""
        self._check(launch)
        rows = [row(trial) for trial in self._trials() if trial.number not in outcomes]
        rows += [
            {"number": number, "state": "complete", "value": outcome.value, "outcome": asdict(outcome)}
            for number, outcome in outcomes.items()
            if outcome.failure is None
        ]
        return standing.kept(rows, self._direction, self._budget_bytes) & set(outcomes)

    def report(self, launch: int, leg: int, outcomes: Mapping[int, Outcome]) -> list[int]:
        """Ends trials; gives those of the leg's rows to drop (none: nothing prunes yet). May be called twice."""
        self._check(launch)
        with self._journal.one_sync():
            for number, outcome in outcomes.items():
                self._end(self._trials()[number], outcome)
        self._legs.pop(leg, None)
        return []

    def _end(self, trial: FrozenTrial, outcome: Outcome) -> None:
        if trial.state.is_finished():
            return
        self._storage.set_trial_user_attr(trial._trial_id, "outcome", asdict(outcome))
        if outcome.failure is None:
            assert outcome.value is not None
            self._storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [outcome.value])
        else:
            self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    # --- reading --------------------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        return [row(trial) for trial in self._trials()]

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _launch(self) -> int:
        return int(self._study.user_attrs.get("launch", 0))

    def _check(self, launch: int) -> None:
        if launch != self._launch():
            raise StaleLaunchError(f"launch {launch} is over; launch {self._launch()} has the run now")


class _OneWriter(JournalFileBackend):
    """The journal of a single writer: no lock file, and records that belong together are synced once."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._path = Path(path)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._syncs = True

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends whole records or, where the disk is full, nothing."""
        data = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
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
        data = path.read_bytes() if path.exists() else b""
        self._logs = [json.loads(line) for line in data[: _sound_bytes(data)].splitlines()]

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        return iter(self._logs[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise RunError("a journal is opened for reading only")


def _load(path: Path, name: str) -> optuna.Study | None:
    """The study in a journal; None where it is not entered yet.

    Raises:
        DamagedError: its records are no study's.
    """
    optuna.logging.set_verbosity(logging.WARNING)
    try:
        storage = JournalStorage(_Reader(path))
        names = [study.study_name for study in storage.get_all_studies()]
        if not names:
            return None
        return optuna.load_study(study_name=name, storage=storage)
    except Exception as error:  # whatever Optuna's replay makes of nonsense
        raise DamagedError(f"{path}: is not the ledger of {name!r}: {type(error).__name__}: {error}") from None


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
    good = _sound_bytes(data)
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


def _sound_bytes(data: bytes) -> int:
    """How many bytes come before the first line that is no whole record."""
    good = 0
    for line in data.splitlines(keepends=True):
        if not line.endswith(b"\n") or not _is_record(line):
            break
        good += len(line)
    return good


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


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
