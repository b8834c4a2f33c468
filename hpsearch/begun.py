"""What a run folder already holds, against the study that is launched into it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.data.own import REPEATABLE
from hpsearch.data.sketch import difference, sketch
from hpsearch.data.sources import names_code
from hpsearch.errors import DamagedError, UserError
from hpsearch.export import manifest
from hpsearch.files import read_json, set_aside, write_json, write_text
from hpsearch.folder import Folder
from hpsearch.pack import checkpoint
from hpsearch.prepared import Prepared
from hpsearch.search import ledger, packing
from hpsearch.search.packing import Plan
from hpsearch.squeeze.kept import WHAT
from hpsearch.study import Study, dump_study, load_study

Tell = Callable[[str], None]
_SHOWN, _LONGEST = 4, 60  # differences that are told, and letters of a value


@dataclass(frozen=True)
class Identity:
    """What a run folder says of the study it belongs to; each of its files can stand in for the other."""

    study: dict[str, Any] | None
    data: str | None
    code: dict[str, Any] | None  # hashes of the files with the user's own code
    damaged: tuple[Path, ...]  # files that cannot be read
    sketch: dict[str, Any] | None = None  # of its data as they were read


def refuse_changed(folder: Folder, prepared: Prepared, plan: Plan | None) -> None:
    """A study that has begun may change in its trials (up), its timeout and its resources, and in nothing else.

    Raises:
        UserError: it changed in something else, or the plan is another study's.
    """
    count, name = prepared.study.search.trials, prepared.study.name
    if plan is not None and plan.trials != set(range(count)):
        raise UserError(f"--plan: the plan has {len(plan.trials)} trials, and the study {count}")
    for leg in plan.legs if plan is not None else ():
        shapes = {tuple(prepared.params(trial)[n] for n in prepared.space.structural()) for trial in leg.trials}
        if len(shapes) > 1:
            raise UserError(f"--plan: leg {leg.leg} has trials of several structures: it is another study's")
    manifest.refuse_strangers(folder.export)
    if not any(path.exists() for path in (folder.study, folder.origin, folder.ledger, folder.summary)):
        return
    _refuse_other_plan(folder, plan)
    before = _identity(folder, name)
    if before.study is None or before.data is None:
        lost = folder.study if before.study is None else folder.origin
        raise UserError(f"{lost}: is missing or broken; give --runs another folder")
    changed = [
        f"{key}: {_told(old)} → {_told(new)}"
        for key, old, new in _differences(before.study, _fixed(prepared.study))
    ]
    if before.code not in (None, _code(prepared)):
        changed.append("the code or the weights that it names")
    if before.data != prepared.dataset.fingerprint():
        if not changed:
            _refuse_other_loading(folder, prepared, before)
        changed.append("data.source: its rows")
    if changed:
        more = f"; and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise UserError(
            f"{folder.root}: belongs to another study: give this one another name, or --runs another folder. "
            f"It differs in {'; '.join(changed[:_SHOWN])}{more}"
        )
    drawn = _drawn(folder, name)
    if count < drawn:
        raise UserError(
            f"{prepared.place}: search.trials: {drawn} are drawn already, got {count}; give {drawn} or more"
        )


def _refuse_other_loading(folder: Folder, prepared: Prepared, before: Identity) -> None:
    """The same loader, unchanged, that returns other data is at fault, and not the study.

    Raises:
        UserError: the data are a loader's.
    """
    source, raw = prepared.study.data.source, prepared.dataset.raw
    if not names_code(source):
        return
    told = "" if raw is None else difference(before.sketch, sketch(raw))
    raise UserError(
        f"{folder.root}: {source} returned other data than at the first launch{f': {told}' if told else ''}. "
        f"{REPEATABLE}. Then give the study another name, or --runs another folder"
    )


def _refuse_other_plan(folder: Folder, plan: Plan | None) -> None:
    """A run keeps the plan that it began with, whatever it has appended since."""
    if plan is None or not folder.plan.exists():
        return
    try:
        mine = packing.read(folder.plan)
    except UserError:
        return  # it is set aside, and the one given takes its place
    if mine.legs[: len(plan.legs)] != plan.legs:
        raise UserError(f"--plan: {folder.plan} is another one, which this run goes by; leave it out")


def refuse_links(folder: Folder) -> None:
    """A file of a run that is a link to another would be written through: into anybody's file.

    Raises:
        UserError: the run folder has one.
    """
    theirs = folder.trial(0).parent  # a training function of the user's own links there what it likes
    for path in sorted(folder.root.rglob("*")) if folder.root.is_dir() else ():
        if path.is_symlink() and theirs not in path.parents:
            raise UserError(f"{path}: is a link, and a run's files are files; remove it")


def enter(folder: Folder, prepared: Prepared, tell: Tell, launched: Mapping[str, Any] | None = None) -> None:
    """Writes what identifies the run: the study with its overrides, where it came from, a hash of its data.

    `launched`: how the launch was asked for, see `relaunch`.
    """
    for path in _identity(folder, prepared.study.name).damaged:
        tell(f"{path}: cannot be read; set aside as {set_aside(path).name}, and written anew")
    write_json(
        folder.origin,
        {
            "study": prepared.place,
            "base": str(prepared.base),
            "data": prepared.dataset.fingerprint(),
            "fixed": _fixed(prepared.study),
            "code": _code(prepared),
            **({} if launched is None else {"launched": dict(launched)}),
            **_sketched(prepared),
        },
    )
    write_text(folder.study, dump_study(prepared.study))  # last: a folder that has it has begun


def _sketched(prepared: Prepared) -> dict[str, Any]:
    """What tells how a loader's data differ at a later launch; files have no need of it."""
    raw = prepared.dataset.raw
    return {"sketch": sketch(raw)} if raw is not None and names_code(prepared.study.data.source) else {}


def home(folder: Folder) -> Path:
    """The folder from which the relative paths of a run's study begin.

    Raises:
        UserError: the run does not say.
    """
    try:
        return Path(read_json(folder.origin)["base"])
    except (FileNotFoundError, DamagedError, KeyError, TypeError):
        raise UserError(
            f"{folder.origin}: is missing or broken; launching its study again writes it anew"
        ) from None


def about(prepared: Prepared) -> dict[str, Any]:
    """What verdicts on a study depend on: the study, its data and its code."""
    human = prepared.study.human
    second = None if human is None else human.labels
    return {
        "fixed": _fixed(prepared.study),
        "human": None if human is None else human.model_dump(mode="json"),
        "labels": None if second is None else hashlib.sha256((prepared.base / second).read_bytes()).hexdigest(),
        "version": version("hpsearch"),
        "data": prepared.dataset.fingerprint(),
        "code": _code(prepared),
    }


def is_finished(folder: Folder, study: Study, tell: Tell) -> bool:
    """Whether the run has its results, for as many trials as the study now has.

    A result that is damaged is set aside, and made anew.
    """
    sound = True
    for path, check in _RESULTS.items():
        place = folder.root / path
        if place.exists() and not check(place):
            tell(f"{place}: is damaged; set aside as {set_aside(place).name}, and made anew")
            sound = False
    if not sound or not folder.summary.exists():
        return False
    summary = read_json(folder.summary)
    there = [folder.trials, *([] if summary["no_export"] else [folder.export])]
    there += [folder.members] if summary["ensemble"] is not None else []
    if study.objective is None:  # whose nets nobody knows
        there += [folder.nets(what) for what in WHAT if summary[what] is not None]
    counts = summary["trials"]
    if sum(counts.values()) != study.search.trials or counts["waiting"]:
        return False
    if folder.trials.exists() and len(pd.read_csv(folder.trials)) != sum(counts.values()):
        tell(f"{folder.trials}: is damaged; set aside as {set_aside(folder.trials).name}, and made anew")
    if folder.members.exists() and read_json(folder.members) != summary["ensemble"]:
        tell(
            f"{folder.members}: is not the summary's; set aside as {set_aside(folder.members).name}, and made anew"
        )
    return all(path.exists() for path in there)


def _is_summary(path: Path) -> bool:
    try:
        value = read_json(path)
        whole = value.keys() >= {"study", "best", "ensemble", "student", "seconds", "test_scored", "no_export"}
        return whole and set(value["trials"]) == {"complete", "pruned", "failed", "waiting"}
    except (DamagedError, KeyError, TypeError, AttributeError):
        return False


def _ends(path: Path) -> bool:
    """Whether a file's last line is whole."""
    return path.read_bytes().endswith(b"\n")


def _is_table(path: Path) -> bool:
    try:
        return list(pd.read_csv(path).columns[:3]) == ["number", "state", "value"] and _ends(path)
    except ValueError:  # pandas' errors are among these
        return False


def _is_json(path: Path) -> bool:
    try:
        return isinstance(read_json(path), dict)
    except DamagedError:
        return False


def _reads(read: Callable[[Path], object]) -> Callable[[Path], bool]:
    """Whether what is at a path can be read so."""

    def sound(path: Path) -> bool:
        try:
            read(path)
        except (DamagedError, UserError):
            return False
        return True

    return sound


_RESULTS: dict[str, Callable[[Path], bool]] = {
    "summary.json": _is_summary,
    "trials.csv": _is_table,
    "ensemble/members.json": _is_json,
    "export": _reads(manifest.read),
    **{f"nets/{what}.safetensors": _reads(checkpoint.load) for what in WHAT},
}


def _identity(folder: Folder, name: str) -> Identity:
    damaged = []
    study: dict[str, Any] | None = None
    code: dict[str, Any] | None = None
    seen: dict[str, Any] | None = None
    data = ledger.data(folder.ledger, name)
    try:
        origin = read_json(folder.origin)
        study, code, seen = origin.get("fixed"), origin.get("code"), origin.get("sketch")
        if data is None:
            data = origin["data"]
        elif data != origin["data"]:
            damaged.append(folder.origin)
    except FileNotFoundError:
        pass  # the others know
    except (DamagedError, KeyError, TypeError, AttributeError):
        damaged.append(folder.origin)
    try:
        study = _fixed(load_study(folder.study))
    except UserError:
        if folder.study.exists():
            damaged.append(folder.study)
    return Identity(study, data, code, tuple(damaged), seen)


def _code(prepared: Prepared) -> dict[str, Any]:
    """Hashes of what a study names beside its data: the user's own code, and weights that nets start from."""
    weights = prepared.arrays.weights
    start = {} if weights is None else {str(prepared.study.init_from): _digest(weights)}
    return {code.spec: code.fingerprint() for code in prepared.code} | start


def _digest(weights: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"\n{name} {tensor.dtype} {tensor.shape}\n".encode() + tensor.tobytes())
    return digest.hexdigest()[:32]


def _drawn(folder: Folder, name: str) -> int:
    try:
        return len(ledger.read(folder.ledger, name))
    except DamagedError:
        return 0  # it will be set aside, and all trials enter anew


def _fixed(study: Study) -> dict[str, Any]:
    """What may not change once the study has begun."""
    return study.model_dump(
        mode="json",
        exclude={
            "resources": True,
            "storage": True,
            "human": True,
            "accept": True,
            "search": {"trials": True, "timeout": True},
        },
    )


def _told(value: Any) -> str:
    if isinstance(value, dict):  # a parameter: without what is as always
        value = {key: part for key, part in value.items() if part or key not in ("when", "column", "log", "step")}
        value = value.get("value", value.get("choices", value)) if len(value) == 1 else value
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _differences(a: Any, b: Any, place: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(a, dict) and isinstance(b, dict):
        keys = dict.fromkeys([*a, *b])
        return [d for key in keys for d in _differences(a.get(key), b.get(key), f"{place}.{key}".lstrip("."))]
    return [] if a == b else [(place.removesuffix(".value"), a, b)]
