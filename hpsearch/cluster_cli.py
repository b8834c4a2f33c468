"""The commands that speak with a cluster: submit, jobs, logs, cancel, pull."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hpsearch.commands import proposed
from hpsearch.errors import RunError

app = typer.Typer()

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="The study file, such as studies/digits.yaml.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="As `submit` and `jobs` tell it.")]
Address = Annotated[
    str,
    typer.Option(envvar="RAY_API_SERVER_ADDRESS", help="The cluster's job server, such as http://head:8265."),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Without TLS and without a token, where nobody else can reach it.")
]


@app.command()
def submit(
    study: StudyFile,
    address: Address,
    follow: Annotated[bool, typer.Option("--follow", help="Show what it prints, until it ends.")] = False,
    runs: Annotated[
        str | None,
        typer.Option(help="The folder on the cluster for run folders, instead of the study's storage.path."),
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Total number of trials, instead of the study's.")] = None,
    timeout: Annotated[str | None, typer.Option(help="Stop searching after this long: 90s, 15m, 2h.")] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of the draws, instead of the study's.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Legs that train at once; else what the cluster carries.")
    ] = None,
    plan: Annotated[Path | None, typer.Option(help="A plan.json to follow, for the same numbers again.")] = None,
    skip_checks: Annotated[bool, typer.Option("--skip-checks", help="Search without looking first.")] = False,
    insecure: Insecure = False,
) -> None:
    """Send a study to a Ray cluster."""
    from hpsearch.cluster import submitting
    from hpsearch.cluster.server import connect
    from hpsearch.prepared import Overrides

    sent = submitting.prepare(study, plan, runs, Overrides(trials, timeout, seed, workers), skip_checks)
    client = connect(address, insecure)
    for text in sent.told:
        print(text)
    job = submitting.send(client, sent)
    print(f"job {job.id}: {sent.parcel.bytes / 1e6:.1f} MB sent to {address}")
    if follow:
        _follow(client, job.id, address, insecure)
    else:
        _how(job.id, address, insecure)


@app.command()
def jobs(address: Address, insecure: Insecure = False) -> None:
    """The studies on a cluster, the latest first."""
    from hpsearch.cluster import jobs as known
    from hpsearch.cluster.server import connect

    table = Table()
    for name in ("job", "study", "status", "began", "took", "run folder there"):
        table.add_column(name, overflow="fold")
    for job in known.jobs(connect(address, insecure)):
        table.add_row(job.id, job.study, job.status, job.began_told, job.took_told, job.run)
    console = Console()
    (console if console.is_terminal else Console(width=240)).print(table)


@app.command()
def logs(
    job: JobId,
    address: Address,
    follow: Annotated[bool, typer.Option("--follow", help="Until it ends.")] = False,
    insecure: Insecure = False,
) -> None:
    """What a study on a cluster has printed."""
    from hpsearch.cluster import jobs as known
    from hpsearch.cluster.server import connect

    client = connect(address, insecure)
    if follow:
        _follow(client, job, address, insecure)
    else:
        _show(known.log(client, job))


@app.command()
def cancel(job: JobId, address: Address, insecure: Insecure = False) -> None:
    """End a study on a cluster; its run folder stays, and submitting it again goes on."""
    from hpsearch.cluster import jobs as known
    from hpsearch.cluster.server import connect

    print(f"job {job}: {known.cancel(connect(address, insecure), job)}")


@app.command()
def pull(
    job: JobId,
    address: Address,
    to: Annotated[str, typer.Option(help="The folder into which the run folder is put.")],
    insecure: Insecure = False,
) -> None:
    """Fetch the run folder of a study on a cluster, every file of it held against its hash."""
    from hpsearch.cluster.pull import pull as fetch
    from hpsearch.cluster.server import connect

    run = fetch(connect(address, insecure), job, to, lambda text: print(text, file=sys.stderr))
    print(f"wrote {run}")


def _follow(client: Any, job: str, address: str, insecure: bool) -> None:
    from hpsearch.cluster import jobs as known

    try:
        ended = known.follow(client, job, _show, lambda text: print(text, file=sys.stderr))
    except KeyboardInterrupt:
        print(f"\njob {job} goes on without this terminal.")
        _how(job, address, insecure)
        raise typer.Exit(130) from None
    if ended.status != "SUCCEEDED":
        raise RunError(f"job {job}: {ended.status.lower()}: {ended.message or 'it says no more'}")
    print(f"job {job}: succeeded; fetch it: {_fetch(job, address, insecure)}")


def _how(job: str, address: str, insecure: bool) -> None:
    """How to come back to it."""
    print(
        f"follow it:  {proposed('logs', job, follow=True, address=address, insecure=insecure)}\n"
        f"end it:     {proposed('cancel', job, address=address, insecure=insecure)}\n"
        f"fetch it:   {_fetch(job, address, insecure)}"
    )


def _fetch(job: str, address: str, insecure: bool) -> str:
    """The command that fetches a run folder, to where no other run is; a job is called STUDY-DATE-TIME."""
    taken = (Path("runs") / job.rsplit("-", 2)[0]).exists()
    return proposed("pull", job, to=f"runs/{job}" if taken else "runs", address=address, insecure=insecure)


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
