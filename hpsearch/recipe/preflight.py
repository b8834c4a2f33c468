"""The checks and a run folder: verdicts that stand there count while nothing that they are about has changed."""

from collections.abc import Callable, Sequence
from typing import Any

from hpsearch.errors import CheckError, DamagedError
from hpsearch.files import read_json, write_json
from hpsearch.folder import Folder
from hpsearch.prepared import Prepared
from hpsearch.recipe import check
from hpsearch.recipe.pictures import save
from hpsearch.recipe.verdict import Finding

Tell = Callable[[str, Finding, str | None], None]
Begin = Callable[[str, int, int], None]


def look(
    prepared: Prepared, folder: Folder, about: Any, only: Sequence[str], tell: Tell, begin: Begin
) -> list[str]:
    """Runs checks of a sound study; all of them leave check.json. Gives the ids of those that stop a launch.

    `about`: what the verdicts depend on. `begin` hears of each check, with how many are before it and in all;
    `tell` hears each finding, and why it is accepted where it is.

    Raises:
        UserError: there is no check of an id.
    """
    accepted = prepared.study.accept
    check.require_known(accepted, prepared.place)
    if not only:  # a launch that is stopped in the middle must not take old verdicts for its own
        for path in (folder.checked, *folder.pictures.glob("*.png")):
            path.unlink(missing_ok=True)
    found = check.run(prepared, only, lambda name, finding: tell(name, finding, accepted.get(name)), begin)
    folder.pictures.mkdir(parents=True, exist_ok=True)
    if not only:  # before the pictures: no verdict is lost over one of them
        write_json(folder.check, check.to_json(found, accepted))
        write_json(folder.checked, about)  # last: the verdicts are whole
    for name, finding in found.items():
        if finding.picture is not None:
            save(finding.picture, f"{name}: {finding.verdict}", folder.pictures / f"{name}.png")
    return check.failed(found, accepted)


def look_at_data(prepared: Prepared, only: Sequence[str], tell: Tell, begin: Begin) -> None:
    """The checks of the data alone, which leave nothing."""
    names = [name for name in check.chosen(only) if check.CHECKS[name].of == "data"]
    if names:
        check.run(prepared, names, lambda name, finding: tell(name, finding, None), begin)


def require_passed(
    prepared: Prepared, folder: Folder, about: Any, note: Callable[[str], None], begin: Begin, command: str
) -> None:
    """Stops a launch whose checks fail; runs them where there are none of this study, data and code.

    `command`: what shows all verdicts, for the message.

    Raises:
        CheckError: some failed and are not accepted.
        UserError: the study accepts a finding of an id that there is not.
    """
    known = _known(folder, about)
    if known is None:
        look(prepared, folder, about, (), lambda *_: None, begin)
        known = read_json(folder.check)
    else:
        note("checks: as check.json has them, since neither the data nor the net nor the code have changed")
    accepted = prepared.study.accept
    check.require_known(accepted, prepared.place)
    for entry in known:
        if entry["verdict"] in ("warn", "fail"):
            id_ = entry["id"]
            why = f" (accepted: {accepted[id_]})" if id_ in accepted else f"; {entry['advice']}"
            note(f"check {id_}: {entry['verdict']}: {entry['measured']}{why}")
    note("checks: " + ", ".join(f"{count} {word}" for word, count in _counts(known).items() if count))
    stopping = [e for e in known if e["verdict"] == "fail" and e["id"] not in accepted]
    if stopping:
        names, first = [entry["id"] for entry in stopping], stopping[0]
        raise CheckError(
            f"{prepared.place}: {_failed(names)}: {first['advice']}. "
            f"{command} tells more; accept a finding by its id, or give --skip-checks"
        )


def _failed(names: Sequence[str]) -> str:
    """Of which the advice of the first follows."""
    if len(names) == 1:
        return f"check {names[0]} failed"
    return f"{len(names)} checks failed: {', '.join(names)}; {names[0]}"


def _known(folder: Folder, about: Any) -> list[dict[str, Any]] | None:
    try:
        found: list[dict[str, Any]] = read_json(folder.check)
        return found if read_json(folder.checked) == about else None
    except (FileNotFoundError, DamagedError):
        return None


def _counts(entries: Sequence[dict[str, Any]]) -> dict[str, int]:
    words = [entry["verdict"] for entry in entries]
    return {word: words.count(word) for word in ("pass", "warn", "fail", "skip")}
