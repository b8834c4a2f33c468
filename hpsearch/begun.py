"""What a run folder already holds, against the study that is launched into it."""

import json
from typing import Any

from hpsearch.errors import UserError
from hpsearch.folder import Folder, write_json, write_text
from hpsearch.prepare import Prepared
from hpsearch.search import ledger
from hpsearch.search.packing import Plan
from hpsearch.study import Study, dump_study, load_study


def refuse_changed(folder: Folder, prepared: Prepared, plan: Plan | None) -> None:
    """A study that has begun may change in its trials (up), its timeout and its resources, and in nothing else.

    Raises:
        UserError: it changed in something else, or the plan is another study's.
    """
    count = prepared.study.search.trials
    if plan is not None and plan.trials != set(range(count)):
        raise UserError(f"--plan: the plan has {len(plan.trials)} trials, and the study {count}")
    if not folder.study.exists():
        return
    before = load_study(folder.study)
    changed = [
        f"{key}: {old!r} → {new!r}" for key, old, new in _differences(_identity(before), _identity(prepared.study))
    ]
    try:
        data = json.loads(folder.origin.read_text(encoding="utf-8"))["data"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{folder.origin}: is missing or broken; give --runs another folder") from None
    if data != prepared.dataset.fingerprint():
        changed.append("data.source: its rows")
    if changed:
        raise UserError(
            f"{folder.root}: belongs to a study that differs in {'; '.join(changed)}. "
            "Give the study another name, or --runs another folder"
        )
    drawn = len(ledger.read(folder.ledger, prepared.study.name))
    if count < drawn:
        raise UserError(f"{prepared.place}: search.trials: {drawn} are drawn already, got {count}")


def enter(folder: Folder, prepared: Prepared) -> None:
    """Writes what identifies the run: the study with its overrides, where it came from, a hash of its data."""
    write_json(
        folder.origin,
        {"study": prepared.place, "base": str(prepared.base), "data": prepared.dataset.fingerprint()},
    )
    write_text(folder.study, dump_study(prepared.study))  # last: a folder that has it has begun


def is_finished(folder: Folder, study: Study) -> bool:
    """Whether the run has its results, for as many trials as the study now has."""
    if not folder.summary.exists():
        return False
    counts = json.loads(folder.summary.read_text(encoding="utf-8"))["trials"]
    return bool(counts["waiting"] == 0 and sum(counts.values()) == study.search.trials)


def _identity(study: Study) -> dict[str, Any]:
    return study.model_dump(mode="json", exclude={"resources": True, "search": {"trials": True, "timeout": True}})


def _differences(a: Any, b: Any, place: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(a, dict) and isinstance(b, dict):
        keys = dict.fromkeys([*a, *b])
        return [d for key in keys for d in _differences(a.get(key), b.get(key), f"{place}.{key}".lstrip("."))]
    return [] if a == b else [(place.removesuffix(".value"), a, b)]
