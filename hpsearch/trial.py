"""One trial in this process, without Ray: for a debugger."""

from pathlib import Path

from hpsearch.errors import UserError
from hpsearch.pack.checkpoint import Record
from hpsearch.pack.train import Pack, Settings
from hpsearch.prepare import prepare
from hpsearch.search.progress import Reporter
from hpsearch.space import draw


def run_trial(path: Path, number: int, report: Reporter) -> Record:
    """Trains trial `number` of a study by the plain loop and tells of each evaluation; writes nothing.

    Raises:
        UserError: the study is wrong, or has no such trial.
    """
    prepared = prepare(path, tell=report.note)
    study, arrays = prepared.study, prepared.arrays
    if not 0 <= number < study.search.trials:
        last = study.search.trials - 1
        raise UserError(f"{prepared.place}: there is no trial {number}; choose from 0 to {last}")
    params = prepared.params(number)
    drawn = draw(prepared.space, number)  # a parameter whose condition does not hold is not there
    report.note(", ".join(f"{name} {drawn[name]}" for name in study.params if name in drawn))
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
    return pack.done[0].record
