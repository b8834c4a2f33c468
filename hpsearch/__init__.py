"""hpsearch runs the recipe for training neural nets: random search in packs, ensemble, distil, export."""

from hpsearch import safe_path

safe_path.protect_worker()  # before anything else is imported

TYPE_CHECKING = False  # `typing` is no import of this file, which begins where the user's search path still counts
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from hpsearch.errors import InputWarning as InputWarning
    from hpsearch.run import Run

__version__ = "0.1.0"


def launch(
    study: "str | Path",
    runs: "str | Path | None" = None,
    *,
    trials: int | None = None,
    timeout: str | None = None,
    seed: int | None = None,
    workers: int | None = None,
    plan: "str | Path | None" = None,
    skip_checks: bool = False,
    address: str | None = None,
) -> "Run":
    """Runs a study to its end, or goes on with it; the other arguments are those of `hpsearch launch`.

    Raises:
        UserError: the study, its data or an argument is wrong (`hpsearch.errors`).
        CheckError: a check failed, and nothing was begun.
        RunError: it failed while running.
    """
    with safe_path.WithoutWorkingDirectory():
        from pathlib import Path

        from hpsearch import pipeline
        from hpsearch.prepared import Overrides
        from hpsearch.run import open_run

        overrides = Overrides(trials, timeout, seed, workers)
        given = Path(plan) if plan else None
        place = None if runs is None else str(runs)
        folder = pipeline.launch(Path(study), place, overrides, given, skip_checks=skip_checks, address=address)
        return open_run(folder.root)


def open_run(path: "str | Path") -> "Run":
    """Opens a run folder: trials as a DataFrame, ensemble, paths."""
    with safe_path.WithoutWorkingDirectory():
        from hpsearch import run

        return run.open_run(path)


def load(export: "str | Path") -> "Any":
    """Loads an export; its `predict(X)` gives a DataFrame."""
    with safe_path.WithoutWorkingDirectory():
        from pathlib import Path

        from hpsearch.export import predict

        return predict.load(Path(export))


def __getattr__(name: str) -> object:
    """`InputWarning`, which is imported when it is asked for."""
    if name != "InputWarning":
        raise AttributeError(f"module 'hpsearch' has no attribute {name!r}")
    from hpsearch.errors import InputWarning

    return InputWarning
