"""What a study names of the user's own is tried out once, on a few examples, before anything is written."""

import math
from collections.abc import Callable

import numpy as np
import torch

from hpsearch.code import Code, fault
from hpsearch.data.dataset import Target
from hpsearch.errors import UserError
from hpsearch.metrics import METRICS, OURS, arguments
from hpsearch.nets import own
from hpsearch.nets.build import build
from hpsearch.nets.isolation import shared_tensors, writes_into_input
from hpsearch.pack.first import last_linear
from hpsearch.pack.front import front_of
from hpsearch.pack.pretrained import start_from
from hpsearch.prepared import Prepared


def try_metric(prepared: Prepared, code: Code | None, tell: Callable[[str], None]) -> None:
    """Scores a constant prediction of the validation part, and where the metric is the user's own one that varies.

    `code`: of a metric of the user's own. `tell` hears that it writes into what it is handed.

    Raises:
        UserError: it fails, or gives no number.
    """
    target, y = prepared.arrays.target, torch.from_numpy(prepared.arrays.validation.y.copy())
    rows, metric = len(y), prepared.arrays.metric
    where, prediction = f"{prepared.place}: search.metric: {metric}", _constant(rows, target)
    if code is None:
        if not is_defined(metric, prepared.arrays.validation.y, target):
            raise UserError(
                f"{where} is not defined on the {rows} validation rows, which have too few different answers; "
                "split otherwise, or choose another metric"
            )
        return
    chance = torch.Generator().manual_seed(0)
    if target.task == "classification":
        varied = torch.randn(prediction.shape, generator=chance).log_softmax(-1)
    else:  # the targets in another order: values that there can be
        varied = y[torch.randperm(rows, generator=chance)].double().unsqueeze(0)
    written: list[str] = []
    try:
        values = METRICS[code.spec].score(torch.cat([prediction, varied]), y)
        written = _written_by(code.load(where), varied[0].exp() if target.classes else varied[0], y)
    except Exception as error:
        raise UserError(f"{where} failed: {fault(error, code.file)}") from error
    if written:
        tell(f"metric: {code.spec} changes its {' and its '.join(written)} in place; it gets copies")
    if bool(values.isnan().all()):
        raise UserError(f"{where} gave NaN for a constant prediction and for a random one")


def _written_by(metric: Callable[..., object], values: torch.Tensor, y: torch.Tensor) -> list[str]:
    """The arguments that a user's metric changes in place."""
    given, before = arguments(values, y), arguments(values, y)
    metric(*given)
    names = zip(("prediction", "target"), given, before, strict=True)
    return [name for name, after, array in names if not np.array_equal(after, array)]


def is_defined(metric: str, y: np.ndarray, target: Target) -> bool:
    """Whether one of our metrics can be told of a constant prediction of these targets."""
    prediction = _constant(len(y), target)
    return metric not in OURS or bool(
        METRICS[metric].score(prediction, torch.from_numpy(y.copy())).isfinite().all()
    )


def _constant(rows: int, target: Target) -> torch.Tensor:
    if target.task == "regression":
        return torch.full((1, rows), target.mean).double()
    return torch.full((1, rows, target.outputs), -math.log(target.outputs))


def try_weights(prepared: Prepared, tell: Callable[[str], None]) -> None:
    """Tells which layers of the trials' nets start from the weights given, once for each that differ in that.

    Raises:
        UserError: of a structure that the study draws none does.
    """
    arrays, study, told = prepared.arrays, prepared.study, set()
    structural = [name for name in prepared.space.structural() if name in prepared.space.listed()]
    structures = {tuple(params.get(n) for n in structural): params for params in prepared.draws[::-1]}
    for params in list(structures.values())[::-1]:  # of each the first trial's
        params = prepared.space.complete(params)
        _, shape = front_of(params, arrays)
        net = build(prepared.net.factory(), params, shape, seed=0)
        loaded, drawn = start_from(net, arrays.weights or {})
        broken = next((n for n, p in net.named_parameters() if n in loaded and not p.isfinite().all()), None)
        if broken is not None:
            raise UserError(f"{prepared.place}: init_from: {broken} holds NaN or infinity: no net starts from it")
        which = ", ".join(f"{name} {params[name]}" for name in structural)
        if not loaded:
            given = ", ".join(sorted(arrays.weights or {})[:6])
            raise UserError(
                f"{prepared.place}: init_from: no tensor of {study.init_from} has the name and shape of one of "
                f"the net's{f' with {which}' if which else ''}; it has {given}"
            )
        if (*loaded, "", *drawn) not in told:
            told.add((*loaded, "", *drawn))
            own = f"drawn anew: {', '.join(drawn)}" if drawn else "none is drawn anew"
            tell(f"init_from: {len(loaded)} tensors loaded ({', '.join(loaded)}); {own}")


def try_net(prepared: Prepared, tell: Callable[[str], None]) -> None:
    """Builds a net of the user's own with the first trial's params, and shows it a few examples.

    `tell` hears that the net writes into its input.

    Raises:
        UserError: its code fails, its outputs are not one row an example, or two of its nets share tensors.
    """
    arrays, where = prepared.arrays, f"{prepared.place}: net: {prepared.study.net}"
    params, (code, *_) = prepared.params(0), prepared.code
    x = torch.from_numpy(arrays.train.x[:4].copy())
    try:
        front, shape = front_of(params, arrays)
        net, other = (build(prepared.net.factory(), params, shape, seed) for seed in (0, 1))
        x = x if front is None else front(x)
        wrong = own.wrong(net, x, arrays.target.outputs)
        writes = wrong is None and writes_into_input(net, x)
    except (Exception, SystemExit) as error:
        given = ", ".join(f"{name} {params[name]}" for name in prepared.net.takes)
        told = fault(error, code.file)
        raise UserError(f"{where}: failed{f' with {given}' if given else ''}: {told}") from error
    if wrong is not None:
        raise UserError(f"{where}: {wrong}")
    if writes:
        tell(f"net: {code.spec} changes its input in place; it gets a copy of each batch")
    shared = shared_tensors(net, other)
    if shared:
        raise UserError(
            f"{where}: two calls returned nets that share {shared[0]}. Build new layers in each call, or return "
            "copy.deepcopy of what is shared"
        )
    if prepared.space.highest("prior_bias") and last_linear(net, arrays.target.outputs) is None:
        raise UserError(f"{prepared.place}: params.prior_bias: {where} has no last linear layer with a bias")
    if prepared.space.highest("frozen_epochs") and last_linear(net, arrays.target.outputs) is None:
        raise UserError(
            f"{prepared.place}: params.frozen_epochs: {where} has no last linear layer with a bias to train alone"
        )
    for name, kinds in own.DROPOUTS.items():
        if name in prepared.study.params and name not in prepared.net.takes and not own.drops(net, name):
            raise UserError(
                f"{prepared.place}: params.{name}: nobody takes it: {code.name} does not, and its net has no "
                f"nn.{kinds[-1].__name__}"
            )
