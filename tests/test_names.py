"""Names that a study gets wrong: what the message says that was meant."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch import peers
from hpsearch.code import find
from hpsearch.errors import UserError
from hpsearch.knobs import KNOBS
from hpsearch.metrics import OURS
from hpsearch.names import suggestions
from hpsearch.study import parse_study
from hpsearch.validate import check_metric, check_names, check_net

PUBLIC = [name for name, knob in KNOBS.items() if not knob.internal]


def said(keys: dict[str, Any]) -> str:
    raw = {"name": "a", "data": {"source": "sklearn:digits"}, **keys}
    with pytest.raises(UserError) as caught:
        study = parse_study(raw, "s.yaml")
        check_net(study.net, "s.yaml")
        check_names(study, "s.yaml")
        check_metric(study, "s.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("learning_rate", "lr"), ("Learning-Rate", "lr"), ("learning_rat", "lr"), ("LR", "lr"),
        ("hidden_dim", "width"), ("hidden_size", "width"), ("num_layers", "depth"), ("n_layers", "depth"),
        ("batchsize", "batch_size"), ("batch", "batch_size"), ("wd", "weight_decay"), ("l2", "weight_decay"),
        ("n_epochs", "epochs"), ("max_epochs", "epochs"), ("dropout_rate", "dropout"), ("p_dropout", "dropout"),
        ("optim", "optimizer"), ("scheduler", "schedule"), ("label_smooth", "label_smoothing"),
        ("batch_norm", "norm: batch"), ("ema", "average: ema"), ("activation_fn", "activation"),
    ],
)  # fmt: skip
def test_other_tools_parameters_are_known(theirs: str, ours: str) -> None:
    text = said({"params": {theirs: 1}})
    assert text == f"s.yaml: params.{theirs}: is not a parameter; did you mean {ours}?"


def test_an_unlike_parameter_lists_the_usual_ones() -> None:
    text = said({"params": {"qqqqqq": 1}})
    assert "choose from epochs, batch_size, lr, width, depth" in text
    assert "docs/tricks.md has a card for each" in text
    assert len(text) < 300
    assert "it is for resnet" in said({"params": {"spatial_dropout": 0.1}})


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("acc", "accuracy"), ("auc", "auroc"), ("roc_auc", "auroc"), ("nll", "log_loss"), ("R2", "r2"),
        ("cross_entropy", "log_loss"), ("f1_score", "f1"), ("balanced_acc", "balanced_accuracy"),
        ("loss", "log_loss for classes, rmse for values"), ("mse", "rmse (it orders trials as mse does)"),
        ("Accuracy", "accuracy"), ("acuracy", "accuracy"), ("mcc", "a metric of your own, my_metrics:score"),
    ],
)  # fmt: skip
def test_other_tools_metrics_are_known(theirs: str, ours: str) -> None:
    for more in ({}, {"direction": "maximize"}):  # a direction does not lead away from the metric
        text = said({"search": {"metric": theirs, **more}})
        assert f"s.yaml: search.metric: {theirs!r} is not known; did you mean {ours}" in text
    text = said({"objective": "my:f", "data": {}, "search": {"metric": theirs}})
    if theirs == "mcc":  # it may well be the objective's own
        assert text == "s.yaml: search.direction: mcc needs it; choose from maximize, minimize"
    else:
        assert f"s.yaml: search.metric: {theirs!r} is none of ours; did you mean {ours}" in text
        assert "it needs search.direction; choose from maximize, minimize" in text
    check_metric(
        parse_study({"name": "a", "objective": "m:f", "search": {"metric": theirs, "direction": "maximize"}}, "s"),
        "s",
    )


@pytest.mark.parametrize(
    ("keys", "ours"),
    [
        ({"search": {"n_trials": 3}}, "search.n_trials: unknown key; did you mean trials?"),
        ({"search": {"max_trials": 3}}, "did you mean trials?"),
        ({"search": {"scoring": "f1"}}, "did you mean metric?"),
        ({"search": {"cv": 5}}, "did you mean folds?"),
        ({"search": {"seed": 5}}, "did you mean seed at the top of the study or data.split.seed?"),
        ({"data": {"path": "a.csv"}}, "did you mean source?"),
        ({"data": {"label": "y"}}, "did you mean target?"),
        ({"data": {"csv": "a.csv"}}, "did you mean source?"),
        (
            {"data": {"source": "a", "split": {"val": 0.1}}},
            "data.split.val: unknown key; did you mean validation?",
        ),
        ({"model": "mlp"}, "s.yaml: model: unknown key; did you mean net?"),
        ({"trainer": "a:b"}, "did you mean objective?"),
        ({"n_trials": 3}, "s.yaml: n_trials: unknown key; did you mean search.trials"),
        ({"metric": "f1"}, "did you mean search.metric?"),
        ({"epochs": 3}, "did you mean params.epochs?"),
        ({"learning_rate": 3}, "did you mean params.lr?"),
        ({"target": "y"}, "did you mean data.target?"),
        ({"resources": {"gpus": 1}}, "did you mean gpus_per_pack?"),
        ({"resources": {"n_jobs": 1}}, "did you mean workers?"),
        ({"storage": {"dir": "a"}}, "did you mean path?"),
        ({"squeeze": {"ensemble_size": 3}}, "did you mean ensemble?"),
        ({"params": {"lr": {"min": 1, "high": 2}}}, "params.lr.min: unknown key; did you mean low?"),
        ({"params": {"lr": {"values": [1, 2]}}}, "params.lr.values: unknown key; did you mean choices?"),
        ({"params": {"lr": {"low": 1, "high": 2, "log_scale": True}}}, "did you mean log?"),
    ],
)
def test_other_tools_keys_are_known(keys: dict[str, Any], ours: str) -> None:
    assert ours in said(keys)


@pytest.mark.parametrize(
    ("keys", "ours"),
    [
        (
            {"net": "MLP"},
            "net: 'MLP' is not known; did you mean mlp? Choose from mlp, resnet, or your own as module",
        ),
        ({"net": "resnet18"}, "did you mean resnet?"),
        ({"params": {"optimizer": "AdamW"}}, "got 'AdamW'; did you mean adamw?"),
        ({"params": {"optimizer": ["adam", "sgd_nesterov"]}}, "got 'sgd_nesterov'; did you mean nesterov?"),
        ({"params": {"schedule": "CosineAnnealingLR"}}, "did you mean cosine?"),
        ({"params": {"norm": "BatchNorm"}}, "did you mean batch?"),
        ({"params": {"activation": "ReLU"}}, "did you mean relu?"),
        ({"params": {"loss": "MSELoss"}}, "did you mean squared?"),
        ({"search": {"direction": "max"}}, "'max' is not known; did you mean maximize? Choose from maximize, min"),
        ({"data": {"source": "a.csv", "task": "multiclass"}}, "did you mean classification?"),
        ({"resources": {"device": "gpu"}}, "did you mean cuda?"),
        ({"params": {"depth": [1, 2], "lr": {"value": 1, "when": {"num_layers": 2}}}}, "did you mean depth?"),
    ],
)
def test_other_spellings_of_values_are_known(keys: dict[str, Any], ours: str) -> None:
    assert ours in said(keys)


def test_every_name_of_ours_in_the_tables_is_one() -> None:
    heads = {name.partition(" ")[0].rstrip(":,") for name in peers.PARAMETERS}
    assert heads <= set(PUBLIC)
    assert {name.partition(" ")[0].rstrip(":,") for name in peers.METRICS} - {"a"} <= set(OURS)
    fields = {"choices", "value", "low", "high", "log", "step", "when"}
    assert set(peers.KEYS["params."]) == fields
    for section, table in peers.KEYS.items():
        for key in table if section != "params." else ():
            raw: dict[str, Any] = {key: object()}
            for part in reversed(section.split(".")) if section else ():
                raw = {part: raw}
            assert f"{key}: unknown key" not in said(raw), (section, key)


@given(st.sampled_from(PUBLIC), st.integers(0, 99))
def test_one_letter_too_few_is_near_enough(name: str, at: int) -> None:
    if len(name) > 6:
        at %= len(name)
        misspelt = name[:at] + name[at + 1 :]
        assert suggestions(misspelt, PUBLIC, peers.PARAMETERS)


@given(st.sampled_from(PUBLIC))
def test_case_and_strokes_do_not_count(name: str) -> None:
    for spelt in (name.upper(), name.replace("_", "-"), name.replace("_", "")):
        assert suggestions(spelt, PUBLIC, peers.PARAMETERS)[0] == name


def test_a_column_in_another_case_is_found(tmp_path: Path) -> None:
    from hpsearch.data.load import load
    from hpsearch.study import Data

    (tmp_path / "a.csv").write_text("x,Species\n1,a\n")
    with pytest.raises(
        UserError, match=r"no column 'species' in a\.csv; did you mean Species\? Choose from Species, x"
    ):
        load(Data(source="a.csv", target="species"), tmp_path, "s.yaml")


def test_a_module_with_its_ending_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no module 'my_train\.py' in .*; write my_train:train, without \.py$"):
        find("my_train.py:train", tmp_path, "s.yaml: objective")
