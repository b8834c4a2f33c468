"""A factory of the user's own is called with what its signature names."""

from typing import Any

import pytest
import torch
from torch import nn

from hpsearch.errors import UserError
from hpsearch.nets import own
from hpsearch.nets.build import build
from hpsearch.nets.layers import Dropout
from hpsearch.nets.shape import Shape
from hpsearch.space import draw
from hpsearch.study import parse_study
from hpsearch.validate import check_names

SHAPE = Shape((6,), 3)


def net(input_shape, outputs, width, activation="tanh", dropout=0.3):
    return nn.Sequential(
        nn.Linear(*input_shape, width), {"tanh": nn.Tanh, "elu": nn.ELU}[activation](), nn.Dropout(dropout),
        nn.Linear(width, outputs),
    )  # fmt: skip


def anything(outputs, in_chans, **others):
    return nn.Linear(in_chans, outputs + others["extra"])


def space(function: Any, params: dict[str, Any], **changes: Any) -> Any:
    study = {"name": "s", "data": {"source": "sklearn:iris"}, "net": "m:f", "params": params, **changes}
    return check_names(parse_study(study, "s.yaml"), "s.yaml", own.takes(function, "s.yaml: net"))


def made(function: Any, params: dict[str, Any], names: list[str]) -> nn.Module:
    return build(own.factory(function, "m:f", names), space(function, params).complete(params), SHAPE, 0)


def test_a_factory_gets_what_its_signature_names() -> None:
    built = made(net, {"width": 5, "activation": "elu"}, ["width", "activation"])
    assert isinstance(built[1], nn.ELU)
    assert built(torch.ones(2, 6)).shape == (2, 3)
    assert float(built[2].p) == pytest.approx(0.3)


def test_what_is_offered_goes_to_who_names_it() -> None:
    assert made(anything, {"extra": 2}, ["extra"]).weight.shape == (5, 6)


def test_a_dropout_that_it_takes_is_its_own_and_one_that_it_does_not_take_is_every_layers() -> None:
    def fixed(outputs):
        return nn.Sequential(nn.Dropout(0.1), nn.Linear(6, outputs), nn.Dropout(0.2))

    taken = made(net, {"width": 5, "dropout": 0.5}, ["width", "dropout"])
    assert float(taken[2].p) == 0.5
    assert [float(m.p) for m in made(fixed, {"dropout": 0.5}, []) if isinstance(m, Dropout)] == [0.5, 0.5]
    kept = [float(m.p) for m in made(fixed, {"lr": 1}, []) if isinstance(m, Dropout)]
    assert kept == pytest.approx([0.1, 0.2])


def own_among(names: Any) -> set[str]:
    return set(names) & {"width", "dropout", "activation"}


def test_its_parameters_are_structural_unless_they_are_declared_columns() -> None:
    given = space(net, {"width": [4, 8], "dropout": {"low": 0, "high": 0.5, "column": True}, "lr": [1, 2]})
    assert own_among(given.structural()) == {"width"}
    assert own_among(space(net, {"width": 4, "dropout": [0.1, 0.2]}).structural()) == {"width", "dropout"}


def test_the_kind_of_its_parameters_is_that_of_their_values() -> None:
    given = space(net, {"width": {"low": 2, "high": 9}, "activation": ["tanh", "elu"]})
    assert {type(draw(given, n)["width"]) for n in range(8)} == {int}
    assert type(draw(space(net, {"width": {"low": 2, "high": 9.0}}), 0)["width"]) is float
    mixed = space(net, {"width": [2, "many", None, False]})
    assert {draw(mixed, n)["width"] for n in range(32)} == {2, "many", None, False}


def test_a_condition_leaves_its_default() -> None:
    params = {"width": [4, 8], "activation": {"value": "elu", "when": {"width": 4}}}
    given = space(net, params)
    seen = {(d["width"], given.complete(d)["activation"]) for d in (draw(given, n) for n in range(32))}
    assert seen == {(4, "elu"), (8, "tanh")}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "net: m:f needs the parameter width; name it in params, or give it a default"),
        ({"width": 4, "heads": 2}, "params.heads: is not a parameter; choose from"),
        ({"width": 4, "widht": 2}, "params.widht: is not a parameter; did you mean width?"),
        ({"width": 4, "depth": 2}, "params.depth: the net m:f does not take it; choose from"),
        ({"width": 4, "lr": {"value": 1, "column": True}}, "params.lr.column: is for parameters that a net"),
        ({"width": {"value": 4, "when": {"norm": "none"}}}, "params.width.when.norm: the study has no parameter"),
        ({"lr": [1, 2], "width": 4, "dropout": {"value": 0, "when": {"lr": 1}}}, "dropout is drawn once a block"),
        ({"batch_size": [1, 2], "width": {"value": 4, "when": {"batch_size": 1}}}, "needs width in every trial"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        space(net, params)
    assert said in str(caught.value)


def test_a_parameter_that_training_has_too_is_refused() -> None:
    def scaled(outputs, scale=1.0):
        return nn.Linear(6, outputs)

    with pytest.raises(
        UserError, match="scale: is a parameter of training, and m:f takes one of that name; rename"
    ):
        space(scaled, {"scale": 0.5})
    space(scaled, {"lr": 0.5})


def test_a_factory_that_takes_by_position_is_refused() -> None:
    with pytest.raises(UserError, match=r"s\.yaml: net: takes 'width' by position alone"):
        own.takes(lambda width, /: nn.Linear(1, width), "s.yaml: net")


def test_timms_factory_is_told_the_classes_and_channels_that_its_signature_does_not_name() -> None:
    def create_model(model_name, pretrained=False, **kwargs):  # as timm's begins
        return nn.Sequential(nn.Flatten(), nn.Linear(kwargs["in_chans"], kwargs["num_classes"]))

    takes = own.takes(create_model, "net")
    assert (takes.required, dict(takes.optional), takes.anything) == (("model_name",), {"pretrained": False}, True)
    built = build(own.factory(create_model, "timm:create_model", ["model_name"]), {"model_name": "x"}, SHAPE, 0)
    assert built[1].weight.shape == (3, 6)
