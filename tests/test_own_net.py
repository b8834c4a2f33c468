"""A study with a net of the user's own, from launch to prediction."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import hpsearch
from hpsearch.errors import CheckError, RunError, UserError
from hpsearch.pack.train import Pack, Settings
from hpsearch.prepare import prepare
from hpsearch.prepared import Overrides
from hpsearch.trial import run_trial

NETS = """
import math
import torch
from torch import nn
from torch.nn import functional


def build(input_shape, outputs, width, dropout=0.0):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(math.prod(input_shape), width), nn.BatchNorm1d(width), nn.Tanh(),
        nn.Dropout(dropout), nn.Linear(width, outputs)
    )


class Functional(nn.Module):
    def __init__(self, outputs, width=16):
        super().__init__()
        self.body, self.head = nn.Linear(64, width), nn.Linear(width, outputs)

    def forward(self, x):
        return self.head(functional.dropout(self.body(x.flatten(1)).relu(), 0.2, self.training))


def wrong_shape(outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs + 1))


def no_net(outputs):
    return outputs


def nothing_to_train(outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs)).requires_grad_(False)


def anything(outputs, **given):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, given["width"]), nn.Linear(given["width"], outputs))


def embeds(outputs, embedding=4):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, embedding), nn.Linear(embedding, outputs))


def no_dropout(outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))
"""
STUDY = """
name: mine
data: {{source: "sklearn:digits"}}
net: {net}
search: {{trials: 8, block: 8, metric: accuracy}}
params: {params}
squeeze: {{student: {{trials: 2, longer: 1}}}}
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("sys.dont_write_bytecode", True)

    def write(net: str, params: str) -> Path:
        (tmp_path / "my_nets.py").write_text(NETS)
        (tmp_path / "mine.yaml").write_text(STUDY.format(net=net, params=params))
        return tmp_path / "mine.yaml"

    return write


@pytest.mark.usefixtures("ray_cluster")
def test_it_is_packed_ensembled_distilled_and_exported(write: Any, tmp_path: Path) -> None:
    params = "{epochs: 8, width: [32, 48], lr: {low: 1e-3, high: 1e-2, log: true},"
    params += " dropout: {low: 0, high: 0.5, column: true}}"
    folder = hpsearch.launch(write("my_nets:build", params), runs=tmp_path / "runs", skip_checks=True).folder
    legs = json.loads(folder.plan.read_text())["legs"]
    assert all("disagree" not in leg["why"] and "raised" not in leg["why"] for leg in legs)
    found = hpsearch.open_run(folder.root)
    assert found.trials["params.dropout"].nunique() == 8
    assert found.summary is not None
    assert found.summary["ensemble"]["test"]["accuracy"] > 0.9
    assert found.summary["student"]["parameters"] in (32 * 77 + 10, 48 * 77 + 10)
    test = prepare(tmp_path / "mine.yaml").dataset.test
    raw = np.load(digits(tmp_path))["x"][test.index]
    predicted = hpsearch.load(folder.export).predict(raw)
    right = (predicted["prediction"].astype(int) == test.y).mean()
    assert right == pytest.approx(found.summary["ensemble"]["test"]["accuracy"])


def digits(folder: Path) -> Path:
    from sklearn.datasets import load_digits

    np.savez(folder / "digits.npz", x=load_digits().data.astype(np.float32))
    return folder / "digits.npz"


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_one_that_is_looped_is_told(write: Any, tmp_path: Path) -> None:
    heard: list[str] = []

    class Hears:
        note = stage = staticmethod(heard.append)

        def progress(self, view: Any) -> None: ...

    from hpsearch.pipeline import launch

    study = write("my_nets:Functional", "{epochs: 1, lr: [0.001, 0.01]}")
    launch(study, tmp_path / "runs", reporter=Hears(), skip_checks=True)
    assert any("trials are looped: the net draws random numbers itself" in text for text in heard)


def test_one_trial_of_it_in_this_process(write: Any) -> None:
    from hpsearch.search.progress import Quiet

    record = run_trial(write("my_nets:build", "{epochs: 3, width: 32, lr: 0.01}"), 0, Quiet())
    assert record.best["accuracy"] > 0.8


def test_a_factory_that_takes_anything_gets_what_training_does_not_take(write: Any) -> None:
    prepared = prepare(write("my_nets:anything", "{lr: 0.01, width: [64, 128]}"), Overrides(trials=80))
    assert prepared.net.takes == ("width",)
    assert {prepared.params(number)["width"] for number in range(0, 80, 8)} == {64, 128}


def test_its_parameters_may_have_names_of_ours(write: Any) -> None:
    assert prepare(write("my_nets:embeds", "{lr: 0.01, embedding: [4, 8]}")).net.takes == ("embedding",)


def test_a_ready_made_space_has_no_parameters_of_our_nets_for_it(write: Any) -> None:
    path = write("my_nets:build", "{width: [32, 64]}")
    path.write_text(path.read_text().replace("search: {", "search: {space: recipe, "))
    space = prepare(path).space
    assert {"lr", "optimizer", "label_smoothing", "width"} <= set(space.listed())
    assert not {"norm", "depth", "skip", "head", "dropout"} & set(space.listed())


@pytest.mark.parametrize(
    ("net", "params", "said"),
    [
        (
            "my_nets:wrong_shape",
            "{lr: 1}",
            "for 4 examples of shape [1, 8, 8] its output must be [4, 10], got [4, 11]",
        ),
        ("my_nets:no_net", "{lr: 1}", "failed: TypeError: my_nets:no_net gave int, not an nn.Module"),
        ("my_nets:nothing_to_train", "{lr: 1}", "has no parameter to train"),
        ("my_nets:build", "{width: many}", "failed with width many: TypeError: "),
        ("my_nets:no_dropout", "{dropout: 0.1}", "params.dropout: nobody takes it"),
        ("my_nets:absent", "{lr: 1}", "has no function 'absent'; choose from Functional, anything, build"),
        ("nowhere:build", "{lr: 1}", "there is no module 'nowhere'"),
        ("os:system", "{command: id}", "no installed package has it"),
    ],
)
def test_one_that_does_not_fit_is_refused(net: str, params: str, said: str, write: Any) -> None:
    path = write(net, params)
    with pytest.raises(UserError) as caught:
        prepare(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


UNSOUND = """
import sys

import torch
from torch import nn


class Listed(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.layers, self.head = [nn.Linear(64, 16)], nn.Linear(16, outputs)

    def forward(self, x):
        return self.head(self.layers[0](x.flatten(1)).relu())


class Subtracts(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.head = nn.Linear(64, outputs)

    def forward(self, x):
        return self.head(x.sub_(0.5).flatten(1))


NET = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def one_for_all():
    return NET


def leaves():
    sys.exit(0)


class LeavesForward(Subtracts):
    def forward(self, x):
        raise SystemExit(3)
"""


@pytest.fixture
def unsound(tmp_path: Path, write: Any) -> Any:
    def unsound(net: str, params: str = "{epochs: 3, lr: 0.01}") -> Path:
        (tmp_path / "unsound.py").write_text(UNSOUND)
        return write(f"unsound:{net}", params)

    return unsound


def test_a_trial_whose_net_cannot_be_rebuilt_fails(unsound: Any) -> None:
    from hpsearch.search.progress import Quiet

    record = run_trial(unsound("Listed"), 0, Quiet())
    assert record.failure is not None
    assert "Tensors outside: layers[0].weight, layers[0].bias. Register what a net learns" in record.failure


def test_a_net_that_writes_into_its_input_scores_what_it_predicts(unsound: Any) -> None:
    notes: list[str] = []
    prepared = prepare(unsound("Subtracts"), tell=notes.append)
    assert "net: unsound:Subtracts changes its input in place; it gets a copy of each batch" in notes
    before = prepared.arrays.validation.x.copy()
    pack = Pack.start(Settings(0, prepared.net.factory(), "loop"), prepared.arrays, [0], [prepared.params(0)])
    pack.train()
    assert np.array_equal(prepared.arrays.validation.x, before)
    weight, bias = pack.done[0].tensors["best.theta"].split([640, 10])
    logits = (torch.from_numpy(before).flatten(1) - 0.5) @ weight.view(10, 64).T + bias
    accuracy = (logits.argmax(1).numpy() == prepared.arrays.validation.y).mean()
    assert pack.done[0].record.best["accuracy"] == pytest.approx(accuracy)


@pytest.mark.parametrize(
    ("net", "said"),
    [
        ("one_for_all", "two calls returned nets that share 1.weight. Build new layers in each call"),
        ("leaves", "failed: unsound:leaves called sys.exit(0) (line 34 of unsound.py)"),
        ("LeavesForward", "failed: SystemExit: 3 (line 39 of unsound.py)"),
    ],
)
def test_nets_that_reach_beyond_themselves_are_refused(net: str, said: str, unsound: Any) -> None:
    with pytest.raises(UserError) as caught:
        prepare(unsound(net))
    assert said in str(caught.value)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_a_launch_stops_before_a_net_that_cannot_be_rebuilt(unsound: Any, tmp_path: Path) -> None:
    study = unsound("Listed", "{epochs: 3, lr: {low: 1e-3, high: 1e-2}}")
    with pytest.raises(CheckError, match=r"R2\.state"):
        hpsearch.launch(study, runs=tmp_path / "runs")
    with pytest.raises(RunError, match="all 8 trials that ended have failed; the first: a net rebuilt from"):
        hpsearch.launch(study, runs=tmp_path / "runs", skip_checks=True)
