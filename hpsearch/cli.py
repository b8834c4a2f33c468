"""The commands; the only place that prints."""

import hpsearch.guarded  # noqa: F401 - before the others, which the working directory could shadow

# isort: split
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hpsearch import cluster_cli, streams
from hpsearch.commands import proposed
from hpsearch.errors import CheckError, OutputError, RunError, UserError
from hpsearch.output import is_standard_output, is_stream

app = typer.Typer(
    name="hpsearch",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(cluster_cli.app)

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="The study file, such as studies/digits.yaml.")]
Trials = Annotated[int | None, typer.Option(help="Total number of trials, instead of the study's.")]
Seed = Annotated[int | None, typer.Option(help="The seed of the draws, instead of the study's.")]
Runs = Annotated[
    str | None, typer.Option(help="Where run folders are made, instead of the study's storage.path or runs/.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/digits.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"hpsearch {version('hpsearch')}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Runs the recipe for training neural nets: random search in packs, ensemble, distil, export."""


def _console() -> Console:
    """Standard output; a file has no width, so there nothing is cut to one."""
    console = Console()
    return console if console.is_terminal else Console(width=240)


def _wrote(out: Path, more: str = "") -> None:
    """Prints where an output is, unless it is the standard output itself."""
    if not is_standard_output(out):
        print(f"wrote {out}{more}")


@app.command()
def launch(
    study: StudyFile,
    trials: Trials = None,
    timeout: Annotated[str | None, typer.Option(help="Stop searching after this long: 90s, 15m, 2h.")] = None,
    runs: Runs = None,
    seed: Seed = None,
    workers: Annotated[
        int | None, typer.Option(help="Legs that train at once; when left out one a GPU, else one a core.")
    ] = None,
    plan: Annotated[Path | None, typer.Option(help="A plan.json to follow, for the same numbers again.")] = None,
    skip_checks: Annotated[bool, typer.Option("--skip-checks", help="Search without looking first.")] = False,
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster to train on: auto on one of its nodes, or HOST:PORT.")
    ] = None,
) -> None:
    """Run a study to its end, or go on with it."""
    from hpsearch import pipeline
    from hpsearch.prepared import Overrides
    from hpsearch.relaunch import Launch
    from hpsearch.run import open_run
    from hpsearch.search.signals import TerminatedError, heard, signals_raise
    from hpsearch.terminal import Screen, show_end

    signals_raise()
    streams.stop_in_order()
    console = _console()
    overrides = Overrides(trials, timeout, seed, workers)
    try:
        with Screen(console, study.stem) as screen:
            folder = pipeline.launch(study, runs, overrides, plan, screen, skip_checks, address)
    except (Exception, KeyboardInterrupt) as error:
        stop = error if isinstance(error, KeyboardInterrupt) else heard()
        if stop is None:
            raise
        same = Launch(study, runs, overrides, plan, skip_checks, address).command
        gone = streams.is_broken_pipe()
        why = "Stopped, since nothing reads the output any more." if gone else "Stopped."
        words = f"{why} What was trained is on disk; go on with: {same}"
        print(words, file=sys.stderr if gone else sys.stdout)
        raise typer.Exit(141 if gone else 143 if isinstance(stop, TerminatedError) else 130) from None
    summary = open_run(folder.root).summary
    assert summary is not None
    show_end(console, summary, folder.root)


@app.command()
def check(
    study: StudyFile,
    only: Annotated[list[str] | None, typer.Option(help="A check's id, such as D2; may be repeated.")] = None,
    runs: Runs = None,
    trials: Trials = None,
    seed: Seed = None,
) -> None:
    """Look at the data and try the training set-up out, before anything is searched."""
    from hpsearch import pipeline
    from hpsearch.prepared import Overrides
    from hpsearch.terminal import Verdicts

    console = _console()
    overrides = Overrides(trials=trials, seed=seed)
    with Verdicts(console) as table:
        stopping = pipeline.check(study, runs, only or [], table.note, table.tell, table.begin, overrides)
    if stopping:
        console.print(f"failed: {', '.join(stopping)}; mend it, or accept a finding by its id in the study")
        raise typer.Exit(3)


@app.command()
def trial(
    study: StudyFile,
    number: Annotated[int, typer.Argument(metavar="N", help="The trial's number.")],
    trials: Trials = None,
    seed: Seed = None,
) -> None:
    """Train one trial in this process, without Ray: for a debugger."""
    from hpsearch.prepared import Overrides
    from hpsearch.terminal import Screen
    from hpsearch.trial import run_trial

    console = _console()
    screen = Screen(console, study.stem)
    record = run_trial(study, number, screen, Overrides(trials=trials, seed=seed))
    if record.failure:
        raise RunError(f"trial {number} failed: {record.failure}")
    scores = ", ".join(f"{name} {value:.6g}" for name, value in record.best.items())
    console.print(f"trial {number}: best at epoch {record.best_epoch}: {scores}", highlight=False)


@app.command()
def status(run: RunFolder, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say where a run stands."""
    from hpsearch.run import open_run
    from hpsearch.terminal import standing

    found = open_run(run).status()
    print(json.dumps(found) if as_json else standing(found, run))


@app.command()
def ablate(
    run: RunFolder,
    seeds: Annotated[int, typer.Option(min=2, max=50, help="Trainings of each variant.")] = 5,
) -> None:
    """Train the best trial without each of its tricks, and the plain baseline with each."""
    from hpsearch import pipeline
    from hpsearch.terminal import Screen, show_effects

    console = _console()
    with Screen(console, run.name) as screen:
        effects, means = pipeline.ablate(run, seeds, screen)
    show_effects(console, effects, means, run)


@app.command()
def export(
    run: RunFolder,
    to: Annotated[Path, typer.Option(help="The folder to write: new, or an export that is replaced.")],
    what: Annotated[str, typer.Option(help="ensemble, student or best: the best trial.")] = "ensemble",
) -> None:
    """Write the export of a finished run's ensemble, student or best trial."""
    from hpsearch import pipeline
    from hpsearch.terminal import Screen

    console = _console()
    with Screen(console, run.name) as screen:
        pipeline.export_run(run, to, what, screen)
    console.print(f"wrote {to}", highlight=False, soft_wrap=True)


@app.command()
def predict(
    export: Annotated[
        Path, typer.Argument(metavar="EXPORT", help="An export folder, such as runs/digits/export.")
    ],
    data: Annotated[Path, typer.Argument(metavar="INPUT", help="A .csv, .parquet or .npz file.")],
    out: Annotated[Path, typer.Option(help="The CSV to write; - is the standard output.")],
) -> None:
    """Predict new data with an export; needs neither Ray nor Optuna nor the training code."""
    from hpsearch.export.predict import predict_file

    predict_file(export, data, out, lambda message: print(f"warning: {message}", file=sys.stderr))
    _wrote(out)


@app.command()
def space(
    name: Annotated[str, typer.Argument(metavar="NAME", help="baseline, recipe, cocktail or augment.")],
) -> None:
    """Print a ready-made space."""
    from hpsearch.ready import text_of

    print(text_of(name, "space"), end="")


@app.command()
def init(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A file, a folder, or sklearn:NAME.")],
    target: Annotated[str | None, typer.Option(help="The column to predict, of a table.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The study file to write, or - to print it; NAME.yaml when left out.")
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option(help="A word of a CSV that is a missing value, such as NA; may be repeated."),
    ] = None,
    categorical: Annotated[
        list[str] | None, typer.Option(help="A column of numbers that are categories; may be repeated.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(help="A column that is no input, such as a name; may be repeated.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Pixels a side, of pictures that are not all of one size.")
    ] = None,
) -> None:
    """Write a commented study file for some data."""
    from hpsearch.starter import write_study

    told = {"missing": ["", *missing] if missing else None, "categorical": categorical, "drop": drop, "size": size}
    path = write_study(data, target, out, {key: value for key, value in told.items() if value})
    run_it = "" if is_stream(path) else f"; run it with: {proposed('launch', path)}"
    _wrote(path, run_it)


_STATUS = {UserError: 2, CheckError: 3, RunError: 1}


def main() -> None:
    """The entry point. A user's mistake is one message and status 2, a failed run status 1, a failed check 3."""
    streams.guard()
    try:
        status = _status()
        sys.stdout.flush()  # the last words may still be on their way
    except OutputError as error:
        status = 141 if streams.is_broken_pipe() else 1
        if status == 1:
            print(error, file=sys.stderr)
    streams.end(status)


def _status() -> int | str | None:
    """Runs the command; the status that it ends with."""
    try:
        app(standalone_mode=True)
    except SystemExit as ended:
        return ended.code
    except KeyboardInterrupt:
        return 130
    except (UserError, CheckError, RunError) as error:
        print(error, file=sys.stderr)
        return next(status for kind, status in _STATUS.items() if isinstance(error, kind))
    return 0
