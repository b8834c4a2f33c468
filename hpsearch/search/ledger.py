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
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpsearch.errors import RunError
from hpsearch.search.messages import Entry, Outcome, StaleLaunchError
from hpsearch.search.progress import View


class Ledger:
    """Opens (or makes) the journal at `path`, mends a torn tail, and holds it until the process ends."""

    def __init__(self, path: str, name: str, direction: Literal["minimize", "maximize"]) -> None:
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
        self._legs: dict[int, float] = {}
        self._sizes: dict[int, int] = {}
        self._stopping = self._planned = False

    # --- the driver's calls ---------------------------------------------------------------------------------

    def begin(self, entries: Sequence[Entry]) -> int:
        """Starts a launch: enters the trials that are new, sets the unfinished waiting; gives its number."""
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
        return View(counts, best(values, default=None), dict(self._legs), dict(self._sizes), self._stopping)

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
        self._file = Path(path).open("ab")  # noqa: SIM115  (held for the process's life)
        self._syncs = True

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self._file.write("".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode())
        self._file.flush()
        if self._syncs:
            os.fsync(self._file.fileno())

    @contextmanager
    def one_sync(self) -> Iterator[None]:
        self._syncs = False
        try:
            yield
        finally:
            self._syncs = True
            os.fsync(self._file.fileno())


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


def read(path: Path, name: str) -> list[dict[str, Any]]:
    """The trials of a journal that somebody else may be writing, without touching it."""
    if not path.exists() or path.stat().st_size == 0:
        return []
    optuna.logging.set_verbosity(logging.WARNING)
    try:
        study = optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(path))))
    except KeyError:  # the journal has begun, the study is not entered yet
        return []
    return [row(trial) for trial in study.get_trials(deepcopy=False)]


def direction(path: Path, name: str) -> str:
    """maximize or minimize, of the study in a journal."""
    study = optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(path))))
    return study.direction.name.lower()


def mend(path: Path) -> Path | None:
    """Sets a torn tail aside: what follows the last line that can be read. Gives the file it went to.

    Optuna loads a journal with a torn last line once, fails at the next append, and never loads it again
    (optuna#5138). What the tail reported is reported again by its leg, whose rows are on disk.
    """
    if not path.exists():
        return None
    data = path.read_bytes()
    good = 0
    for line in data.splitlines(keepends=True):
        if not line.endswith(b"\n") or not _is_record(line):
            break
        good += len(line)
    if good == len(data):
        return None
    aside = path.with_name(f"{path.name}.torn-{time.strftime('%Y%m%d-%H%M%S')}")
    aside.write_bytes(data[good:])
    with path.open("r+b") as file:
        file.truncate(good)
    return aside


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
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
