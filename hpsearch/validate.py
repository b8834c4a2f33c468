"""A study's names and ranges held against the tables of nets, knobs and metrics."""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from hpsearch.code import is_code
from hpsearch.errors import UserError, choices, either
from hpsearch.knobs import KNOBS, ON, Knob, of_net, of_objective, of_own
from hpsearch.metrics import METRICS, OURS, PROPER
from hpsearch.nets.build import NETS
from hpsearch.nets.own import DROPOUTS, Takes
from hpsearch.ready import embeds
from hpsearch.space import Parameter, Space, draw, ordered
from hpsearch.study import Choice, Fixed, Param, Range, Search, Squeeze, Study
from hpsearch.tricks.losses import LOSSES


def check_names(study: Study, place: str, takes: Takes | None = None) -> Space:
    """The study's space of parameters, the defaults of what it does not name included.

    `takes`: what the factory of a net of the user's own takes.

    Raises:
        UserError: a name is unknown, a range is wrong, a condition cannot be met.
    """
    check_metric(study, place)
    if study.objective is not None:
        knobs = _of_objective(study, place)
    else:
        knobs = of_net(study.net) if takes is None else _of_own(study, takes, place)
        _check_known(study, knobs, takes, place)
        _check_companions(study, place)
    listed = {name: _parameter(name, entry, knobs[name], place) for name, entry in study.params.items()}
    listed = {name: _with_conditions(parameter, listed, knobs, place) for name, parameter in listed.items()}
    listed = {name: _where_it_acts(parameter, listed, knobs, place) for name, parameter in listed.items()}
    if takes is not None:
        _check_defaults(listed, takes, place)
    defaults = [_default(name, knob) for name, knob in knobs.items() if name not in listed]
    try:
        parameters = ordered([*listed.values(), *defaults])
    except ValueError as error:
        raise UserError(f"{place}: params: the conditions of {error} go round in a circle") from None
    parameters = tuple(_of_growing(p, parameters) for p in parameters)
    _check_blocks(parameters, place)
    enqueued = tuple(_enqueued(entry, i, listed, knobs, place) for i, entry in enumerate(study.search.enqueue))
    space = Space(study.seed, study.search.block, parameters, enqueued)
    _check_enqueued(study, space, place)
    if study.objective is None:
        _check_rates(space, place)
    return space


def _check_companions(study: Study, place: str) -> None:
    """Parameters that act beside another key of the study alone."""
    if "frozen_epochs" in study.params and study.init_from is None:
        raise UserError(f"{place}: params.frozen_epochs: is for nets that start from weights: init_from")
    if "extra_weight" in study.params and study.data.extra is None:
        raise UserError(f"{place}: params.extra_weight: is for extra training data: data.extra")


def _of_objective(study: Study, place: str) -> dict[str, Knob]:
    """The parameters of a training function of the user's own."""
    given = {
        "net": study.net != "mlp", "init_from": study.init_from, "search.space": study.search.space,
        "data.extra": study.data.extra, "data.weight": study.data.weight,
        "search.block": study.search.block != Search().block, "search.evaluate": study.search.evaluate != 1,
        "squeeze.student": study.squeeze.student not in (None, Squeeze().student),
    }  # fmt: skip
    for key, value in given.items():
        if value:
            raise UserError(
                f"{place}: {key}: is for built-in training, and the study has an objective; leave it out"
            )
    for name, entry in study.params.items():
        if entry.column:
            raise UserError(f"{place}: params.{name}.column: is for parameters that a net of your own takes")
    return of_objective(study.params)


def _of_own(study: Study, takes: Takes, place: str) -> dict[str, Knob]:
    absent = [name for name in takes.required if name not in study.params]
    if absent:
        raise UserError(
            f"{place}: net: {study.net} needs the parameter {absent[0]}; name it in params, or give it a default"
        )
    return of_own({**dict.fromkeys(takes.required), **takes.optional}, study.params, takes.anything)


def _check_known(study: Study, knobs: Mapping[str, Knob], takes: Takes | None, place: str) -> None:
    """Each parameter is known to somebody, and only those of a net of the user's own are declared columns."""
    public = [name for name, knob in knobs.items() if not knob.internal]
    if takes is not None:
        public = list(dict.fromkeys([*public, *takes.named]))
    for name, entry in study.params.items():
        where = f"{place}: params.{name}"
        if name not in public:
            if name in KNOBS and KNOBS[name].nets:
                raise UserError(f"{where}: the net {study.net} does not take it; {choices(public)}")
            near = difflib.get_close_matches(name, public, n=1)
            hint = f"did you mean {near[0]}?" if near else choices(public)
            raise UserError(f"{where}: is not a parameter; {hint}")
        if (
            takes is not None
            and name in takes.named
            and name in KNOBS
            and not KNOBS[name].nets
            and name not in DROPOUTS
        ):
            raise UserError(
                f"{where}: is a parameter of training, and {study.net} takes one of that name; rename its"
            )
        if entry.column and (takes is None or not (name in takes.named or takes.anything)):
            raise UserError(f"{where}.column: is for parameters that a net of your own takes")


def _check_defaults(listed: Mapping[str, Parameter], takes: Takes, place: str) -> None:
    """A factory is called with all that it needs, whatever a condition leaves out."""
    for name in takes.required:
        if listed[name].when:
            raise UserError(f"{place}: params.{name}.when: the net needs {name} in every trial; give it a default")


def check_task(
    study: Study,
    task: str,
    place: str,
    kind: str | None = None,
    widest: float = math.inf,
    own: Sequence[str] = (),
    numbers: bool = True,
) -> str:
    """The metric of a study whose task is now known, and the kind of its inputs (`Dataset.kind`).

    `widest`: the values of the widest category. `own`: parameters that a net of the user's own takes. `numbers`:
    whether the inputs hold any.

    Raises:
        UserError: the metric or a parameter does not fit the task.
    """
    metric = study.search.metric or PROPER[task]
    if METRICS[metric].task not in (task, "any"):
        fitting = [name for name in OURS if METRICS[name].task == task]
        raise UserError(f"{place}: search.metric: {metric!r} is for {METRICS[metric].task}; {choices(fitting)}")
    if study.net == "resnet" and kind not in (None, "images"):
        raise UserError(f"{place}: net: resnet is for images, and these data are {kind}; {choices({'mlp'})}")
    for name in (name for name in study.params if name not in own):
        only = KNOBS[name].task if name in KNOBS else None
        if only not in (None, task):
            raise UserError(f"{place}: params.{name}: is for {only}, and this task is {task}; leave it out")
        of = KNOBS[name].of if name in KNOBS else ()
        if kind is not None and of and kind not in of:
            told = " and ".join(of)
            raise UserError(f"{place}: params.{name}: is for {told}, and these data are {kind}; leave it out")
        if name in KNOBS and KNOBS[name].numbers and not numbers:
            raise UserError(f"{place}: params.{name}: acts on numbers, and these data have none; leave it out")
    entry = study.params.get("embedding") if "embedding" not in own else None
    if entry is not None and embeds(entry, math.inf) and not embeds(entry, widest):
        told = f"the widest has {widest}" if widest else "there is none"
        raise UserError(
            f"{place}: params.embedding: acts on categories with more values than a vector has, and {told}; "
            "leave it out"
        )
    for loss in _losses(study):
        if loss not in LOSSES[task]:
            raise UserError(f"{place}: params.loss: {loss!r} is not for {task}; {choices(LOSSES[task])}")
    return metric


def _losses(study: Study) -> list[Any]:
    entry = study.params.get("loss")
    enqueued = [given["loss"] for given in study.search.enqueue if "loss" in given]
    if isinstance(entry, Choice):
        return [*entry.choices, *enqueued]
    return [entry.value, *enqueued] if isinstance(entry, Fixed) else enqueued


def remarks(space: Space) -> list[str]:
    """What fights with what, of a sound study."""
    names = {p.name for p in space.parameters}
    drops = [name for name in ("dropout", "spatial_dropout") if name in names and (space.highest(name) or 0) > 0]
    normed = next((p for p in space.parameters if p.name == "norm" and _can_be(p, "batch")), None)
    if not drops or normed is None:
        return []
    return [
        f"norm: batch beside {drops[0]}: what batch norm estimates in training is not what it meets in "
        "evaluation, where nothing is dropped (Li et al. 2019); group or layer norm do not mind"
    ]


def check_net(net: str, place: str) -> None:
    """
    Raises:
        UserError: it is neither one of ours nor `module:name`.
    """
    if net in NETS or is_code(net):
        return
    raise UserError(f"{place}: net: {net!r} is not known; {choices(NETS)}, or your own as module:name")


def check_metric(study: Study, place: str) -> None:
    """
    Raises:
        UserError: the metric is neither one of ours nor `module:name` with a direction.
    """
    metric, direction = study.search.metric, study.search.direction
    if metric is not None and is_code(metric):
        if direction is None:
            raise UserError(f"{place}: search.direction: {metric} needs it; {choices(('maximize', 'minimize'))}")
        return
    if study.objective is not None and metric not in OURS and not (metric is None and study.data.source):
        if metric is None:
            raise UserError(f"{place}: search.metric: is required: what the objective reports")
        if direction is None:
            raise UserError(f"{place}: search.direction: {metric} needs it; {choices(('maximize', 'minimize'))}")
        return
    if direction is not None:
        raise UserError(f"{place}: search.direction: is for a metric of your own; leave it out")
    if metric is not None and metric not in OURS:
        raise UserError(f"{place}: search.metric: {metric!r} is not known; {choices(OURS)}, or your own")


def _default(name: str, knob: Knob) -> Parameter:
    return Parameter(name, None, knob.default, knob.structural, listed=False, default=knob.default)


def _parameter(name: str, entry: Param, knob: Knob, place: str) -> Parameter:
    where = f"{place}: params.{name}"
    parameter = Parameter(name, None, structural=knob.structural, default=knob.default)
    when = tuple((other, tuple(v) if isinstance(v, list) else (v,)) for other, v in entry.when.items())
    if isinstance(entry, Fixed):
        return replace(parameter, fixed=_value(entry.value, knob, where), when=when)
    if isinstance(entry, Choice):
        values = [_value(value, knob, where) for value in entry.choices]
        repeated = [v for i, v in enumerate(values) if v in values[:i]]
        if repeated:
            raise UserError(f"{where}: the choice {repeated[0]!r} stands twice")
        return replace(parameter, distribution=CategoricalDistribution(values), when=when)
    return replace(parameter, distribution=_distribution(entry, knob, where), when=when)


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


def _with_conditions(
    parameter: Parameter, listed: Mapping[str, Parameter], knobs: Mapping[str, Knob], place: str
) -> Parameter:
    """The parameter, its conditions read as values of the parameters that they name."""
    when = []
    for other_name, accepted in parameter.when:
        where = f"{place}: params.{parameter.name}.when.{other_name}"
        other = listed.get(other_name)
        if other is None:
            raise UserError(f"{where}: the study has no parameter {other_name!r}; {choices(listed)}")
        if not accepted:
            raise UserError(f"{where}: the list of values is empty, so {parameter.name} would never be there")
        values = tuple(_value(value, knobs[other_name], where) for value in accepted)
        impossible = [value for value in values if not _can_be(other, value)]
        if impossible:
            raise UserError(f"{where}: {other_name} is never {impossible[0]!r}; {_possible(other)}")
        when.append((other_name, values))
    return replace(parameter, when=tuple(when))


def _of_growing(parameter: Parameter, parameters: Sequence[Parameter]) -> Parameter:
    """Beside images that grow the epochs are structural: the rows of a pack grow together."""
    grows = [p for p in parameters if p.name == "image_start" and not (p.distribution is None and not p.fixed)]
    return replace(parameter, structural=True) if grows and parameter.name == "epochs" else parameter


def _enqueued(
    entry: Mapping[str, Any], i: int, listed: Mapping[str, Parameter], knobs: Mapping[str, Knob], place: str
) -> dict[str, Any]:
    where = f"{place}: search.enqueue.{i}"
    for name in entry:
        if name not in listed:
            raise UserError(f"{where}.{name}: the study has no parameter {name!r}; {choices(listed)}")
    return {name: _value(value, knobs[name], f"{where}.{name}") for name, value in entry.items()}


def _check_enqueued(study: Study, space: Space, place: str) -> None:
    """There is a trial for each, and every value of it is read."""
    if len(space.enqueued) > study.search.trials:
        raise UserError(
            f"{place}: search.enqueue: has {len(space.enqueued)} trials, and the study {study.search.trials}"
        )
    for number, given in enumerate(space.enqueued):
        unread = [name for name in given if name not in draw(space, number)]
        if unread:
            raise UserError(
                f"{place}: search.enqueue.{number}.{unread[0]}: does not act beside the others; leave it out"
            )


def _where_it_acts(
    parameter: Parameter, listed: Mapping[str, Parameter], knobs: Mapping[str, Knob], place: str
) -> Parameter:
    """The parameter, with the condition under which alone it acts, unless the study gives one on that choice."""
    needs = knobs[parameter.name].needs
    if not needs:
        return parameter
    name, *wanted = needs
    if wanted == [ON]:
        other = listed.get(name) or _default(name, knobs[name])
        if isinstance(other.distribution, IntDistribution | FloatDistribution):
            return parameter
        wanted = [value for value in _values(other) if value != knobs[name].off]
        if not wanted:
            raise UserError(f"{place}: params.{parameter.name}: acts with {name} alone, which no trial has")
    what = f"acts with {name}: {either(wanted)} alone"
    given = [value for other, values in parameter.when if other == name for value in values]
    idle = [value for value in given if value not in wanted]
    if idle:
        raise UserError(f"{place}: params.{parameter.name}.when.{name}: {parameter.name} {what}, not {idle[0]}")
    if given:
        return parameter
    other = listed.get(name) or _default(name, knobs[name])
    acts = tuple(value for value in wanted if _can_be(other, value))
    if not acts:
        raise UserError(f"{place}: params.{parameter.name}: {what}, which no trial has")
    always = other.distribution is None or not set(_values(other)) - set(acts)
    return parameter if always else replace(parameter, when=(*parameter.when, (name, acts)))


def _values(parameter: Parameter) -> Sequence[Any]:
    distribution = parameter.distribution
    return distribution.choices if isinstance(distribution, CategoricalDistribution) else (parameter.fixed,)


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


def _check_rates(space: Space, place: str) -> None:
    """Some trial's rate can fall."""
    lowest, highest = space.lowest("lr_min"), space.highest("lr")
    if lowest > highest:
        raise UserError(
            f"{place}: params.lr_min: is where the rate ends that begins at lr; must be at most {highest:g}, "
            f"got {lowest:g}"
        )


def _can_be(parameter: Parameter, value: Any) -> bool:
    distribution = parameter.distribution
    if distribution is None:
        return bool(value == parameter.fixed)
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    if isinstance(distribution, FloatDistribution) and distribution.step is None:
        return False  # one value of endlessly many
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    steps = (value - distribution.low) / (distribution.step or 1)
    return bool(distribution.low <= value <= distribution.high and abs(steps - round(steps)) < 1e-9)


def _possible(parameter: Parameter) -> str:
    distribution = parameter.distribution
    if distribution is None:
        return choices((parameter.fixed,))
    if isinstance(distribution, CategoricalDistribution):
        return choices(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    told = f"its range is {distribution.low:g} to {distribution.high:g}"
    if isinstance(distribution, IntDistribution):
        return told if distribution.step == 1 else f"{told} in steps of {distribution.step}"
    return f"{told}, of which no value is drawn twice; make it a list of choices"
