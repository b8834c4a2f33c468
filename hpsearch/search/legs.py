"""One leg: takes its rows from disk or starts them, trains them to their end, hands them back to disk.

It knows nothing of Ray: `beat` is any function that hears the share done and says whether to go on.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hpsearch.data.dataset import Arrays
from hpsearch.folder import Folder
from hpsearch.metrics import METRICS
from hpsearch.nets.build import NETS
from hpsearch.pack import checkpoint
from hpsearch.pack.train import Pack, Settings
from hpsearch.search.messages import Outcome
from hpsearch.search.packing import Leg

_BEAT_S = 0.5


@dataclass(frozen=True)
class Work:
    """What all legs of a search share, beside the arrays."""

    root: str
    seed: int
    net: str
    evaluate: int = 1
    checkpoint_s: float = 60.0


@dataclass(frozen=True)
class Ended:
    """A leg that ended: its rows' outcomes, or none for rows that were asked to stop on the way."""

    outcomes: dict[int, Outcome]
    stopped: bool


def run_leg(
    leg: Leg,
    params: Sequence[Mapping[str, Any]],
    work: Work,
    arrays: Arrays,
    device: str,
    beat: Callable[[float], bool],
) -> Ended:
    """Trains a leg's rows; at each checkpoint and at the end they are on disk before anybody is told."""
    torch.set_num_threads(leg.threads)
    folder = Folder(Path(work.root))
    path = folder.rows(leg.leg)
    log = _log(folder.leg_log(leg.leg))
    settings = Settings(work.seed, NETS[work.net], leg.forward, device, work.evaluate)
    found = _stored_states(folder, leg)
    fresh = [t for t in leg.trials if t not in found]
    states = [
        found.get(t) or checkpoint.RowState(checkpoint.Record(t, dict(p)), {})
        for t, p in zip(leg.trials, params, strict=True)
    ]
    log.info("leg %d: trials %s, %s: %s", leg.leg, ", ".join(map(str, leg.trials)), leg.forward, leg.why)
    if len(fresh) < len(states):
        log.info("%d rows go on from disk", len(states) - len(fresh))
    pack = _checked(Pack(settings, arrays, states), settings, arrays, states, log)
    pace = _Pace(work.checkpoint_s, beat, lambda: checkpoint.store(path, pack.states()), log)
    pack.train(on_epoch=pace.on_epoch)
    ended = pack.states()
    checkpoint.store(path, ended)
    done = {state.record.trial for state in pack.done}
    outcomes = {
        s.record.trial: _outcome(s.record, leg.leg, arrays.metric) for s in ended if s.record.trial in done
    }
    for trial, outcome in outcomes.items():
        log.info("trial %d: %s", trial, outcome.failure or f"{outcome.scores} at epoch {outcome.best_epoch}")
    return Ended(outcomes, stopped=len(done) < len(ended))


def _stored_states(folder: Folder, leg: Leg) -> dict[int, checkpoint.RowState]:
    """The leg's rows on disk: its own, else those of the leg that it was split from."""
    for number in (leg.leg, leg.after):
        if number is not None and folder.rows(number).exists():
            return {state.record.trial: state for state in checkpoint.load(folder.rows(number), leg.trials)}
    return {}


def _checked(
    pack: Pack, settings: Settings, arrays: Arrays, states: Sequence[checkpoint.RowState], log: logging.Logger
) -> Pack:
    """The pack, or the same rows looped where vmap would train something else."""
    if settings.forward == "loop" or not pack.records:
        return pack
    reason = pack.check()
    if reason is None:
        return pack
    log.warning("looped: %s", reason)
    return Pack(replace(settings, forward="loop"), arrays, states)


class _Pace:
    """What happens after an epoch, at most twice a second: a beat; and in long legs a checkpoint."""

    def __init__(
        self,
        checkpoint_s: float,
        beat: Callable[[float], bool],
        store: Callable[[], None],
        log: logging.Logger,
    ) -> None:
        self._checkpoint_s, self._beat, self._store, self._log = checkpoint_s, beat, store, log
        self._stored = self._beaten = time.monotonic()

    def on_epoch(self, pack: Pack) -> bool:
        now = time.monotonic()
        if now - self._stored >= self._checkpoint_s:
            self._store()
            self._stored = now
        if now - self._beaten < _BEAT_S:
            return True
        self._beaten = now
        all_epochs = sum(int(r.params["epochs"]) for r in [*pack.records, *(s.record for s in pack.done)])
        share = sum(r.epoch for r in [*pack.records, *(s.record for s in pack.done)]) / all_epochs
        best = max(
            (METRICS[pack.arrays.metric].sign * r.best[pack.arrays.metric] for r in pack.records if r.best),
            default=0,
        )
        self._log.info("%.0f %% done, best %s %.4g", 100 * share, pack.arrays.metric, abs(best))
        return self._beat(share)


def _outcome(record: checkpoint.Record, leg: int, metric: str) -> Outcome:
    failure = record.failure
    value = None if failure else record.best[metric]
    return Outcome(value, dict(record.best), record.best_epoch, record.epoch, record.seconds, leg, failure)


def _log(path: Path) -> logging.Logger:
    path.parent.mkdir(parents=True, exist_ok=True)
    log = logging.getLogger(f"hpsearch.leg.{path}")
    log.propagate = False
    log.setLevel(logging.INFO)
    for handler in list(log.handlers):
        handler.close()
        log.removeHandler(handler)
    file = logging.FileHandler(path, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(file)
    return log
