"""A study's params as a space of parameters, each held against its knob."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from hpsearch.errors import UserError, choices, either
from hpsearch.knobs import ON, Knob
from hpsearch.names import advice, suggestions
from hpsearch.peers import PARAMETERS, VALUES
from hpsearch.space import Parameter, Space, draw, ordered
from hpsearch.study import Choice, Fixed, Param, Range, Study


def read_space(study: Study, knobs: Mapping[str, Knob], place: str) -> Space:
    """The study's params, and the defaults of the knobs that it does not name.

    Raises:
        UserError: a value or a range is wrong, a condition cannot be met.
    """
    listed = {name: _parameter(name, entry, knobs[name], place) for name, entry in study.params.items()}
    listed = {name: _with_conditions(parameter, listed, knobs, place) for name, parameter in listed.items()}
    listed = {name: _where_it_acts(parameter, listed, knobs, place) for name, parameter in listed.items()}
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
    return space


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
        raise UserError(f"{where}: {fault}, got {value!r}{_meant(value, knob, where)}")
    return float(value) if knob.kind is float else value


def _meant(value: Any, knob: Knob, where: str) -> str:
    """What a word among choices may mean."""
    name = where.rpartition("params.")[2].split(".")[0] if "params." in where else where.rpartition(".")[2]
    found = suggestions(value, knob.choices, VALUES.get(name)) if isinstance(value, str) else []
    return f"; did you mean {either(found)}?" if found else ""


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
            raise UserError(
                f"{where}: the study has no parameter {other_name!r}; {advice(other_name, listed, PARAMETERS)}"
            )
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
            raise UserError(
                f"{where}.{name}: the study has no parameter {name!r}; {advice(name, listed, PARAMETERS)}"
            )
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
