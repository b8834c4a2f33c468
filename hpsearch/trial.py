"""One trial in this process, without Ray: for a debugger."""

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpsearch.code import is_code, no_exits
from hpsearch.errors import UserError
from hpsearch.folder import Folder
from hpsearch.pack.checkpoint import Record, RowState
from hpsearch.pack.rebuild import fail_unless_rebuilt
from hpsearch.pack.train import Pack, Settings
from hpsearch.prepare import prepare
from hpsearch.prepared import Overrides, Prepared
from hpsearch.search.objective import run_objective
from hpsearch.search.progress import Reporter
from hpsearch.space import draw


@no_exits()
def run_trial(path: Path, number: int, report: Reporter, overrides: Overrides | None = None) -> Record:
    """Trains trial `number` of a study by the plain loop and tells of each evaluation; writes nothing.

    Raises:
        UserError: the study is wrong, or has no such trial.
    """
    prepared = prepare(path, overrides, report.note)
    study, arrays = prepared.study, prepared.searched
    if not 0 <= number < study.search.trials:
        last = study.search.trials - 1
        raise UserError(f"{prepared.place}: there is no trial {number}; choose from 0 to {last}")
    params = prepared.params(number)
    drawn = draw(prepared.space, number)  # a parameter whose condition does not hold is not there
    report.note(", ".join(f"{name} {drawn[name]}" for name in study.params if name in drawn))
    if prepared.objective is not None:
        return _call(prepared, number, params, report)
    settings = Settings(study.seed, prepared.net.factory(), "loop", evaluate=study.search.evaluate)
    pack = Pack.start(settings, arrays, [number], [params])
    told = 0

    def tell(pack: Pack) -> bool:
        nonlocal told
        curve = pack.records[0].curve
        for epoch, loss, value, _ in curve[told:]:
            report.note(f"epoch {epoch}: training loss {loss:.4g}, {arrays.metric} {value:.4g}")
        told = len(curve)
        return True

    pack.train(on_epoch=tell)
    if is_code(study.net):
        fail_unless_rebuilt(pack.done, prepared.net, arrays)
    return pack.done[0].record


def _call(prepared: Prepared, number: int, params: Mapping[str, Any], report: Reporter) -> Record:
    """The trial by the user's own function, with a folder that is gone afterwards."""
    assert prepared.objective is not None
    arrays, test_y = prepared.arrays, prepared.dataset.test.y

    told = 0

    def tell(state: RowState) -> bool:
        nonlocal told
        for step, _, value, _ in state.record.curve[told:]:
            report.note(f"step {step}: {arrays.metric} {value:.4g}")
        told = len(state.record.curve)
        return True

    log = logging.getLogger("hpsearch.trial")
    with tempfile.TemporaryDirectory(prefix="hpsearch-trial-") as folder:
        own, before = Folder(Path(folder)), RowState(Record(number, dict(params), own=True), {})
        return run_objective(prepared.objective, before, own, arrays, test_y, tell, log).record
