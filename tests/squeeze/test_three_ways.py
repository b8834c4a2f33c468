"""Whole launches predict the same from the run's nets, from the export's safetensors, and from its ONNX graph."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file
from torch import nn

import hpsearch
from hpsearch import pipeline
from hpsearch.folder import Folder
from hpsearch.prepare import prepare
from hpsearch.squeeze.kept import kept
from hpsearch.squeeze.team import Team

ROWS = 240
PARTS = np.array(["train", "validation", "test"])[np.repeat([0, 1, 2], [150, 50, 40])]


def table(folder: Path, target: np.ndarray) -> pd.DataFrame:
    """Numbers and categories with missing values; a category and an emptiness that training has not seen."""
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(rng.normal(size=(ROWS, 3)), columns=["a", "b", "c"])
    frame["kind"] = rng.choice(["x", "y", "z"], size=ROWS)
    frame.loc[rng.random(ROWS) < 0.2, ["a", "kind"]] = None
    frame.loc[ROWS - 10 :, "kind"] = "never seen"
    frame.loc[ROWS - 5 :, "c"] = None
    frame["y"], frame["part"] = target, PARTS
    frame.to_csv(folder / "data.csv", index=False)
    return frame


def of_table(make: Callable[[np.random.Generator], np.ndarray], folder: Path) -> tuple[str, pd.DataFrame]:
    frame = table(folder, make(np.random.default_rng(5)))
    data = "data: {source: data.csv, target: y, split: {column: part}}\n"
    return f"{data}params: {{width: 8, epochs: 2, batch_size: 32}}\n", frame


def of_arrays(
    shape: tuple[int, ...], make: Callable[[np.random.Generator], np.ndarray], folder: Path
) -> tuple[str, np.ndarray]:
    rng = np.random.default_rng(6)
    whole = len(shape) == 3  # pictures are bytes
    x = rng.integers(256, size=(ROWS, *shape)).astype(np.uint8) if whole else rng.normal(size=(ROWS, *shape))
    np.savez(folder / "data.npz", x=x, y=make(rng))
    net = "net: resnet\n" if whole else ""
    return f"data: {{source: data.npz}}\n{net}params: {{width: 4, epochs: 2, batch_size: 32}}\n", x


def classes(names: list[str]) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.choice(names, size=ROWS)


def values(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(1000, 50, size=ROWS)


CASES = {
    "a table of two classes": lambda folder: of_table(classes(["no", "yes"]), folder),
    "a table of three classes": lambda folder: of_table(classes(["p", "q", "r"]), folder),
    "a table of values": lambda folder: of_table(values, folder),
    "arrays of classes": lambda folder: of_arrays((5,), classes(["p", "q", "r"]), folder),
    "arrays of values": lambda folder: of_arrays((5,), values, folder),
    "pictures": lambda folder: of_arrays((3, 8, 8), classes(["p", "q"]), folder),
}

QUICK = "a table of three classes"


def blank(net: nn.Module) -> nn.Module:
    """The same net with none of its numbers."""
    found = copy.deepcopy(net)
    for tensor in found.state_dict().values():
        tensor.zero_()
    return found


def from_weights(folder: Path, team: Team) -> list[nn.Module]:
    """The team's nets with what the export's safetensors hold, and with nothing else."""
    stored, nets = load_file(folder / "model.safetensors"), [blank(net) for net in team.nets]
    for place, net in enumerate(nets):
        prefix = f"member.{place}."
        net.load_state_dict({n.removeprefix(prefix): t for n, t in stored.items() if n.startswith(prefix)})
    return nets


@pytest.mark.parametrize(
    "case", [case if case == QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_run_safetensors_and_onnx_predict_the_same(case: str, ray_cluster: None, tmp_path: Path) -> None:
    study, raw = CASES[case](tmp_path)
    path = tmp_path / "study.yaml"
    path.write_text(f"name: ways\nsearch: {{trials: 3, block: 3}}\nsqueeze: {{ensemble: 2}}\n{study}")
    folder: Folder = pipeline.launch(path, tmp_path / "runs", skip_checks=True)
    prepared = prepare(folder.study, home=Path(json.loads(folder.origin.read_text())["base"]))
    for gone in ("rows", "student", "prolonged"):  # what a later launch may empty: exports do not need it
        shutil.rmtree(folder.root / gone, ignore_errors=True)
    for what in ("ensemble", "student", "best"):
        pipeline.export_run(folder.root, tmp_path / what, what)
        model = hpsearch.load(tmp_path / what)
        team, _ = kept(folder, prepared, what)
        x = model.schema.transform(raw, "raw")
        run = team.predict(x, prepared)
        again = Team(from_weights(tmp_path / what, team), team.weights, team.temperature, None)
        np.testing.assert_allclose(again.predict(x, prepared), run, atol=1e-6)
        frame = model.predict(raw)
        if prepared.arrays.target.task == "regression":
            scale = prepared.arrays.target.std
            np.testing.assert_allclose(frame["prediction"] / scale, run / scale, atol=1e-4)
        else:
            names = [f"probability.{name}" for name in model.about["classes"]]
            np.testing.assert_allclose(frame[names], np.exp(run), atol=1e-4)
