"""A study launched on a table in words: its summary, predict and onnxruntime score the raw test rows alike."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import yaml
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from test_written_columns import FORMATS, card_outputs, in_words, numbers

from hpsearch.data.load import load
from hpsearch.export import predict
from hpsearch.pipeline import launch
from hpsearch.study import Data


@pytest.mark.slow
def test_a_launched_study_scores_raw_rows_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = in_words(numbers())
    table.to_csv(tmp_path / "a.csv", index=False)
    data = {"source": "a.csv", "target": "y", "formats": FORMATS}
    study = {
        "name": "words",
        "data": data,
        "search": {"trials": 2, "block": 2, "metric": "log_loss"},
        "params": {"epochs": 3, "width": 8, "batch_size": 32},
        "squeeze": {"ensemble": 2, "student": "off"},
        "resources": {"workers": 1},
    }
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(study))
    folder = launch(tmp_path / "s.yaml", tmp_path / "runs", skip_checks=True).root
    summary = json.loads((folder / "summary.json").read_text())
    rows = load(Data.model_validate(data), tmp_path, "s.yaml").test.index
    text = table.iloc[rows]
    text.to_csv(tmp_path / "new.csv", index=False)
    frame = predict.load(folder / "export").predict(tmp_path / "new.csv")
    by_card = card_outputs(folder, text, monkeypatch)["probability"]
    assert onnxruntime.InferenceSession(folder / "export" / "model.onnx").get_outputs()[0].name == "probability"
    for found in (frame[["probability.no", "probability.yes"]].to_numpy(), by_card):
        wanted = scores(text["y"], found)
        assert summary["ensemble"]["test"]
        for name, value in summary["ensemble"]["test"].items():
            assert value == pytest.approx(wanted[name], abs=1e-6)


def scores(y: "pd.Series[str]", probability: np.ndarray) -> dict[str, float]:
    """scikit-learn's metrics of the probabilities of no and yes."""
    probability = probability.astype(float)
    return {
        "log_loss": float(log_loss(y, probability / probability.sum(1, keepdims=True), labels=["no", "yes"])),
        "auroc": float(roc_auc_score(y, probability[:, 1])),
        "accuracy": float(accuracy_score(y, np.array(["no", "yes"])[probability.argmax(1)])),
    }
