"""The whole pipeline on one screen: search, squeeze, export, summary. Each stage starts from what is on disk."""

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hpsearch.data.dataset import Arrays
from hpsearch.data.load import Dataset, load
from hpsearch.errors import RunError, UserError
from hpsearch.folder import Folder, hold, write_json, write_text
from hpsearch.search import ledger, packing
from hpsearch.search.packing import Plan
from hpsearch.search.progress import View
from hpsearch.space import Space, draw
from hpsearch.study import Study, dump_study, load_study, seconds
from hpsearch.validate import check_names, check_task, complete


class Reporter(Protocol):
    """Hears of the run's course."""

    def note(self, text: str) -> None: ...

    def stage(self, name: str) -> None: ...

    def progress(self, view: View) -> None: ...


class Quiet:
    """Hears and says nothing."""

    def note(self, text: str) -> None: ...

    def stage(self, name: str) -> None: ...

    def progress(self, view: View) -> None: ...


@dataclass(frozen=True)
class Overrides:
    """What the command line changes in a study."""

    trials: int | None = None
    timeout: str | None = None
    seed: int | None = None
    workers: int | None = None

    def applied(self, study: Study, place: str) -> Study:
        search, resources = study.search, study.resources
        if self.trials is not None:
            if self.trials < 1:
                raise UserError(f"{place}: --trials: must be at least 1, got {self.trials}")
            search = search.model_copy(update={"trials": self.trials})
        if self.timeout is not None:
            try:
                seconds(self.timeout)
            except ValueError as error:
                raise UserError(f"{place}: --timeout: {error}, got {self.timeout!r}") from None
            search = search.model_copy(update={"timeout": self.timeout})
        if self.workers is not None:
            if self.workers < 1:
                raise UserError(f"{place}: --workers: must be at least 1, got {self.workers}")
            resources = resources.model_copy(update={"workers": self.workers})
        if self.seed is not None and self.seed < 0:
            raise UserError(f"{place}: --seed: must be at least 0, got {self.seed}")
        seed = study.seed if self.seed is None else self.seed
        return study.model_copy(update={"seed": seed, "search": search, "resources": resources})


@dataclass(frozen=True)
class Prepared:
    """A study held against its data: everything that can be wrong with it has been looked at."""

    study: Study
    place: str
    base: Path
    space: Space
    dataset: Dataset
    arrays: Arrays

    def params(self, number: int) -> dict[str, Any]:
        """Trial `number`'s complete params."""
        return complete(draw(self.space, number))


def prepare(path: Path, overrides: Overrides | None = None) -> Prepared:
    """Reads a study and its data; writes nothing.

    Raises:
        UserError: something is wrong with either.
    """
    place = str(path)
    study = (overrides or Overrides()).applied(load_study(path), place)
    space = check_names(study, place)
    dataset = load(study.data, path.parent, place)
    metric = check_task(study, dataset.target.task, place)
    return Prepared(study, place, path.parent.resolve(), space, dataset, dataset.arrays(metric))


def launch(
    path: Path,
    runs: Path = Path("runs"),
    overrides: Overrides | None = None,
    plan: Path | None = None,
    reporter: Reporter | None = None,
) -> Folder:
    """Runs a study to its end, or goes on with it.

    Raises:
        UserError: the study, its data or the plan is wrong, or the run folder belongs to another study.
        RunError: it failed while running.
        KeyboardInterrupt: it was stopped; launching again goes on.
    """
    report = reporter or Quiet()
    began = time.monotonic()
    prepared = prepare(path, overrides)
    given = packing.read(plan) if plan else None
    folder = Folder(runs / prepared.study.name)
    _refuse_changed(folder, prepared, given)
    for text in prepared.dataset.notes:
        report.note(text)
    folder.create()
    with hold(folder.root):
        write_text(folder.study, dump_study(prepared.study))
        write_json(folder.origin, _origin(prepared))
        if _finished(folder, prepared.study):
            report.note("this study is finished; its results stand as they are")
            return folder
        _run(folder, prepared, given, report, began)
    return folder


def _run(folder: Folder, prepared: Prepared, plan: Plan | None, report: Reporter, began: float) -> None:
    from hpsearch.search.cluster import cluster  # Ray takes a second to import: not for wrong input

    clock = _Clock()
    workers = prepared.study.resources.workers or os.cpu_count() or 1
    with cluster(workers):
        report.stage("search")
        with clock("search"):
            rows = search(folder, prepared, workers, plan, report)
        report.stage("squeeze")
        with clock("squeeze"):
            squeezed = squeeze(folder, prepared, rows, workers, report)
    report.stage("export")
    with clock("export"):
        export(folder, prepared, squeezed)
    clock.seconds["total"] = time.monotonic() - began
    write_json(folder.summary, _summary(folder, prepared, rows, squeezed, clock.seconds))


def search(
    folder: Folder, prepared: Prepared, workers: int, plan: Plan | None, report: Reporter
) -> list[dict[str, Any]]:
    """Draws, packs and trains; gives the ledger's rows. Ends early when the study's timeout is over."""
    from hpsearch.search import runner

    study = prepared.study
    drawn = [draw(prepared.space, number) for number in range(study.search.trials)]
    entries = []
    for params in drawn:
        ranges = prepared.space.distributions(params)
        fixed = {name: params[name] for name in prepared.space.listed() if name in params and name not in ranges}
        entries.append(ledger.Entry(params, ranges, fixed))
    gpus = study.resources.gpus_per_pack
    job = runner.Job(
        name=study.name, folder=folder, seed=study.seed, net=study.net, entries=entries,
        params=[complete(params) for params in drawn], arrays=prepared.arrays, workers=workers,
        gpus=0.0 if gpus == "auto" else gpus, evaluate=study.search.evaluate, plan=plan,
    )  # fmt: skip
    deadline = time.monotonic() + seconds(study.search.timeout) if study.search.timeout else None
    runner.run(job, deadline, report.progress)
    rows = ledger.read(folder.ledger, study.name)
    _write_trials(folder, rows, prepared.space.listed())
    return rows


@dataclass
class Squeezed:
    """What was made of the trials: nets, and their scores on validation and test."""

    best: dict[str, Any]
    ensemble: dict[str, Any]
    student: dict[str, Any] | None
    nets: dict[str, list[Any]]
    weights: list[float]


def squeeze(
    folder: Folder, prepared: Prepared, rows: list[dict[str, Any]], workers: int, report: Reporter
) -> Squeezed:
    """Ensembles the best trials and distils them; all choices are made before the test part is scored, once."""
    from hpsearch.squeeze import candidates as cand
    from hpsearch.squeeze import ensemble as ens

    arrays, target, metric = prepared.arrays, prepared.arrays.target, prepared.arrays.metric
    library = cand.candidates(folder, rows, arrays)
    if not library:
        failures = [row["outcome"]["failure"] for row in rows if row["state"] == "failed"]
        if failures:
            raise RunError(f"all {len(failures)} finished trials failed; the first: {failures[0]}")
        raise RunError("no trial finished in the time given; launch again to go on")
    predictions, y = np.stack([c.prediction for c in library]), arrays.validation.y
    size = prepared.study.squeeze.ensemble
    picks = ens.greedy(predictions, y, target.task, metric, size)
    shares = ens.weights_of(picks)
    gain = ens.gain(predictions, y, target.task, metric, size, prepared.study.seed)
    members, weights = [library[m] for m in shares], list(shares.values())
    nets = {
        "best": [cand.net_of(library[0], prepared.study.net, arrays)],
        "ensemble": [cand.net_of(member, prepared.study.net, arrays) for member in members],
    }

    def predict(what: str, x: np.ndarray) -> np.ndarray:
        each = [cand.predict(net, x, target) for net in nets[what]]
        return each[0] if len(each) == 1 else ens.combine(each, weights, target.task)

    student = None
    if prepared.study.squeeze.student is not None:
        report.stage("distil")
        teacher = predict("ensemble", arrays.train.x)
        student = _distil(folder, prepared, library[0], teacher, workers, report, nets)

    def scores(what: str) -> dict[str, dict[str, float]]:
        parts = {"validation": arrays.validation, "test": prepared.dataset.test}
        return {name: cand.score(predict(what, p.x), p.y, target, metric) for name, p in parts.items()}

    result = Squeezed(
        best={"trial": library[0].trial, **scores("best")},
        ensemble={
            "members": [member.named() for member in members],
            "weights": weights,
            **scores("ensemble"),
            "gain": asdict(gain),
        },
        student=student,
        nets=nets,
        weights=weights,
    )
    if student is not None:
        student.update(scores("student"), alone={**student["alone"], **scores("alone")})
    folder.ensemble.mkdir(exist_ok=True)
    write_json(folder.ensemble / "members.json", {k: result.ensemble[k] for k in ("members", "weights")})
    return result


def _distil(
    folder: Folder,
    prepared: Prepared,
    best: Any,
    teacher: np.ndarray,
    workers: int,
    report: Reporter,
    nets: dict[str, list[Any]],
) -> dict[str, Any]:
    """Trains students and their twins, picks the best of each on validation, adds their nets."""
    from hpsearch.search import runner
    from hpsearch.squeeze import candidates as cand
    from hpsearch.squeeze import distill

    study = prepared.study
    assert study.squeeze.student is not None
    count = study.squeeze.student.trials
    space = distill.student_space(prepared.space, best.state.record.params)
    draws = [complete(params) for params in distill.student_draws(space, best.state.record.params, count)]
    arrays = distill.taught(prepared.arrays, teacher)
    job = runner.Job(
        name=f"{study.name}-student", folder=folder.student, seed=space.seed, net=study.net,
        entries=distill.entries(draws), params=draws, arrays=arrays, workers=workers,
        gpus=0.0 if study.resources.gpus_per_pack == "auto" else study.resources.gpus_per_pack,
        evaluate=study.search.evaluate,
    )  # fmt: skip
    runner.run(job, None, report.progress)
    rows = ledger.read(folder.student.ledger, job.name)
    found = {}
    for what, numbers in {"student": range(count), "alone": range(count, 2 * count)}.items():
        ranked = cand.candidates(folder.student, [row for row in rows if row["number"] in numbers], arrays)
        if not ranked:
            raise RunError("every student failed; see student/logs")
        nets[what] = [cand.net_of(ranked[0], study.net, arrays)]
        found[what] = ranked[0].trial
    size = sum(p.numel() for p in nets["student"][0].parameters())
    return {"trial": found["student"], "parameters": size, "alone": {"trial": found["alone"]}}


def export(folder: Folder, prepared: Prepared, squeezed: Squeezed) -> None:
    """Writes the ensemble's export."""
    from hpsearch.export import bundle

    result = squeezed.ensemble
    dataset = prepared.dataset
    card = bundle.Card(
        study=prepared.study.name,
        what="ensemble",
        metrics={part: result[part] for part in ("validation", "test")},
        members=result["members"],
        source=prepared.study.data.source,
        rows={
            "train": len(dataset.train.y),
            "validation": len(dataset.validation.y),
            "test": len(dataset.test.y),
        },
        missing=list(prepared.study.data.missing),
    )
    bundle.write(folder.export, squeezed.nets["ensemble"], squeezed.weights, dataset.schema, dataset.target, card)


# --- the run folder ---------------------------------------------------------------------------------------------


def _origin(prepared: Prepared) -> dict[str, Any]:
    return {"study": prepared.place, "base": str(prepared.base), "data": prepared.dataset.fingerprint()}


def _refuse_changed(folder: Folder, prepared: Prepared, plan: Plan | None) -> None:
    """A study that has begun may change in its trials (up), its timeout and its resources, and in nothing else."""
    count = prepared.study.search.trials
    if plan is not None and plan.trials != set(range(count)):
        raise UserError(f"--plan: the plan has {len(plan.trials)} trials, and the study {count}")
    if not folder.study.exists():
        return
    before = load_study(folder.study)
    changed = [
        f"{key}: {old!r} → {new!r}" for key, old, new in _differences(_identity(before), _identity(prepared.study))
    ]
    if json.loads(folder.origin.read_text())["data"] != prepared.dataset.fingerprint():
        changed.append("data.source: its rows")
    if changed:
        raise UserError(
            f"{folder.root}: belongs to a study that differs in {'; '.join(changed)}. "
            "Give the study another name, or --runs another folder"
        )
    drawn = len(ledger.read(folder.ledger, prepared.study.name))
    if count < drawn:
        raise UserError(f"{prepared.place}: search.trials: {drawn} are drawn already, got {count}")


def _identity(study: Study) -> dict[str, Any]:
    return study.model_dump(mode="json", exclude={"resources": True, "search": {"trials": True, "timeout": True}})


def _differences(a: Any, b: Any, place: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(a, dict) and isinstance(b, dict):
        keys = dict.fromkeys([*a, *b])
        return [d for key in keys for d in _differences(a.get(key), b.get(key), f"{place}.{key}".lstrip("."))]
    return [] if a == b else [(place, a, b)]


def _finished(folder: Folder, study: Study) -> bool:
    """Whether the run has its results, for as many trials as the study now has."""
    if not folder.summary.exists():
        return False
    counts = json.loads(folder.summary.read_text())["trials"]
    return bool(counts["waiting"] == 0 and sum(counts.values()) == study.search.trials)


def _write_trials(folder: Folder, rows: list[dict[str, Any]], names: list[str]) -> None:
    import pandas as pd

    table = [
        {
            "number": row["number"], "state": row["state"], "value": row["value"],
            "seconds": row["outcome"] and row["outcome"]["seconds"],
            "epochs": row["outcome"] and row["outcome"]["epochs"],
            **{f"params.{name}": row["params"].get(name) for name in names},
        }
        for row in rows
    ]  # fmt: skip
    write_text(folder.trials, pd.DataFrame(table).to_csv(index=False))


def count_states(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Trials by state; a running one waits as long as it has not ended."""
    states = ["waiting" if row["state"] == "running" else row["state"] for row in rows]
    return {state: states.count(state) for state in ("complete", "pruned", "failed", "waiting")}


def _summary(
    folder: Folder, prepared: Prepared, rows: list[dict[str, Any]], squeezed: Squeezed, took: dict[str, float]
) -> dict[str, Any]:
    from hpsearch.metrics import METRICS

    before = json.loads(folder.summary.read_text())["test_scored"] if folder.summary.exists() else 0
    metric = prepared.arrays.metric
    return {
        "study": prepared.study.name,
        "metric": metric,
        "direction": METRICS[metric].direction,
        "trials": count_states(rows),
        "best": squeezed.best,
        "ensemble": squeezed.ensemble,
        "student": squeezed.student,
        "test_scored": before + 1,
        "seconds": {
            stage: round(took[stage], 2) if stage in took else None
            for stage in ("check", "search", "squeeze", "export", "report", "total")
        },
    }


class _Clock:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: tuple[str, float] = ("", 0.0)

    def __call__(self, stage: str) -> "_Clock":
        self._open = (stage, time.monotonic())
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        stage, since = self._open
        self.seconds[stage] = time.monotonic() - since


def run_trial(path: Path, number: int, reporter: Reporter, overrides: Overrides | None = None) -> Any:
    """Trains one trial in this process, without Ray; gives its record. Writes nothing."""
    from hpsearch.nets.build import NETS
    from hpsearch.pack.train import Pack, Settings

    prepared = prepare(path, overrides)
    if not 0 <= number < prepared.study.search.trials:
        last = prepared.study.search.trials - 1
        raise UserError(f"{prepared.place}: trial {number} is not drawn; choose from 0 to {last}")
    settings = Settings(
        prepared.study.seed, NETS[prepared.study.net], "loop", evaluate=prepared.study.search.evaluate
    )
    pack = Pack.start(settings, prepared.arrays, [number], [prepared.params(number)])

    def say(pack: Pack) -> bool:
        for record in pack.records:
            if record.curve:
                epoch, loss, value, _ = record.curve[-1]
                reporter.note(f"epoch {epoch}: training loss {loss:.4g}, {prepared.arrays.metric} {value:.4g}")
        return True

    pack.train(on_epoch=say)
    return replace(pack.done[0].record)
