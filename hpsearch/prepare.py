"""A study held against its data, before anything is written: everything that can be wrong with it is looked at."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch import ready
from hpsearch.capacity import Capacity
from hpsearch.code import Code, Reference, find, forget_edited, is_code
from hpsearch.data.blocks import blocks
from hpsearch.data.cuts import cuts
from hpsearch.data.dataset import Arrays
from hpsearch.data.folds import cross_validated
from hpsearch.data.load import Dataset, load
from hpsearch.data.raw import MOST_BYTES
from hpsearch.data.relevance import relevance
from hpsearch.data.sources import names_code
from hpsearch.errors import UserError
from hpsearch.knobs import of_own
from hpsearch.metrics import OURS, PROPER, Own
from hpsearch.nets import own
from hpsearch.nets.build import Net
from hpsearch.pack.examples import held_out
from hpsearch.pack.pretrained import read_weights
from hpsearch.prepared import Overrides, Prepared
from hpsearch.repeatable import fixed_generators
from hpsearch.space import Space
from hpsearch.storage import is_url
from hpsearch.study import Fixed, Search, Study, folder_of, load_study
from hpsearch.tryout import is_defined, try_metric, try_net, try_weights
from hpsearch.validate import check_metric, check_names, check_net, check_task

_LEAST_SIDE = 4  # of an image that grows


@fixed_generators()
def prepare(
    path: Path,
    overrides: Overrides | None = None,
    tell: Callable[[str], None] | None = None,
    data_alone: bool = False,
    home: Path | None = None,
    capacity: Capacity | None = None,
) -> Prepared:
    """Reads a study, its code and its data; writes nothing.

    `tell` hears which code is to be imported, before it is. `data_alone`: the plain net and no parameters in place
    of the study's, of which the data may be sound where the rest is not. `home`: the folder from which its
    relative paths begin, where that is not the file's own. `capacity`: of what it is to be trained on, where not
    on this machine.

    Raises:
        UserError: something is wrong with one of them.
    """
    tell = tell or (lambda _: None)
    if home is None and path.is_symlink():
        tell(f"study: {path} is a link; its paths begin in the folder of its file, {folder_of(path)}")
    home = home or folder_of(path)
    place, base = str(path), home.resolve()
    forget_edited()
    study = (overrides or Overrides()).applied(load_study(path), place)
    study = _without_training(study) if data_alone else study
    capacity = capacity or Capacity.here()
    _check_gpus(study, place, capacity)
    _refuse_beside_link(study, path, home, place)
    second = study.human.labels if study.human is not None else None
    if second is not None and not (base / second).is_file():
        raise UserError(f"{place}: human.labels: {base / second}: no such file")
    if study.objective is not None:
        return replace(_own_training(study, home, place, tell), capacity=capacity)
    net, codes, takes = _own_net(study, base, place, tell)
    loader = _own_loader(study, base, place, tell)
    codes += () if loader is None else (loader,)
    scorer, own_metric = _own_metric(study, base, place, tell)
    codes += () if scorer is None else (scorer,)
    if study.search.space is None:
        check_names(study, place, takes)  # before the data are read, which may take long
    else:
        ready.text_of(study.search.space, f"{place}: search.space")
    dataset = load(study.data, home, place, loader)
    task, rows = dataset.target.task, _of_a_row(study, dataset)
    study = ready.with_space(study, task, dataset.kind, rows, place, dataset.widest, takes, dataset.numbers)
    space = check_names(study, place, takes)
    fitting = _rows_at_least(space, rows)
    if "batch_size" not in study.params and space.highest("batch_size") > fitting:
        tell(f"batch_size: {fitting}, all training rows, since they do not fill the default")
        study = _with_batch(study, fitting)
        space = check_names(study, place, takes)
    metric = check_task(study, task, place, dataset.kind, dataset.widest, net.takes, dataset.numbers)
    if study.net == "resnet":
        _check_growing(space, dataset.train.x.shape[-1], place)
    _check_batches(study, space, rows, place)
    arrays = _arrays(study, dataset, metric, space, place, home)
    searched = _searched(study, dataset, arrays, place)
    prepared = Prepared(
        study, place, base, net, codes, own_metric, None, space, dataset, arrays, searched, capacity
    )
    try_metric(prepared, scorer, tell)
    if takes is not None:
        try_net(prepared, tell)
    if arrays.weights is not None:
        try_weights(prepared, tell)
    return prepared


def _refuse_beside_link(study: Study, path: Path, home: Path, place: str) -> None:
    """Files that lie beside a link to the study, and not beside the study."""
    if not path.is_symlink() or home == path.parent:
        return
    named = {
        "data.source": study.data.source, "data.extra": study.data.extra, "data.unlabelled": study.data.unlabelled,
        "init_from": study.init_from, "human.labels": None if study.human is None else study.human.labels,
    }  # fmt: skip
    for key, name in named.items():
        if name and not (is_code(name) or is_url(name)):
            beside = path.parent / name
            if beside.exists() and not (home / name).exists():
                raise UserError(
                    f"{place}: {key}: {home / name}: no such file. The study is a link, and its paths begin in "
                    f"the folder of its file; {beside} lies beside the link: move it there, or copy the study"
                )


def _arrays(study: Study, dataset: Dataset, metric: str, space: Space, place: str, home: Path) -> Arrays:
    """What training may see, with what the study's parameters have to know of it beforehand."""
    arrays = replace(dataset.arrays(metric), block=_blocks(study, dataset, dataset.validation.index, place))
    if space.lowest("features") < 1:
        arrays = replace(arrays, relevance=relevance(arrays))
    if space.highest("pieces") > 1:
        arrays = replace(arrays, cuts=_cuts(arrays, int(space.highest("pieces")), place))
    if study.init_from is not None:
        arrays = replace(arrays, weights=read_weights(home / study.init_from, f"{place}: init_from"))
    return arrays


def _searched(study: Study, dataset: Dataset, arrays: Arrays, place: str) -> Arrays:
    """What trials are trained on: the arrays, or both parts in one where the study is cross-validated."""
    folds, split = study.search.folds, study.data.split
    if folds is None:
        return arrays
    rows = np.concatenate([dataset.train.index[dataset.train.own_places], dataset.validation.index])
    block = _blocks(study, dataset, rows, place)
    try:
        found = cross_validated(arrays, folds, split.seed, None if split.group is None else block)
    except ValueError as error:
        raise UserError(f"{place}: search.folds: cannot cut the rows into {folds}: {error}") from None
    for number, rows in enumerate(held_out(found.folds if found.folds is not None else np.zeros(0))):
        if not is_defined(arrays.metric, found.validation.y[rows], arrays.target):
            raise UserError(
                f"{place}: search.folds: {arrays.metric} is not defined on the {len(rows)} rows of fold {number}, "
                "which have too few different answers; name fewer folds"
            )
    return replace(found, block=block)


def _blocks(study: Study, dataset: Dataset, index: np.ndarray, place: str) -> np.ndarray | None:
    table, split = None if dataset.raw is None else dataset.raw.table, study.data.split
    return blocks(table, split, index, place, study.data.formats.get(split.time or ""))


def _cuts(arrays: Arrays, most: int, place: str) -> dict[int, np.ndarray]:
    """What pieces need, where they fit into the memory."""
    found = cuts(arrays, most)
    columns = sum(len(points) - 1 for points in found.values())
    if columns * len(arrays.train.y) * 4 > MOST_BYTES:
        raise UserError(
            f"{place}: params.pieces: {most} pieces of {len(found)} numbers in {len(arrays.train.y)} rows are "
            f"{columns} inputs more, which would fill the memory; choose fewer"
        )
    return found


def _without_training(study: Study) -> Study:
    """The study's data, with the plain net and no parameters."""
    plain: dict[str, Any] = {"net": "mlp", "objective": None, "init_from": None, "params": {}, "search": Search()}
    return _with_batch(study.model_copy(update=plain), 1)


def _with_batch(study: Study, size: int) -> Study:
    return study.model_copy(update={"params": {**study.params, "batch_size": Fixed(value=size)}})


def _own_training(study: Study, home: Path, place: str, tell: Callable[[str], None]) -> Prepared:
    """A study with a training function of the user's own."""
    base = home.resolve()
    space = check_names(study, place)
    code = find(str(study.objective), base, f"{place}: objective")
    tell(f"objective: {code.told}")
    code.load(f"{place}: objective")
    loader = _own_loader(study, base, place, tell)
    scorer, metric = _own_metric(study, base, place, tell)
    dataset = load(study.data, home, place, loader) if study.data.source else Dataset.none()
    name = study.search.metric or PROPER[dataset.target.task]
    if name not in OURS and not is_code(name):
        metric = Own(name, base, str(study.search.direction))
        metric.register()
    elif study.data.source:
        check_task(study.model_copy(update={"params": {}}), dataset.target.task, place)
    codes = tuple(one for one in (code, loader, scorer) if one is not None)
    objective = Reference(str(study.objective), base)
    arrays, net = dataset.arrays(name), Net("mlp")
    arrays = replace(arrays, block=_blocks(study, dataset, arrays.validation.index, place))
    return Prepared(study, place, base, net, codes, metric, objective, space, dataset, arrays, arrays)


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
    trains = of_own({}, {}, anything=False)  # what training itself takes
    passed = [name for name in study.params if name in takes.named or (takes.anything and name not in trains)]
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


def _of_a_row(study: Study, dataset: Dataset) -> int:
    """The examples that a row trains on: the training part, in cross-validation all folds but the largest."""
    rows, folds = len(dataset.train.y), study.search.folds
    if folds is None:
        return rows
    own = len(dataset.train.own_y) + len(dataset.validation.y)
    return rows - len(dataset.train.own_y) + own - -(-own // folds)


def _check_batches(study: Study, space: Space, rows: int, place: str) -> None:
    """A larger batch than there are rows would be a smaller one than the study says."""
    largest, rows = space.highest("batch_size"), _rows_at_least(space, rows)
    if largest > rows:
        raise UserError(
            f"{place}: params.batch_size: the training part has {rows} rows, got {largest}; name fewer"
        )
    if study.net == "mlp" and "batch" in space.choices("norm") and space.lowest("batch_size") == 1:
        raise UserError(f"{place}: params.batch_size: norm: batch needs two examples at least, got 1")


def _check_growing(space: Space, width: int, place: str) -> None:
    """Images that grow begin smaller than they are."""
    starts = [*space.choices("image_start"), space.lowest("image_start"), space.highest("image_start")]
    full = min(space.lowest("image_size") or width, space.highest("image_size") or width)
    if any(start and not _LEAST_SIDE <= start < full for start in starts):
        raise UserError(
            f"{place}: params.image_start: must be from {_LEAST_SIDE} to below {full}, the images' width"
        )


def _rows_at_least(space: Space, rows: int) -> int:
    """The training rows of a trial with the smallest share of them."""
    return max(round(rows * float(space.lowest("train_share"))), 1)


def _check_gpus(study: Study, place: str, capacity: Capacity) -> None:
    """A leg that asks for a GPU that is not there would wait for ever."""
    asked = study.resources.gpus_per_pack
    if asked != "auto" and asked > capacity.gpus:
        raise UserError(f"{place}: resources.gpus_per_pack: {capacity.told}, got {asked:g}")
    if study.resources.device == "cuda" and capacity.gpus == 0:
        raise UserError(f"{place}: resources.device: {capacity.told}, got cuda")
