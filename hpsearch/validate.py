"""A study held against the tables of nets, knobs and metrics."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hpsearch import peers
from hpsearch.code import is_code
from hpsearch.errors import UserError, choices, either
from hpsearch.knobs import KNOBS, Knob, of_net, of_objective, of_own
from hpsearch.metrics import METRICS, OURS, PROPER
from hpsearch.names import advice, same, shortened, suggestions
from hpsearch.nets.build import NETS
from hpsearch.nets.own import DROPOUTS, Takes
from hpsearch.parameters import read_space
from hpsearch.ready import embeds
from hpsearch.space import Space
from hpsearch.study import Choice, Fixed, Search, Squeeze, Study
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
    space = read_space(study, knobs, place)
    _check_folds(study, space, place)
    if takes is not None:
        _check_defaults(space, takes, place)
    if study.objective is None:
        _check_rates(space, place)
    return space


def _check_companions(study: Study, place: str) -> None:
    """Parameters that act beside another key of the study alone."""
    if "frozen_epochs" in study.params and study.init_from is None:
        raise UserError(f"{place}: params.frozen_epochs: is for nets that start from weights: init_from")
    if study.squeeze.refit and study.squeeze.prolong is not None:
        raise UserError(f"{place}: squeeze.refit: does not act beside squeeze.prolong; leave one of them out")
    if study.data.unlabelled is not None and study.squeeze.student is None:
        raise UserError(f"{place}: data.unlabelled: is for the student, and squeeze.student is off")
    if "extra_weight" in study.params and study.data.extra is None:
        raise UserError(f"{place}: params.extra_weight: is for extra training data: data.extra")


def _check_folds(study: Study, space: Space, place: str) -> None:
    """What would look at rows that are held out, or has no place in cross-validation."""
    if study.search.folds is None or study.objective is not None:
        return
    for name in ("features", "pieces", "train_share"):
        known = any(parameter.name == name for parameter in space.parameters)
        if known and {space.lowest(name), space.highest(name)} != {KNOBS[name].off}:
            raise UserError(
                f"{place}: params.{name}: looks at rows that search.folds hold out; leave out search.folds, or "
                f"write {name}: off"
            )
    for key, value in (("data.weight", study.data.weight), ("data.split.time", study.data.split.time)):
        if value is not None:
            raise UserError(f"{place}: search.folds: does not act beside {key}; leave one of them out")


def _of_objective(study: Study, place: str) -> dict[str, Knob]:
    """The parameters of a training function of the user's own."""
    given = {
        "net": study.net != "mlp", "init_from": study.init_from, "search.space": study.search.space,
        "data.extra": study.data.extra, "data.weight": study.data.weight,
        "data.unlabelled": study.data.unlabelled, "squeeze.prolong": study.squeeze.prolong,
        "squeeze.refit": study.squeeze.refit, "squeeze.seeds": study.squeeze.seeds,
        "search.folds": study.search.folds, "search.block": study.search.block != Search().block,
        "search.evaluate": study.search.evaluate != 1,
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
            usual = [known for known in dict.fromkeys([*_named(takes), *_USUAL, *public]) if known in public]
            if name in KNOBS and KNOBS[name].nets:
                told = f"the net {study.net} does not take it; {shortened(usual)}"
                raise UserError(f"{where}: {told}; it is for {either(KNOBS[name].nets)}")
            raise UserError(f"{where}: is not a parameter; {advice(name, usual, peers.PARAMETERS, _CARDS)}")
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


_USUAL = (
    "epochs", "batch_size", "lr", "width", "depth", "dropout", "weight_decay", "optimizer", "schedule", "norm",
    "label_smoothing", "activation",
)  # fmt: skip
_CARDS = "; docs/tricks.md has a card for each"


def _named(takes: Takes | None) -> Sequence[str]:
    return () if takes is None else list(takes.named)


def _check_defaults(space: Space, takes: Takes, place: str) -> None:
    """A factory is called with all that it needs, whatever a condition leaves out."""
    for name in takes.required:
        if space[name].when:
            raise UserError(f"{place}: params.{name}.when: the net needs {name} in every trial; give it a default")


def _check_rates(space: Space, place: str) -> None:
    """Some trial's rate can fall."""
    lowest, highest = space.lowest("lr_min"), space.highest("lr")
    if lowest > highest:
        raise UserError(
            f"{place}: params.lr_min: is where the rate ends that begins at lr; must be at most {highest:g}, "
            f"got {lowest:g}"
        )


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
        other = METRICS[metric].task
        what = "an amount" if other == "regression" else "a class"
        told = f"{metric!r} is for {other}, and this task is {task} (data.task: {other}, if the target is {what})"
        raise UserError(f"{place}: search.metric: {told}; {choices(fitting)}")
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
            hint = advice(loss, LOSSES[task], peers.VALUES["loss"])
            raise UserError(f"{place}: params.loss: {loss!r} is not for {task}; {hint}")
    _check_human(study, metric, place)
    return metric


def _check_human(study: Study, metric: str, place: str) -> None:
    """A score that the metric cannot have, such as 95 for 0.95."""
    score = None if study.human is None else study.human.score
    low, high = METRICS[metric].bounds
    if score is not None and not low <= score <= high:
        raise UserError(f"{place}: human.score: {metric} lies between {low:g} and {high:g}, got {score:g}")


def _losses(study: Study) -> list[Any]:
    entry = study.params.get("loss")
    enqueued = [given["loss"] for given in study.search.enqueue if "loss" in given]
    if isinstance(entry, Choice):
        return [*entry.choices, *enqueued]
    return [entry.value, *enqueued] if isinstance(entry, Fixed) else enqueued


def remarks(space: Space, named: Collection[str]) -> list[str]:
    """What fights with what, of a sound study. `named`: the parameters that it names beside a ready-made space."""
    names = {p.name for p in space.parameters}
    drops = [name for name in ("dropout", "spatial_dropout") if name in names and (space.highest(name) or 0) > 0]
    if not drops or "norm" not in names or "batch" not in space.choices("norm") or not {*drops, "norm"} & {*named}:
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
    hint = advice(net, NETS, peers.VALUES["net"], ", or your own as module:name")
    raise UserError(f"{place}: net: {net!r} is not known; {hint}")


def check_metric(study: Study, place: str) -> None:
    """
    Raises:
        UserError: the metric is neither one of ours nor `module:name` with a direction.
    """
    metric, direction = study.search.metric, study.search.direction
    ways = choices(("maximize", "minimize"))
    if metric is not None and is_code(metric):
        if direction is None:
            raise UserError(f"{place}: search.direction: {metric} needs it; {ways}")
        return
    if study.objective is not None and metric not in OURS and not (metric is None and study.data.source):
        if metric is None:
            raise UserError(f"{place}: search.metric: is required: what the objective reports")
        if direction is None:
            raise UserError(f"{place}: {_without_direction(metric, ways)}")
        return
    if metric is not None and metric not in OURS:
        hint = advice(metric, OURS, peers.METRICS, ", or your own as my_metrics:score")
        raise UserError(f"{place}: search.metric: {metric!r} is not known; {hint}")
    if direction is not None:
        raise UserError(f"{place}: search.direction: is for a metric of your own; leave it out")


def _without_direction(metric: str, ways: str) -> str:
    """What is wrong with a word for a metric, beside an objective and without a direction."""
    known = [name for name in same(metric, OURS, peers.METRICS) if name != peers.OF_OWN]
    found = known or suggestions(metric, OURS)  # a word of one's own may be like another tool's
    if not found:
        return f"search.direction: {metric} needs it; {ways}"
    return (
        f"search.metric: {metric!r} is none of ours; did you mean {either(found)}? As a metric of the objective's "
        f"own it needs search.direction; {ways}"
    )
