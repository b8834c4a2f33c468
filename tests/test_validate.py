"""A study's names and ranges, held against the tables: what is refused, and what the space then holds."""

from typing import Any

import pytest

from hpsearch.errors import UserError
from hpsearch.knobs import KNOBS, of_net
from hpsearch.metrics import METRICS, PROPER
from hpsearch.space import Space, draw
from hpsearch.study import Study, parse_study
from hpsearch.validate import check_names, check_net, check_task, remarks


def study(params: dict[str, Any], **more: Any) -> Study:
    return parse_study({"name": "a", "data": {"source": "sklearn:digits"}, "params": params, **more}, "s.yaml")


def space(params: dict[str, Any]) -> Space:
    return check_names(study(params), "s.yaml")


RANGE = {"low": 0, "high": 0.5}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"lrr": 1}, "params.lrr: is not a parameter; did you mean lr?"),
        ({"distill": 0.5}, "params.distill: is not a parameter"),
        ({"lr": {"low": 0.1, "high": 0.01}}, "params.lr: low must be below high, got low 0.1, high 0.01"),
        ({"lr": {"low": 0.1, "high": 0.1}}, "params.lr: low must be below high"),
        ({"weight_decay": {"low": 0, "high": 1, "log": True}}, "weight_decay: a log range must begin above 0"),
        ({"lr": 0}, "params.lr: must be above 0"),
        ({"lr": "fast"}, "params.lr: must be a number, got 'fast'"),
        ({"lr": True}, "params.lr: must be a number, got True"),
        ({"lr": None}, "params.lr: must be a number, got None"),
        ({"lr": "off"}, "params.lr: must be a number, got 'off'"),
        ({"epochs": 1.5}, "params.epochs: must be a whole number, got 1.5"),
        ({"epochs": 0}, "params.epochs: must be at least 1"),
        ({"dropout": [0.1, 1]}, "params.dropout: must be at least 0 and below 1, got 1"),
        ({"dropout": [0, "off"]}, "params.dropout: the choice 0.0 stands twice"),
        ({"batch_size": [32, 64, 32]}, "params.batch_size: the choice 32 stands twice"),
        ({"optimizer": ["lion"]}, "params.optimizer: must be one of adam, adamw, nesterov, sgd, got 'lion'"),
        ({"optimizer": RANGE}, "params.optimizer: takes a list of choices, not a range; choose from adam"),
        ({"skip": "yes"}, "params.skip: must be true or false, got 'yes'"),
        ({"dropout": {**RANGE, "step": 0}}, "params.dropout: step must be positive"),
        ({"dropout": {**RANGE, "step": 0.2}}, "params.dropout: high must lie a whole number of steps above low"),
        ({"epochs": {"low": 1, "high": 3, "step": 0.5}}, "params.epochs: step must be a whole number"),
        ({"epochs": {"low": 1, "high": 3, "step": 1, "log": True}}, "params.epochs: step must be positive"),
        ({"lr": {"value": 1, "when": {"depth": 2}}}, "params.lr.when.depth: the study has no parameter 'depth'"),
        ({"depth": [1, 2], "lr": {"value": 1, "when": {"depth": 3}}}, "lr.when.depth: depth is never 3; choose"),
        (
            {"skip": {"value": True, "when": {"norm": "none"}}, "norm": {"value": "none", "when": {"skip": True}}},
            "params: the conditions of skip, norm go round in a circle",
        ),
        ({"lr": {"value": 1, "when": {"lr": 1}}}, "params: the conditions of lr go round in a circle"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_refused_with_its_place(params: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        space(params)
    assert said in str(caught.value)
    assert str(caught.value).startswith("s.yaml: ")


@pytest.mark.parametrize(
    "when",
    [
        {"depth": []},  # never
        {"depth": True},  # 1 is no boolean
        {"dropout": "soon"},
        {"dropout": 0.9},  # outside the range
        {"dropout": 0.25},  # one of endlessly many
        {"batch_size": 24},  # between two steps
        {"dropout": [[0.1]]},
    ],
)
def test_a_condition_that_can_never_hold_is_refused(when: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"s\.yaml: params\.lr\.when\."):
        batch = {"low": 16, "high": 64, "step": 16}
        space({"depth": [1, 2], "dropout": RANGE, "batch_size": batch, "lr": {"value": 1, "when": when}})


def test_a_condition_may_say_off() -> None:
    lr = {"value": 1, "when": {"dropout": "off"}}
    drawn = [draw(space({"dropout": ["off", 0.5], "lr": lr}), number) for number in range(16)]
    assert {("lr" in params, params["dropout"]) for params in drawn} == {(True, 0.0), (False, 0.5)}


STRUCTURE = {"choices": [16, 32], "when": {"momentum": 0.9}}


@pytest.mark.parametrize(
    "momentum",
    [{"choices": [0.5, 0.9]}, {"value": 0.9, "when": {"optimizer": "sgd"}}],
    ids=["directly", "through a fixed value"],
)
def test_structure_cannot_depend_on_what_is_drawn_for_every_trial(momentum: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"params\.width\.when\.momentum: width is drawn once a block"):
        space({"optimizer": ["adam", "sgd"], "momentum": momentum, "width": STRUCTURE})


def test_structure_may_depend_on_structure() -> None:
    params = {"depth": [1, 2], "width": {"choices": [16, 32], "when": {"depth": 2}}}
    drawn = [draw(space(params), number) for number in range(64)]
    assert all(("width" in params) == (params["depth"] == 2) for params in drawn)


def test_what_a_study_does_not_name_has_its_default() -> None:
    params = draw(space({"lr": 1, "dropout": "off"}), 0)
    assert params == {name: knob.default for name, knob in of_net("mlp").items()} | {"lr": 1.0, "dropout": 0.0}
    assert space({"lr": 1}).listed() == ["lr"]


def test_what_a_condition_leaves_out_is_trained_with_its_default() -> None:
    given = space({"optimizer": ["adam"], "lr": {"value": 1, "when": {"optimizer": "adam"}}})
    params = draw(given, 0)
    del params["lr"]
    assert given.complete(params)["lr"] == KNOBS["lr"].default


def test_a_net_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"net: 'mpl' is not known; did you mean mlp\? Choose from mlp, resnet, or your own"
    ):
        check_net("mpl", "s.yaml")


def test_a_net_of_images_is_for_images() -> None:
    with pytest.raises(UserError, match=r"s\.yaml: net: resnet is for images, and these data are tables"):
        check_task(study({}, net="resnet"), "classification", "s.yaml", "tables")


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_fits_one_task(name: str) -> None:
    given = study({}, search={"metric": name})
    for task in PROPER:
        if METRICS[name].task == task:
            assert check_task(given, task, "s.yaml") == name
        else:
            with pytest.raises(UserError, match=rf"s\.yaml: search\.metric: '{name}' is for {METRICS[name].task}"):
                check_task(given, task, "s.yaml")


def test_a_study_without_a_metric_has_its_tasks_proper_one() -> None:
    assert [check_task(study({}), task, "s.yaml") for task in ("classification", "regression")] == [
        "log_loss",
        "rmse",
    ]


def test_a_parameter_exists_only_where_it_acts() -> None:
    given = {"loss": ["cross_entropy", "focal"], "focal_gamma": {"low": 0.5, "high": 5}}
    drawn = [draw(space(given), number) for number in range(32)]
    found = {("focal_gamma" in params, params["loss"]) for params in drawn}
    assert found == {(True, "focal"), (False, "cross_entropy")}
    always = draw(space({"loss": "focal", "focal_gamma": {"low": 0.5, "high": 5}}), 0)
    assert 0.5 <= always["focal_gamma"] <= 5


@pytest.mark.parametrize(
    ("params", "what"),
    [
        ({"focal_gamma": 2}, "params.focal_gamma: acts with loss: focal alone"),
        (
            {"focal_gamma": 2, "loss": ["binary", "cross_entropy"]},
            "params.focal_gamma: acts with loss: focal alone",
        ),
        ({"momentum": 0.5}, "params.momentum: acts with optimizer: sgd or nesterov alone"),
        (
            {"lr_min": 0.5, "schedule": "constant"},
            "params.lr_min: acts with schedule: cosine, one_cycle, step or cyclic alone, which no trial has",
        ),
        (
            {"optimizer": ["adam", "sgd"], "momentum": {"value": 0.5, "when": {"optimizer": "adam"}}},
            "params.momentum.when.optimizer: momentum acts with optimizer: sgd or nesterov alone, not adam",
        ),
        (
            {"schedule": "cosine", "lr": {"low": 1e-4, "high": 1e-2}, "lr_min": 0.1},
            "params.lr_min: is where the rate ends that begins at lr; must be at most 0.01, got 0.1",
        ),
    ],
)
def test_a_parameter_that_can_never_act_is_refused(params: dict[str, Any], what: str) -> None:
    with pytest.raises(UserError) as caught:
        space(params)
    assert what in str(caught.value)


@pytest.mark.parametrize("loss", ["huber", ["cross_entropy", "squared"]])
def test_a_loss_fits_one_task(loss: Any) -> None:
    with pytest.raises(UserError, match=r"params\.loss: '(huber|squared)' is not for classification; choose"):
        check_task(study({"loss": loss}), "classification", "s.yaml")


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("flip", "tables", "params.flip: is for images, and these data are tables; leave it out"),
        ("scaling", "volumes", "params.scaling: is for tables and arrays, and these data are volumes"),
        ("flip", "arrays", "params.flip: is for images, and these data are arrays; leave it out"),
        ("swap_noise", "images", "params.swap_noise: is for tables, and these data are images; leave it out"),
    ],
)
def test_a_trick_that_cannot_apply_to_the_data_is_refused(name: str, kind: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        check_task(study({name: 0.1}), "classification", "s.yaml", kind)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"norm": ["none", "batch"], "dropout": {"low": 0, "high": 0.5}}, True),
        ({"norm": "batch", "dropout": [0.0, 0.1]}, True),
        ({"norm": "batch"}, False),
        ({"norm": ["layer", "group"], "dropout": 0.5}, False),
    ],
)
def test_batch_norm_beside_dropout_is_told(params: dict[str, Any], told: bool) -> None:
    assert bool(remarks(space(params), params)) == told
    assert not remarks(space(params), ())


@pytest.mark.parametrize("entry", [4, [0, 4, 8], {"low": 3, "high": 9}])
def test_an_embedding_without_a_category_wide_enough_is_refused(entry: Any) -> None:
    for widest, told in ((0, "there is none"), (3, "the widest has 3")):
        with pytest.raises(UserError, match=f"params.embedding: acts on categories .*, and {told}; leave it out"):
            check_task(study({"embedding": entry}), "classification", "s.yaml", "tables", widest)
    check_task(study({"embedding": entry}), "classification", "s.yaml", "tables", 5)
    check_task(study({"embedding": 0}), "classification", "s.yaml", "tables", 0)


@pytest.mark.parametrize("name", ["scaling", "pieces", "periodic", "noise"])
def test_what_acts_on_numbers_is_refused_where_there_are_none(name: str) -> None:
    entry = "quantile" if name == "scaling" else 1
    with pytest.raises(UserError, match=f"params.{name}: acts on numbers, and these data have none; leave it out"):
        check_task(study({name: entry}), "classification", "s.yaml", "tables", 5, numbers=False)
    check_task(study({name: entry}), "classification", "s.yaml", "tables", 5)
