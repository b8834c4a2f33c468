"""The ledger: the one owner and only writer of a study's trials, an Optuna study in a journal file.

A trial enters once, waiting, with all its parameters. A leg reports all its rows in one call, which may be
made twice. States: finished is COMPLETE, an exception or a number that is not finite is FAIL with the reason
beside it, and nothing is left RUNNING when a launch ends or the next one begins.
"""

import gc
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpsearch.errors import DamagedError
from hpsearch.files import set_aside
from hpsearch.search.journal import Reader, Writer, hold, mend
from hpsearch.search.messages import Entry, Outcome, StaleLaunchError
from hpsearch.search.progress import View
from hpsearch.search.standing import Standing


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
        self._hold = hold(Path(path))
        mend(Path(path))
        self._journal = Writer(path)
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
        storage = JournalStorage(Reader(path))
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
        held = hold(path)
        tail = mend(path)
        if tail is not None:
            told.append(f"{path}: from its first line that could not be read it was set aside as {tail.name}")
        try:
            read(path, name)
        except DamagedError as error:
            told.append(f"{error}; set aside as {set_aside(path).name}")
        held.close()
    return told
