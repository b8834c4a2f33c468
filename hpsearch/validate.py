"""A study's names and ranges held against the tables of nets, knobs and metrics."""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from hpsearch.errors import UserError, choices
from hpsearch.knobs import KNOBS, Knob
from hpsearch.metrics import METRICS, PROPER
from hpsearch.nets.build import NETS
from hpsearch.space import Parameter, Space, ordered
from hpsearch.study import Choice, Fixed, Param, Range, Study

_LATER_NETS = ("resnet",)
_LATER_PARAMS = (
    "loss", "focal_gamma", "flood", "class_weights", "mixup", "cutmix", "crop", "shift", "flip", "rotation",
    "scale", "erasing", "brightness", "contrast", "noise", "swap_noise", "ema", "swa", "image_size", "patience",
)  # fmt: skip


def check_names(study: Study, place: str) -> Space:
    """The study's space of parameters, the defaults of what it does not name included.

    Raises:
        UserError: a name is unknown, a range is wrong, a condition cannot be met.
    """
    _check_net(study.net, place)
    if study.search.metric is not None:
        _known_metric(study.search.metric, place)
    public = {name: knob for name, knob in KNOBS.items() if not knob.internal}
    for name in study.params:
        if name not in public:
            if name in _LATER_PARAMS:
                raise UserError(f"{place}: params.{name}: is not built yet; leave it out")
            near = difflib.get_close_matches(name, public, n=1)
            hint = f"did you mean {near[0]}?" if near else choices(public)
            raise UserError(f"{place}: params.{name}: is not a parameter; {hint}")
    listed = {name: _parameter(name, entry, KNOBS[name], study, place) for name, entry in study.params.items()}
    listed = {name: _with_conditions(parameter, listed, place) for name, parameter in listed.items()}
    defaults = [_default(name, knob) for name, knob in KNOBS.items() if name not in listed]
    try:
        parameters = ordered([*listed.values(), *defaults])
    except ValueError as error:
        raise UserError(f"{place}: params: the conditions of {error} go round in a circle") from None
    _check_blocks(parameters, place)
    return Space(study.seed, study.search.block, parameters)


def check_task(study: Study, task: str, place: str) -> str:
    """The metric of a study whose task is now known.

    Raises:
        UserError: the metric or a parameter does not fit the task.
    """
    metric = study.search.metric or PROPER[task]
    if METRICS[metric].task != task:
        fitting = [name for name, m in METRICS.items() if m.task == task]
        raise UserError(f"{place}: search.metric: {metric!r} is for {METRICS[metric].task}; {choices(fitting)}")
    for name in study.params:
        only = KNOBS[name].task
        if only not in (None, task):
            raise UserError(f"{place}: params.{name}: is for {only}, and this task is {task}; leave it out")
    return metric


def complete(params: dict[str, Any]) -> dict[str, Any]:
    """Params with the default of every knob whose condition did not hold: what training reads."""
    return {name: params.get(name, knob.default) for name, knob in KNOBS.items()}


def _check_net(net: str, place: str) -> None:
    if net in NETS:
        return
    if net in _LATER_NETS or ":" in net:
        raise UserError(f"{place}: net: {net!r} is not built yet; {choices(NETS)}")
    raise UserError(f"{place}: net: {net!r} is not known; {choices(NETS)}")


def _known_metric(metric: str, place: str) -> None:
    if ":" in metric:
        raise UserError(
            f"{place}: search.metric: {metric!r}: metrics of your own are not built yet; {choices(METRICS)}"
        )
    if metric not in METRICS:
        raise UserError(f"{place}: search.metric: {metric!r} is not known; {choices(METRICS)}")


def _default(name: str, knob: Knob) -> Parameter:
    return Parameter(name, None, knob.default, knob.structural, listed=False)


def _parameter(name: str, entry: Param, knob: Knob, study: Study, place: str) -> Parameter:
    where = f"{place}: params.{name}"
    when = tuple((other, tuple(v) if isinstance(v, list) else (v,)) for other, v in entry.when.items())
    if isinstance(entry, Fixed):
        return Parameter(name, None, _value(entry.value, knob, where), knob.structural, when)
    if isinstance(entry, Choice):
        values = [_value(value, knob, where) for value in entry.choices]
        repeated = [v for i, v in enumerate(values) if v in values[:i]]
        if repeated:
            raise UserError(f"{where}: the choice {repeated[0]!r} stands twice")
        return Parameter(name, CategoricalDistribution(values), None, knob.structural, when)
    return Parameter(name, _distribution(entry, knob, where), None, knob.structural, when)


def _value(value: Any, knob: Knob, where: str) -> Any:
    if value == "off" and knob.off is not None:
        return knob.off
    fault = knob.fault(value)
    if fault is not None:
        raise UserError(f"{where}: {fault}, got {value!r}")
    return float(value) if knob.kind is float else value


def _distribution(entry: Range, knob: Knob, where: str) -> BaseDistribution:
    if knob.kind not in (int, float):
        wanted = choices(knob.choices) if knob.choices else choices(("true", "false"))
        raise UserError(f"{where}: takes a list of choices, not a range; {wanted}")
    low, high = (_value(bound, knob, where) for bound in (entry.low, entry.high))
    if low >= high:
        raise UserError(f"{where}: low must be below high, got low {entry.low}, high {entry.high}")
    if entry.log and low <= 0:
        raise UserError(f"{where}: a log range must begin above 0, got low {entry.low}")
    if entry.step is not None:
        if entry.step <= 0 or entry.log:
            raise UserError(f"{where}: step must be positive and stands without log, got step {entry.step}")
        count = (high - low) / min(entry.step, 2e9)
        if not 1 <= count <= 1e9 or abs(count - round(count)) > 1e-9:
            raise UserError(f"{where}: high must lie a whole number of steps above low, got step {entry.step}")
    if knob.kind is int:
        if isinstance(entry.step, float):
            raise UserError(f"{where}: step must be a whole number, got {entry.step}")
        return IntDistribution(low, high, log=entry.log, step=entry.step or 1)
    return FloatDistribution(low, high, log=entry.log, step=entry.step)


def _with_conditions(parameter: Parameter, listed: dict[str, Parameter], place: str) -> Parameter:
    """The parameter, its conditions read as values of the parameters that they name."""
    when = []
    for other_name, accepted in parameter.when:
        where = f"{place}: params.{parameter.name}.when.{other_name}"
        other = listed.get(other_name)
        if other is None:
            raise UserError(f"{where}: the study has no parameter {other_name!r}; {choices(listed)}")
        if not accepted:
            raise UserError(f"{where}: the list of values is empty, so {parameter.name} would never be there")
        values = tuple(_value(value, KNOBS[other_name], where) for value in accepted)
        impossible = [value for value in values if not _can_be(other, value)]
        if impossible:
            raise UserError(f"{where}: {other_name} is never {impossible[0]!r}; {_possible(other)}")
        when.append((other_name, values))
    return replace(parameter, when=tuple(when))


def _check_blocks(parameters: Sequence[Parameter], place: str) -> None:
    """Structure depends on structure alone, at any remove."""
    varies: set[str] = set()  # within a block
    for parameter in parameters:  # each behind those that it depends on
        through = [other for other, _ in parameter.when if other in varies]
        if parameter.structural and through:
            raise UserError(
                f"{place}: params.{parameter.name}.when.{through[0]}: {parameter.name} is drawn once a block and "
                f"cannot depend on {through[0]}, which is drawn for every trial"
            )
        if through or (parameter.distribution is not None and not parameter.structural):
            varies.add(parameter.name)


def _can_be(parameter: Parameter, value: Any) -> bool:
    distribution = parameter.distribution
    if distribution is None:
        return bool(value == parameter.fixed)
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return bool(distribution.low <= value <= distribution.high)


def _possible(parameter: Parameter) -> str:
    distribution = parameter.distribution
    if distribution is None:
        return choices((parameter.fixed,))
    if isinstance(distribution, CategoricalDistribution):
        return choices(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return f"its range is {distribution.low:g} to {distribution.high:g}"
