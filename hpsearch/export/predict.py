"""Predicts with an export: onnxruntime runs its graph; no torch, Ray or Optuna, and no code of the export."""

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd

from hpsearch.data import preprocess
from hpsearch.data.preprocess import Schema
from hpsearch.errors import InputWarning, UserError
from hpsearch.export import manifest
from hpsearch.export.input_shift import InputStatistics
from hpsearch.export.inputs import Source, chunks, feeds
from hpsearch.export.session import open_session
from hpsearch.output import check_output, is_stream, real_path, write_output


@dataclass(frozen=True)
class Model:
    """An export that is ready to predict; `about` is its manifest."""

    about: dict[str, Any]
    schema: Schema = field(repr=False)
    session: onnxruntime.InferenceSession = field(repr=False)

    def __repr__(self) -> str:
        about = self.about
        return f"<{about['what']} of {len(about['members'])} of {about['study']!r}: predicts {about['predicts']}>"

    def predict(self, X: Source) -> pd.DataFrame:
        """One row per row of X, with X's index where X is a data frame.

        Args:
            X: a data frame, an array [N, ...], or the path of a CSV, Parquet or npz file (`x` in it).

        Returns:
            `prediction` (class name, or value in the target's units); for classes `probability.<class>`; for
            more than one member `spread`, their standard deviation of that probability or value.

        Warns:
            InputWarning: X is unlike the training inputs: its range, its categories, or what is missing.

        Raises:
            UserError: X cannot be read or does not fit the export's inputs.
        """
        statistics = self.statistics()
        frame = pd.concat(list(self.frames(X, statistics)), ignore_index=True)
        if messages := statistics.messages():
            warnings.warn("\n".join(messages), InputWarning, stacklevel=2)
        return frame.set_axis(X.index) if isinstance(X, pd.DataFrame) else frame

    def statistics(self) -> InputStatistics:
        """Empty statistics of inputs, for `frames` to fill."""
        entries = self.about["inputs"]
        names, empties = ([entry[key] for entry in entries] for key in ("input", "missing"))
        return InputStatistics(self.schema, names, empties)

    def frames(self, X: Source, statistics: InputStatistics | None = None) -> Iterator[pd.DataFrame]:
        """The predictions in pieces, so that memory stays bounded however long a file is; one at least.

        The inputs of each piece are added to `statistics`.
        """
        if not isinstance(X, pd.DataFrame | np.ndarray | str | Path):
            raise UserError(f"X: must be a data frame, an array or a path, got {type(X).__name__}")
        names = [entry["input"] for entry in self.about["inputs"]]
        empties = [entry["missing"] for entry in self.about["inputs"]]
        for place, first, chunk in chunks(X, self.schema, self.about["missing"]):
            given = feeds(chunk, self.schema, names, empties, place, first)
            if statistics is not None:
                statistics.add(given, str(chunk.dtype) if isinstance(chunk, np.ndarray) else "")
            yield self._frame(self._run(given, len(chunk)))

    def _run(self, inputs: dict[str, np.ndarray], rows: int) -> dict[str, np.ndarray]:
        if rows == 0:  # not every operator takes an empty batch
            shapes = {"probability": (0, len(self.about["classes"]))}
            return {name: np.zeros(shapes.get(name, (0,))) for name in self.about["outputs"]}
        return dict(zip(self.about["outputs"], self.session.run(self.about["outputs"], inputs), strict=True))

    def _frame(self, outputs: dict[str, np.ndarray]) -> pd.DataFrame:
        if "probability" in outputs:
            classes = self.about["classes"]
            frame = pd.DataFrame(outputs["probability"], columns=[f"probability.{name}" for name in classes])
            prediction = np.array(classes, dtype=object)[outputs["probability"].argmax(1)]
            frame.insert(0, "prediction", pd.Series(prediction, dtype=object).infer_objects())
        else:
            frame = pd.DataFrame({"prediction": outputs["value"]})
        return frame.assign(spread=outputs["spread"]) if "spread" in outputs else frame


def load(folder: str | Path) -> Model:
    """An export's model, every file of it held against its hash.

    Raises:
        UserError: the folder is no export, of a newer format, not whole, or altered.
    """
    folder = Path(folder)
    about = manifest.read(folder)
    schema = preprocess.from_json(json.loads((folder / "preprocess.json").read_text(encoding="utf-8")))
    try:
        session = open_session((folder / "model.onnx").read_bytes())
    except Exception as error:  # onnxruntime's errors share no class
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        made = about["versions"]["onnxruntime"]
        raise UserError(
            f"{folder}: onnxruntime {onnxruntime.__version__} cannot run it (made with {made}): {reason}"
        ) from None
    return Model(about, schema, session)


def predict_file(
    folder: str | Path,
    input_path: str | Path,
    out_path: str | Path,
    warn: Callable[[str], None] = lambda message: None,
) -> int:
    """Predicts a file into a CSV, and returns the number of rows.

    A CSV or Parquet file is read in pieces, so a long one needs no more memory than a short one. A regular file is
    written whole or not at all; `-`, a pipe or a terminal gets the rows as they are predicted. After the last row
    `warn` gets a message for each way in which the inputs are unlike those of training.

    Raises:
        UserError: the export, the input or the place of the output is not as it must be.
        RunError: the reader of the output went away, or the disk is full.
    """
    out, source = Path(out_path), Path(input_path)
    check_output(out)
    if not is_stream(out):
        _refuse_place(out, Path(folder), source)
    model, rows = load(folder), 0
    statistics = model.statistics()

    def lines() -> Iterator[str]:
        nonlocal rows
        for frame in model.frames(source, statistics):
            yield frame.to_csv(header=rows == 0, index=False, lineterminator="\n")
            rows += len(frame)

    write_output(out, lines())
    for message in statistics.messages():
        warn(f"{input_path}: {message}")
    return rows


def _refuse_place(out: Path, folder: Path, source: Path) -> None:
    """
    Raises:
        UserError: a file there is the input or the export's, or its name is of another format.
    """
    if out.exists() and source.exists() and out.samefile(source):
        raise UserError(f"--out: {out}: must be a file of its own for the predictions, and is the input")
    if real_path(out, "--out").is_relative_to(real_path(folder, "EXPORT")):
        raise UserError(f"--out: {out}: lies in the export, whose files are its own; choose another place")
    if out.suffix.lower() in (".parquet", ".npz"):
        raise UserError(f"--out: {out}: predictions are written as CSV; choose a name that ends in .csv")
