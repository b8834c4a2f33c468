"""The whole pipeline on one screen: check, search, squeeze, export, summary."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch import begun, storage
from hpsearch.capacity import Capacity
from hpsearch.code import no_exits
from hpsearch.errors import UserError, choices
from hpsearch.folder import Folder
from hpsearch.lock import hold, refuse_held
from hpsearch.ondemand import OnDemand
from hpsearch.output import real_path
from hpsearch.prepare import prepare
from hpsearch.prepared import Overrides, Prepared
from hpsearch.relaunch import Launch, again, kept
from hpsearch.scratch import check_temporary_folder
from hpsearch.search import ledger, packing
from hpsearch.search.messages import Entry
from hpsearch.search.packing import Plan
from hpsearch.search.progress import Logged, Looking, Quiet, Reporter
from hpsearch.space import drawn_and_fixed
from hpsearch.study import Study, load_study, seconds
from hpsearch.validate import remarks
from hpsearch.variety import repeats

if TYPE_CHECKING:
    from hpsearch.recipe.preflight import Begin, Tell


@no_exits()
def launch(
    path: Path,
    runs: str | Path | None = None,
    overrides: Overrides | None = None,
    plan: Path | None = None,
    reporter: Reporter | None = None,
    skip_checks: bool = False,
    address: str | None = None,
) -> Folder:
    """Runs a study to its end, or goes on with it; gives its run folder.

    `runs`: where run folders are made, a folder or a URL; without one the study's `storage.path`, else `runs/`.
    `address`: of a Ray cluster to train on (`auto` on one of its nodes); without one, on this machine.

    Raises:
        UserError: the study, its data or the plan is wrong, or the run folder belongs to another study.
        CheckError: a check failed, and nothing was begun.
        RunError: it failed while running.
        KeyboardInterrupt: it was stopped; launching again goes on.
    """
    reporter = reporter or Quiet()
    asked = Launch(path, None if runs is None else str(runs), overrides or Overrides(), plan, skip_checks, address)
    if address is not None:
        from hpsearch.cluster.parcel import beside_the_driver, refuse_another_version
        from hpsearch.search.cluster import joined

        refuse_another_version()
        study = load_study(path)  # before anything is joined, which takes seconds
        with beside_the_driver(path, study) as code, joined(address, reporter.note, code) as capacity:
            return _launch(asked, reporter, capacity)
    return _launch(asked, reporter, None)


def _launch(asked: Launch, reporter: Reporter, capacity: Capacity | None) -> Folder:
    raw = load_study(asked.study)
    check_temporary_folder()
    with _run_folder(asked.study, raw, asked.runs, reporter.note) as folder:
        _begin(asked, raw, folder, reporter, capacity)
    return folder


@contextmanager
def _run_folder(
    path: Path, study: Study, runs: str | Path | None, note: Callable[[str], None]
) -> Iterator[Folder]:
    """The folder of a study's run, under `runs`, else the study's `storage.path`, else `runs/`.

    Of a store its files are brought here first, and back when the block ends.

    Raises:
        UserError: it holds a link, another launch is at it, or its store cannot be read.
    """
    place, where = (
        (str(runs), "--runs") if runs is not None else (study.storage.path or "runs", f"{path}: storage.path")
    )
    folder = Folder(storage.place_of(place) / study.name)
    begun.refuse_links(folder)
    refuse_held(folder.root)  # before the data are read, which may take long
    store = storage.Store(place, study.name, where) if storage.is_url(place) else None
    if store is not None and (count := store.fetch(folder.root)):
        note(f"{where}: brought {count} files here, to {folder.root}")
    with storage.kept(store, folder.root, note):
        yield folder


def _begin(asked: Launch, raw: Study, folder: Folder, reporter: Reporter, capacity: Capacity | None) -> None:
    overrides = kept(folder, raw, asked.overrides, reporter.note)
    prepared = prepare(asked.study, overrides, reporter.note, capacity=capacity)
    given = packing.read(asked.plan) if asked.plan else None
    begun.refuse_changed(folder, prepared, given)
    folder.create()
    with hold(folder.root), Logged(reporter, folder.log) as report:
        for code in prepared.code:
            report.remember(code.told)
        for text in (*prepared.dataset.notes, *_remarks(prepared, raw.params.keys())):
            report.note(text)
        took: dict[str, float] = {}
        if not asked.skip_checks and not folder.ledger.exists():
            from hpsearch.recipe import preflight  # scikit-learn takes a second to import: not for wrong input

            with _stage("check", took, report):
                preflight.require_passed(
                    prepared, folder, begun.about(prepared), report.note,
                    lambda *place: report.progress(Looking(*place)), asked.check_command(folder.root),
                )  # fmt: skip
        begun.enter(folder, prepared, report.note, asked.recorded(raw))
        if begun.is_finished(folder, prepared.study, report.note):
            report.note("this study is finished; its results stand as they are")
        else:
            _run(folder, prepared.without_raw(), given, report, took)


def _remarks(prepared: Prepared, named: Collection[str]) -> list[str]:
    """What a sound study may not mean. `named`: the parameters that it names beside a ready-made space."""
    repeated = repeats(prepared.space, prepared.study.search.trials)
    return [*remarks(prepared.space, named), *([] if repeated is None else [repeated])]


@no_exits()
def check(
    path: Path,
    runs: str | Path | None,
    only: Sequence[str],
    note: Callable[[str], None],
    tell: "Tell",
    begin: "Begin",
    overrides: Overrides | None = None,
) -> list[str]:
    """Runs the checks of a study, all of them or those of some ids; gives the ids of those that stop a launch.

    `runs`: as in `launch`, which takes the verdicts over. Where the net or the parameters are wrong, the data are
    still looked at.

    Raises:
        UserError: the study, its data or its code is wrong, or there is no check of an id.
    """
    from hpsearch.recipe import preflight

    raw = load_study(path)
    with _run_folder(path, raw, runs, note) as folder:
        overrides = kept(folder, raw, overrides or Overrides(), note)
        try:
            prepared = prepare(path, overrides, note)
        except UserError as error:
            try:
                plain = prepare(path, data_alone=True)
            except UserError:
                raise error from None
            if plain.dataset.raw is None:
                raise
            note("the training set-up is wrong, as is told at the end; the data are looked at all the same")
            preflight.look_at_data(plain, only, tell, begin)
            raise
        for text in _remarks(prepared, raw.params):
            note(text)
        begun.refuse_changed(folder, prepared, None)
        return preflight.look(prepared, folder, begun.about(prepared), only, tell, begin)


@no_exits()
def ablate(root: Path, seeds: int, reporter: Reporter | None = None) -> tuple[list[Any], dict[str, float | None]]:
    """Takes the best trial's tricks away one by one, and adds them one by one to the baseline; gives the effects
    and each variant's mean score.

    Raises:
        UserError: it is no run that has a finished trial of built-in training, or its data or code have changed.
    """
    from hpsearch.run import open_run
    from hpsearch.search.cluster import cluster
    from hpsearch.squeeze.ablate import ablate as climb

    folder, reporter = open_run(root).folder, reporter or Quiet()
    refuse_held(folder.root)
    check_temporary_folder()
    if open_run(root).summary is None:
        raise UserError(f"{root}: is not finished; {again(root)}")
    prepared = prepare(folder.study, None, reporter.note, home=begun.home(folder))
    begun.refuse_changed(folder, prepared, None)
    if prepared.objective is not None:
        raise UserError(f"{root}: a training function of your own has no tricks that are known here")
    rows = ledger.read(folder.ledger, prepared.study.name)
    with hold(folder.root), Logged(reporter, folder.log) as report, cluster(prepared.workers):
        report.stage("ablate")
        return climb(folder, prepared.without_raw(), rows, seeds, prepared.workers, report)


def _run(folder: Folder, prepared: Prepared, plan: Plan | None, report: Reporter, took: dict[str, float]) -> None:
    # Ray and torch's exporter take seconds to import: not for wrong input, not for a finished study
    from hpsearch.search.cluster import cluster
    from hpsearch.search.signals import Held
    from hpsearch.squeeze.own import squeeze_own
    from hpsearch.squeeze.squeeze import require_finished, squeeze
    from hpsearch.summary import write_summary

    workers = prepared.workers
    with _stage("total", took, Quiet()):
        with cluster(workers):
            with _stage("search", took, report):
                rows = search(folder, prepared, workers, plan, report)
                require_finished(rows)
            with _stage("squeeze", took, report):
                if prepared.objective is not None:
                    squeezed = squeeze_own(folder, prepared, rows, report)
                else:
                    squeezed = squeeze(folder, prepared, rows, workers, report)
        with _stage("export", took, report), Held():
            no_export = export(folder, prepared, squeezed)
    took["total"] += took.get("check", 0.0)
    write_summary(folder, prepared, rows, squeezed, no_export, took)


@contextmanager
def _stage(name: str, took: dict[str, float], report: Reporter) -> Iterator[None]:
    report.stage(name)
    began = time.monotonic()
    yield
    took[name] = time.monotonic() - began


def search(
    folder: Folder, prepared: Prepared, workers: int, plan: Plan | None, report: Reporter
) -> list[dict[str, Any]]:
    """Draws, packs and trains; gives the ledger's rows. Ends early when the study's timeout is over."""
    from hpsearch.search import runner
    from hpsearch.search.job import Job
    from hpsearch.summary import write_trials

    study, space = prepared.study, prepared.space
    count = study.search.trials
    timeout_s = seconds(study.search.timeout) if study.search.timeout else None
    job = Job(
        name=study.name, folder=folder, seed=study.seed, net=prepared.net,
        entries=OnDemand(count, lambda n: Entry(prepared.draws[n], *drawn_and_fixed(space, prepared.draws[n], n))),
        params=OnDemand(count, prepared.params),
        objective=prepared.objective, test_y=prepared.dataset.test.y,
        structural=space.structural(), metric=prepared.metric,
        arrays=prepared.searched, workers=workers, gpus=prepared.gpus, evaluate=study.search.evaluate, plan=plan,
        data=prepared.dataset.fingerprint(), timeout_s=timeout_s, **prepared.care,
    )  # fmt: skip
    deadline = time.monotonic() + timeout_s if timeout_s is not None else None
    runner.run(job, deadline, report)
    rows = ledger.read(folder.ledger, study.name)
    failed = [row for row in rows if row["state"] == "failed"]
    if failed:
        first = failed[0]
        report.note(f"{len(failed)} trials failed; the first, {first['number']}: {first['outcome']['failure']}")
    write_trials(folder, rows, space.listed())
    return rows


def export(folder: Folder, prepared: Prepared, squeezed: Any) -> str | None:
    """Writes the ensemble's export, or gives why there is none."""
    if prepared.objective is not None:
        return "a training function of your own has no net to export"
    from hpsearch.export.onnx import NoOnnxFormError

    try:
        _write_export(folder.export, prepared, "ensemble", squeezed.teams["ensemble"], squeezed.ensemble)
    except NoOnnxFormError as error:
        return str(error)
    return None


@no_exits()
def export_run(root: Path, to: Path, what: str, reporter: Reporter | None = None) -> None:
    """Writes the export of a run's ensemble, student or best single net to a folder of its own.

    Raises:
        UserError: it is no finished run, has no such net, or the folder holds something else.
        RunError: the net has no ONNX form.
    """
    from hpsearch.run import open_run
    from hpsearch.squeeze.kept import WHAT, kept

    run, reporter = open_run(root), reporter or Quiet()
    if real_path(to, "--to").is_relative_to(root.resolve()):
        raise UserError(f"--to: {to}: lies in the run folder, whose files are its own; choose another place")
    if what not in WHAT:
        raise UserError(f"--what: {what!r} is not known; {choices(WHAT)}")
    if run.summary is None:
        raise UserError(f"{root}: is not finished; {again(root)}")
    prepared = prepare(run.folder.study, None, reporter.note, home=begun.home(run.folder))
    begun.refuse_changed(run.folder, prepared, None)
    if prepared.objective is not None:
        raise UserError(f"{root}: a training function of your own has no net to export")
    if run.summary[what] is None:
        raise UserError(f"{root}: has no {what}")
    team, told = kept(run.folder, prepared, what)
    _write_export(to, prepared, what, team, told)


def _write_export(place: Path, prepared: Prepared, what: str, team: Any, result: Any) -> None:
    from hpsearch.export import bundle

    dataset, data = prepared.dataset, prepared.study.data
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    card = bundle.Card(
        study=prepared.study.name,
        what=what,
        metrics={part: result[part] for part in ("validation", "test")},
        members=[member for member in result["members"] for _ in range(len(team.nets) // len(result["members"]))],
        source=data.source,
        rows={name: len(part.y) for name, part in parts.items()},
        missing=list(data.missing),
        predicts=data.target or "the target",
        temperature=team.temperature,
        judged=_judged(prepared, what, "before_refit" in result),
    )
    bundle.write(place, team.nets, team.weights, dataset.schema, dataset.target, card)


def _judged(prepared: Prepared, what: str, refitted: bool) -> str:
    """What the validation figures of an export are of."""
    from hpsearch.export.card import CHOSE

    folds = prepared.study.search.folds
    if folds is not None and what != "student":
        told = (
            f"The validation figures are of all training and validation rows, each predicted by nets that had not "
            f"seen it ({folds} folds); they chose the nets, so they flatter."
        )
    else:
        told = CHOSE
    if refitted:
        told += " The nets in here have been trained once more since, on these rows as well."
    return told
