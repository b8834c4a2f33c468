"""One leg: takes its rows from disk or starts them, trains them to their end, hands them back to disk.

It knows nothing of Ray: whom it tells is anybody who hears the share done and says whether to go on.
"""

import faulthandler
import logging
import math
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from hpsearch.code import Reference, is_code
from hpsearch.data.dataset import Arrays
from hpsearch.errors import DamagedError
from hpsearch.files import set_aside
from hpsearch.folder import Folder
from hpsearch.metrics import METRICS, Own
from hpsearch.nets.build import Net
from hpsearch.pack import checkpoint
from hpsearch.pack.checkpoint import Record, RowState
from hpsearch.pack.rebuild import fail_unless_rebuilt
from hpsearch.pack.train import Pack, Settings, fresh
from hpsearch.search.capture import output_into
from hpsearch.search.messages import Outcome
from hpsearch.search.objective import run_objective
from hpsearch.search.outcomes import outcomes
from hpsearch.search.packing import Leg

_STORE_S = 0.5  # at least, from one store of a function's rows to the next


@dataclass(frozen=True)
class Work:
    """What all legs of a search share, beside the arrays."""

    root: str
    seed: int
    net: Net
    device: str = "cpu"
    evaluate: int = 1
    checkpoint_s: float = 60.0
    hang_s: float | None = None  # without an epoch's end for so long, the process is ended
    metric: Own | None = None  # of the user's own
    objective: Reference | None = None  # a training function of the user's own
    test_rows: np.ndarray | None = None  # the test part's targets, for the shape of its predictions
    beat_s: float = 0.5  # from one beat of a leg to the next
    node: str = "this machine"  # where it runs, for its log


class Listener(Protocol):
    """Whom a leg tells how it goes."""

    def beat(self, share: float) -> bool:
        """Hears the share done; says whether to go on."""

    def stored(self, path: Path) -> None:
        """Hears that a file of rows is on this node's disk, before anybody counts on it."""

    def kept(self, outcomes: Mapping[int, Outcome]) -> Collection[int]:
        """Hears how trials ended before it counts; says which of their rows are worth their place on disk."""


def run_leg(
    leg: Leg, params: Sequence[Mapping[str, Any]], work: Work, arrays: Arrays, listener: Listener
) -> dict[int, Outcome]:
    """Trains a leg's rows; at each checkpoint and at the end they are on disk before anybody is told.

    Gives the outcomes of the trials that ended: of all, unless the listener wanted an end before.

    Raises:
        DiskFullError: the rows do not fit; what was stored before is whole.
    """
    torch.set_num_threads(leg.threads)
    folder = Folder(Path(work.root))
    path, about = folder.rows(leg.leg), asdict(leg)
    log = _log(folder.leg_log(leg.leg))
    with _failing_aloud(log), watched(folder.hang(leg.leg), work.hang_s) as alive:
        states = _states(folder, leg, params, arrays, work, log)
        if work.objective is not None:
            states = _called(work, leg, states, arrays, listener, alive, log)
        going = [state for state in states if not state.record.ended]
        if going and work.objective is None:
            over = [state for state in states if state.record.ended]
            settings = Settings(work.seed, work.net.factory(), leg.forward, work.device, work.evaluate)
            pack = _checked(Pack(settings, arrays, going), going, log)

            def store() -> None:
                checkpoint.store(path, [*over, *pack.states()], about)
                listener.stored(path)

            pace = _Pace(listener.beat, alive, store, work, log)
            pack.train(on_epoch=pace.on_epoch)
            log.info("trained %d row-epochs", pace.row_epochs)
            trained = pack.states()
            if is_code(work.net.name):
                fail_unless_rebuilt(trained, work.net, arrays, work.device)
            states = [*over, *trained]
    ended = outcomes(states, leg.leg, arrays)
    keep = set(listener.kept(ended))
    gone = ended.keys() - keep
    checkpoint.store(path, [RowState(s.record, {}) if s.record.trial in gone else s for s in states], about)
    listener.stored(path)
    for trial, outcome in ended.items():
        log.info("trial %d: %s", trial, outcome.failure or f"{outcome.scores} at epoch {outcome.best_epoch}")
    _close(log)
    return ended


def _called(
    work: Work,
    leg: Leg,
    states: Sequence[RowState],
    arrays: Arrays,
    listener: Listener,
    alive: Callable[[], None],
    log: logging.Logger,
) -> list[RowState]:
    """The leg's trial, trained by the user's function unless it has ended."""
    assert work.objective is not None
    folder, due = Folder(Path(work.root)), -math.inf
    test_y = np.zeros(0) if work.test_rows is None else work.test_rows
    (state,) = states  # a leg of its own for each
    began = time.monotonic() - state.record.seconds

    def going_on(state: RowState) -> bool:
        nonlocal due
        alive()
        record, now = state.record, time.monotonic()
        record.seconds = now - began
        log.info("epoch %d, best %s %s", record.epoch, arrays.metric, record.best.get(arrays.metric))
        if now >= due:  # what was reported is not lost with the process, in a twentieth of the time at most
            checkpoint.store(folder.rows(leg.leg), [state], asdict(leg))
            listener.stored(folder.rows(leg.leg))
            due = time.monotonic() + max(_STORE_S, 20 * (time.monotonic() - now))
        return listener.beat(0.5)  # nobody knows how far it is

    if not state.record.ended:
        with output_into(folder.leg_log(leg.leg)):
            state = run_objective(work.objective, state, folder, arrays, test_y, going_on, log)
        state.record.seconds = time.monotonic() - began
    return [state]


def _states(
    folder: Folder,
    leg: Leg,
    params: Sequence[Mapping[str, Any]],
    arrays: Arrays,
    work: Work,
    log: logging.Logger,
) -> list[RowState]:
    """The leg's rows, from disk as far as they are there, else at their first epoch."""
    trials = ", ".join(map(str, leg.trials))
    why = " ".join(leg.why.split())  # a plan may come from anybody
    log.info(
        "leg %d, process %d on %s: trials %s, %s: %s", leg.leg, os.getpid(), work.node, trials, leg.forward, why
    )
    found = _stored_states(folder, leg, log)
    if found:
        log.info("%d rows go on from disk", len(found))
    own = work.objective is not None
    first = [state for t, p in zip(leg.trials, params, strict=True) for state in fresh(t, p, arrays, own)]
    return [found.get(state.record.name) or state for state in first]


def _stored_states(folder: Folder, leg: Leg, log: logging.Logger) -> dict[str, RowState]:
    """The leg's rows on disk, by their names: its own, else those of the leg that it was split from.

    A damaged file is set aside; its rows are trained again, to the same numbers. A row without tensors counts only
    where its own leg has left them out: it has ended, and is not worth its place.
    """
    for number in (leg.leg, *leg.after):
        try:
            states = checkpoint.load(folder.rows(number), leg.trials)
        except FileNotFoundError:
            continue
        except DamagedError as error:
            log.warning("%s; set aside as %s", error, set_aside(folder.rows(number)).name)
            continue
        own = number == leg.leg
        return {s.record.name: s for s in states if s.tensors or (own and (s.record.ended or s.record.own))}
    return {}


def _checked(pack: Pack, states: Sequence[RowState], log: logging.Logger) -> Pack:
    """The pack, or the same rows looped where going forward together would train something else."""
    if pack.settings.forward == "loop":
        return pack
    reason = pack.check()
    if reason is None:
        return pack
    log.warning("looped: %s", reason)
    return Pack(replace(pack.settings, forward="loop"), pack.arrays, states)


@contextmanager
def _failing_aloud(log: logging.Logger) -> Iterator[None]:
    """Writes the whole traceback of an error into the log."""
    try:
        yield
    except (Exception, SystemExit):
        log.exception("failed")
        raise


@contextmanager
def watched(path: Path, limit_s: float | None) -> Iterator[Callable[[], None]]:
    """Ends the process when it gives no sign of life for `limit_s`, wherever it hangs.

    What each thread was doing then is in `path`. This is done by a thread of C, which no Python code holds up.
    """
    path.unlink(missing_ok=True)
    if limit_s is None:
        yield lambda: None
        return
    with path.open("w", encoding="utf-8") as file:

        def alive() -> None:
            faulthandler.dump_traceback_later(limit_s, exit=True, file=file)

        alive()
        try:
            yield alive
        finally:
            faulthandler.cancel_dump_traceback_later()
    path.unlink()


class _Pace:
    """What happens after an epoch: a sign of life, in long legs a checkpoint, from time to time a beat."""

    def __init__(
        self,
        beat: Callable[[float], bool],
        alive: Callable[[], None],
        store: Callable[[], None],
        work: Work,
        log: logging.Logger,
    ) -> None:
        self._beat, self._alive, self._store, self._work, self._log = beat, alive, store, work, log
        self._stored = self._beaten = time.monotonic()
        self.row_epochs = 0  # trained in this attempt

    def on_epoch(self, pack: Pack) -> bool:
        self._alive()
        self.row_epochs += len(pack.records)
        now = time.monotonic()
        if now - self._stored >= self._work.checkpoint_s:
            self._store()
            self._stored = time.monotonic()
            self._log.info("stored after %d row-epochs", self.row_epochs)
        if now - self._beaten < self._work.beat_s:
            return True
        self._beaten = now
        records = [*pack.records, *(state.record for state in pack.done)]
        share = sum(r.epoch for r in records) / sum(int(r.params["epochs"]) for r in records)
        best = _best(records, pack.arrays.metric)
        self._log.info("%.0f %% done, %d row-epochs, %s", 100 * share, self.row_epochs, best)
        return self._beat(share)


def _best(records: Sequence[Record], metric: str) -> str:
    values = [record.best[metric] for record in records if record.best]
    best = f"{(max if METRICS[metric].sign > 0 else min)(values):.4g}" if values else "none yet"
    return f"best {metric} {best}"


def _log(path: Path) -> logging.Logger:
    path.parent.mkdir(parents=True, exist_ok=True)
    log = logging.getLogger(f"hpsearch.leg.{path}")
    log.propagate = False
    log.setLevel(logging.INFO)
    _close(log)  # of an attempt that failed
    file = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(file)
    return log


def _close(log: logging.Logger) -> None:
    for handler in list(log.handlers):
        handler.close()
        log.removeHandler(handler)
