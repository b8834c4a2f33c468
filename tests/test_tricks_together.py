"""Many tricks in one study, from launch to the export's predictions."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

import hpsearch
from hpsearch.prepare import prepare

TABLE = """
name: table
data: {source: table.csv, target: y, weight: w}
search: {trials: 12, block: 3, metric: balanced_accuracy}
params:
  epochs: 6
  batch_size: 32
  width: 16
  lr: {low: 1e-3, high: 1e-2, log: true}
  norm: [none, group]
  features: [0.6, 1]
  scaling: [standard, quantile]
  embedding: [0, 2]
  pieces: [0, 5]
  periodic: [0, 3]
  periodic_scale: {low: 0.1, high: 1, log: true}
  loss: [cross_entropy, focal, binary]
  focal_gamma: {low: 0.5, high: 3}
  label_smoothing: {low: 0, high: 0.1}
  class_weights: {low: 0, high: 1}
  flood: [off, 0.05]
  noise: {low: 0, high: 0.1}
  swap_noise: {low: 0, high: 0.2}
  mixup: [off, 0.2]
  schedule: [constant, cosine, one_cycle, step, cyclic]
  cycles: 2
  average: [none, ema, swa]
  average_span: 0.5
  patience: [off, 3]
squeeze: {ensemble: 6, student: {trials: 2, longer: 1}}
"""
IMAGES = """
name: images
data: {source: "sklearn:digits"}
net: resnet
search: {trials: 4, block: 2, metric: accuracy}
params:
  epochs: 3
  width: 4
  batch_size: 64
  lr: 0.01
  norm: [batch, group]
  head: [pooled, dense]
  image_size: [off, 6]
  skip: [true, false]
  dropout: 0.1
  spatial_dropout: [off, 0.1]
  shift: 0.1
  rotation: {low: 0, high: 15}
  erasing: [off, 0.3]
  contrast: 0.2
  cutmix: [off, 1]
squeeze: {student: null}
"""


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 400
    frame = pd.DataFrame({f"x{i}": rng.normal(size=n) ** (3 if i == 0 else 1) for i in range(4)})
    frame["colour"] = rng.choice(["red", "green", "blue", "grey", "pink"], n)
    frame.loc[::17, "colour"] = None
    frame.loc[::13, "x1"] = None
    score = frame["x0"].clip(-2, 2) + (frame["colour"] == "red") + frame["x1"].fillna(0)
    frame["w"] = rng.uniform(0.5, 1.5, n)
    frame["y"] = np.where(score > 0.8, "high", "low")
    return frame


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize(("name", "study"), [("table", TABLE), ("images", IMAGES)])
def test_the_export_predicts_what_the_ensemble_did(name: str, study: str, tmp_path: Path) -> None:
    table().to_csv(tmp_path / "table.csv", index=False)
    (tmp_path / f"{name}.yaml").write_text(study)
    run = hpsearch.launch(tmp_path / f"{name}.yaml", runs=tmp_path / "runs", skip_checks=True)
    assert run.summary is not None
    assert set(run.trials["state"]) == {"complete"}
    dataset, metric = prepare(tmp_path / f"{name}.yaml").dataset, run.summary["metric"]
    if name == "table":
        given = table().iloc[dataset.test.index]
    else:
        given = load_digits().images[dataset.test.index].astype(np.float32)
    predicted = hpsearch.load(run.export).predict(given)
    logp = np.log(np.stack([predicted[f"probability.{name}"] for name in dataset.target.classes], 1))
    loss = -logp[np.arange(len(logp)), dataset.test.y].mean()
    assert loss == pytest.approx(run.summary["ensemble"]["test"]["log_loss"], abs=1e-5)
    assert run.summary["ensemble"]["test"][metric] > (0.6 if name == "table" else 0.25)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_a_launch_starts_from_an_exports_weights(tmp_path: Path) -> None:
    digits = load_digits()
    few = digits.target < 5  # learnt first; then ten classes from a few rows
    np.savez(tmp_path / "few.npz", x=digits.images[few].astype(np.float32), y=digits.target[few])
    np.savez(tmp_path / "all.npz", x=digits.images[:300].astype(np.float32), y=digits.target[:300])
    first = "name: first\ndata: {source: few.npz}\nnet: resnet\nsearch: {trials: 2, block: 2, metric: accuracy}\n"
    first += "params: {epochs: 6, width: 8, lr: [0.003, 0.01], skip: [true, false]}\nsqueeze: {student: off}\n"
    (tmp_path / "first.yaml").write_text(first)
    taught = hpsearch.launch(tmp_path / "first.yaml", runs=tmp_path / "runs", skip_checks=True)
    scores = {}
    for name, more in (("cold", ""), ("warm", f"init_from: {taught.export / 'model.safetensors'}\n")):
        text = first.replace("first", name).replace("few.npz", "all.npz").replace("epochs: 6", "epochs: 3") + more
        frozen = text.replace("params: {", "params: {frozen_epochs: [off, 1], ") if more else text
        (tmp_path / f"{name}.yaml").write_text(frozen)
        run = hpsearch.launch(tmp_path / f"{name}.yaml", runs=tmp_path / "runs", skip_checks=True)
        assert set(run.trials["state"]) == {"complete"}
        assert run.summary is not None
        scores[name] = run.summary["ensemble"]["validation"]["log_loss"]
    assert scores["warm"] < scores["cold"]
