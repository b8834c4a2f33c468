"""A study held against its data, before anything is written: everything that can be wrong with it is looked at."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hpsearch import ready
from hpsearch.code import Code, Reference, fault, find, is_code
from hpsearch.data.dataset import Arrays
from hpsearch.data.load import Dataset, load
from hpsearch.data.relevance import relevance
from hpsearch.data.sources import names_code
from hpsearch.errors import UserError
from hpsearch.knobs import KNOBS
from hpsearch.metrics import METRICS, OURS, PROPER, Own
from hpsearch.nets import own
from hpsearch.nets.build import Net, build
from hpsearch.pack.first import last_linear
from hpsearch.pack.front import front_of
from hpsearch.pack.pretrained import read_weights, start_from
from hpsearch.space import Space, draw
from hpsearch.study import Study, load_study, seconds
from hpsearch.validate import check_metric, check_names, check_net, check_task


@dataclass(frozen=True)
class Overrides:
    """What the command line changes in a study."""

    trials: int | None = None
    timeout: str | None = None
    seed: int | None = None
    workers: int | None = None

    def applied(self, study: Study, place: str) -> Study:
        """The study with these changes.

        Raises:
            UserError: one of them is out of range.
        """
        for name, least in (("trials", 1), ("workers", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < least):
                raise UserError(f"{place}: --{name}: must be an integer from {least}, got {value!r}")
        try:
            seconds("1s" if self.timeout is None else str(self.timeout))
        except ValueError as error:
            raise UserError(f"{place}: --timeout: {error}, got {self.timeout!r}") from None
        search = _updated(study.search, trials=self.trials, timeout=self.timeout)
        resources = _updated(study.resources, workers=self.workers)
        return study.model_copy(
            update={
                "search": search,
                "resources": resources,
                "seed": study.seed if self.seed is None else self.seed,
            }
        )


def _updated(model: Any, **changes: Any) -> Any:
    return model.model_copy(update={name: value for name, value in changes.items() if value is not None})


@dataclass(frozen=True)
class Prepared:
    """A sound study: its space of parameters, its data, and what training may see of it."""

    study: Study
    place: str
    base: Path
    net: Net
    code: tuple[Code, ...]  # of the user's own, which the study names
    metric: Own | None  # of the user's own
    objective: Reference | None  # a training function of the user's own
    space: Space
    dataset: Dataset
    arrays: Arrays

    def draws(self) -> list[dict[str, Any]]:
        """Each trial's params, as drawn."""
        return [draw(self.space, number) for number in range(self.study.search.trials)]

    def params(self, number: int) -> dict[str, Any]:
        """Trial `number`'s params with every default, as training reads them."""
        drawn = draw(self.space, number)
        return drawn if self.objective is not None else self.space.complete(drawn)

    @property
    def gpus(self) -> float:
        """GPUs of a leg: what the study asks for, else one where there is one."""
        asked = self.study.resources.gpus_per_pack
        return float(torch.cuda.is_available()) if asked == "auto" else asked

    @property
    def care(self) -> dict[str, Any]:
        """How a search looks after its rows and its legs: arguments of a Job."""
        resources = self.study.resources
        return {
            "checkpoint_s": seconds(resources.checkpoint),
            "hang_s": seconds(resources.trial_timeout) if resources.trial_timeout else None,
            "budget_bytes": resources.disk_gb * 1e9,
        }

    @property
    def workers(self) -> int:
        """Legs that train at once: what the study asks for, else as many as the GPUs or the cores carry."""
        carried = int(torch.cuda.device_count() / self.gpus) if self.gpus else os.cpu_count() or 1
        return self.study.resources.workers or max(carried, 1)


def prepare(path: Path, overrides: Overrides | None = None, tell: Callable[[str], None] | None = None) -> Prepared:
    """Reads a study, its code and its data; writes nothing.

    `tell` hears which code is to be imported, before it is.

    Raises:
        UserError: something is wrong with one of them.
    """
    place, base = str(path), path.parent.resolve()
    study = (overrides or Overrides()).applied(load_study(path), place)
    _check_gpus(study, place)
    tell = tell or (lambda _: None)
    if study.objective is not None:
        return _own_training(study, path, place, tell)
    net, codes, takes = _own_net(study, base, place, tell)
    loader = _own_loader(study, base, place, tell)
    codes += () if loader is None else (loader,)
    scorer, own_metric = _own_metric(study, base, place, tell)
    codes += () if scorer is None else (scorer,)
    if study.search.space is None:
        check_names(study, place, takes)  # before the data are read, which may take long
    else:
        ready.text_of(study.search.space, f"{place}: search.space")
    dataset = load(study.data, path.parent, place, loader)
    task, rows = dataset.target.task, len(dataset.train.y)
    study = ready.with_space(study, task, dataset.kind, rows, place)
    space = check_names(study, place, takes)
    metric = check_task(study, dataset.target.task, place, dataset.kind)
    _check_batches(space, len(dataset.train.y), place)
    arrays = dataset.arrays(metric)
    if space.lowest("features") < 1:
        arrays = replace(arrays, relevance=relevance(arrays))
    if study.init_from is not None:
        weights = read_weights(path.parent / study.init_from, f"{place}: init_from")
        arrays = replace(arrays, weights=weights)
    prepared = Prepared(study, place, base, net, codes, own_metric, None, space, dataset, arrays)
    if arrays.weights is not None:
        _check_start(prepared, tell)
    if scorer is not None:
        _try_metric(prepared, scorer)
    if takes is not None:
        _try_out(prepared)
    return prepared


def _own_training(study: Study, path: Path, place: str, tell: Callable[[str], None]) -> Prepared:
    """A study with a training function of the user's own."""
    base = path.parent.resolve()
    space = check_names(study, place)
    code = find(str(study.objective), base, f"{place}: objective")
    tell(f"objective: {code.told}")
    code.load(f"{place}: objective")
    loader = _own_loader(study, base, place, tell)
    scorer, metric = _own_metric(study, base, place, tell)
    dataset = load(study.data, path.parent, place, loader) if study.data.source else Dataset.none()
    name = study.search.metric or PROPER[dataset.target.task]
    if name not in OURS and not is_code(name):
        metric = Own(name, base, str(study.search.direction))
        metric.register()
    elif study.data.source:
        check_task(study.model_copy(update={"params": {}}), dataset.target.task, place)
    codes = tuple(one for one in (code, loader, scorer) if one is not None)
    objective = Reference(str(study.objective), base)
    return Prepared(study, place, base, Net("mlp"), codes, metric, objective, space, dataset, dataset.arrays(name))


def _own_net(
    study: Study, base: Path, place: str, tell: Callable[[str], None]
) -> tuple[Net, tuple[Code, ...], own.Takes | None]:
    """The study's net; where it is the user's own, also its code, imported, and what its factory takes."""
    check_net(study.net, place)
    if not is_code(study.net):
        return Net(study.net), (), None
    code = find(study.net, base, f"{place}: net")
    tell(f"net: {code.told}")
    takes = own.takes(code.load(f"{place}: net"), f"{place}: net: {study.net}")
    passed = [name for name in study.params if name in takes.named or (takes.anything and name not in KNOBS)]
    return Net(study.net, base, tuple(passed)), (code,), takes


def _own_loader(study: Study, base: Path, place: str, tell: Callable[[str], None]) -> Code | None:
    if not names_code(study.data.source):
        return None
    code = find(study.data.source, base, f"{place}: data.source")
    tell(f"data: {code.told}")
    return code


def _own_metric(
    study: Study, base: Path, place: str, tell: Callable[[str], None]
) -> tuple[Code | None, Own | None]:
    check_metric(study, place)
    name = study.search.metric
    if name is None or not is_code(name):
        return None, None
    code = find(name, base, f"{place}: search.metric")
    tell(f"metric: {code.told}")
    code.load(f"{place}: search.metric")
    metric = Own(name, base, str(study.search.direction))
    metric.register()
    return code, metric


def _try_metric(prepared: Prepared, code: Code) -> None:
    """Scores a constant prediction of the validation part.

    Raises:
        UserError: it fails, or gives no number.
    """
    target, y = prepared.arrays.target, torch.from_numpy(prepared.arrays.validation.y.copy())
    rows, classes = len(y), target.outputs
    even = torch.full((1, rows, classes), -math.log(classes))
    prediction = even if target.task == "classification" else torch.full((1, rows), target.mean).double()
    where = f"{prepared.place}: search.metric: {code.spec}"
    try:
        value = float(METRICS[code.spec].score(prediction, y)[0])
    except Exception as error:
        raise UserError(f"{where} failed: {fault(error, code.file)}") from error
    if math.isnan(value):
        raise UserError(f"{where} gave NaN for a constant prediction")


def _check_start(prepared: Prepared, tell: Callable[[str], None]) -> None:
    """Tells which layers of the first trial's net start from the weights given.

    Raises:
        UserError: none does.
    """
    arrays, study = prepared.arrays, prepared.study
    _, shape = front_of(prepared.params(0), arrays)
    net = build(prepared.net.factory(), prepared.params(0), shape, seed=0)
    loaded, drawn = start_from(net, arrays.weights or {})
    place = f"{prepared.place}: init_from"
    if not loaded:
        given = ", ".join(sorted(arrays.weights or {})[:6])
        raise UserError(
            f"{place}: no tensor of {study.init_from} has the name and shape of one of the net's; it has {given}"
        )
    own = f"drawn anew: {', '.join(drawn)}" if drawn else "none is drawn anew"
    tell(f"init_from: {len(loaded)} tensors loaded ({', '.join(loaded)}); {own}")


def _try_out(prepared: Prepared) -> None:
    """Builds a net of the user's own with the first trial's params, and shows it a few examples.

    Raises:
        UserError: its code fails, or its outputs are not one row an example.
    """
    arrays, where = prepared.arrays, f"{prepared.place}: net: {prepared.study.net}"
    params, (code, *_) = prepared.params(0), prepared.code
    x = torch.from_numpy(arrays.train.x[:4].copy())
    try:
        front, shape = front_of(params, arrays)
        net = build(prepared.net.factory(), params, shape, seed=0)
        x = x if front is None else front(x)
        wrong = own.wrong(net, x, arrays.target.outputs)
    except Exception as error:
        given = ", ".join(f"{name} {params[name]}" for name in prepared.net.takes)
        told = fault(error, code.file)
        raise UserError(f"{where}: failed{f' with {given}' if given else ''}: {told}") from error
    if wrong is not None:
        raise UserError(f"{where}: {wrong}")
    if prepared.space.highest("prior_bias") and last_linear(net, arrays.target.outputs) is None:
        raise UserError(f"{prepared.place}: params.prior_bias: {where} has no last linear layer with a bias")
    for name, kinds in own.DROPOUTS.items():
        if name in prepared.study.params and name not in prepared.net.takes and not own.drops(net, name):
            raise UserError(
                f"{prepared.place}: params.{name}: nobody takes it: {code.name} does not, and its net has no "
                f"nn.{kinds[-1].__name__}"
            )


def _check_batches(space: Space, rows: int, place: str) -> None:
    """A larger batch than there are rows would be a smaller one than the study says."""
    largest = space.highest("batch_size")
    if largest > rows:
        raise UserError(
            f"{place}: params.batch_size: the training part has {rows} rows, got {largest}; name fewer"
        )


def _check_gpus(study: Study, place: str) -> None:
    """A leg that asks for a GPU that is not there would wait for ever."""
    asked, found = study.resources.gpus_per_pack, torch.cuda.device_count()
    if asked != "auto" and asked > found:
        raise UserError(f"{place}: resources.gpus_per_pack: this machine has {found} GPUs, got {asked:g}")
