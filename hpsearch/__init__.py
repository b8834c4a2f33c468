"""hpsearch runs the recipe for training neural nets: random search in packs, ensemble, distil, export."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpsearch.run import Run

__version__ = "0.1.0"


def launch(study: str | Path, runs: str | Path = "runs", **overrides: Any) -> "Run":
    """Runs a study to its end, or goes on with it; `overrides`: trials, timeout, seed, workers."""
    from hpsearch import pipeline
    from hpsearch.prepare import Overrides
    from hpsearch.run import open_run

    folder = pipeline.launch(Path(study), Path(runs), Overrides(**overrides))
    return open_run(folder.root)


def open_run(path: str | Path) -> "Run":
    """Opens a run folder: trials as a DataFrame, ensemble, paths."""
    from hpsearch import run

    return run.open_run(path)


def load(export: str | Path) -> Any:
    """Loads an export; its `predict(X)` gives a DataFrame."""
    from hpsearch.export import predict

    return predict.load(Path(export))
