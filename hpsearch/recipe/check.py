"""Runs the checks: on the data, then on the training set-up, each with its verdict."""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from threadpoolctl import threadpool_limits

from hpsearch.errors import UserError, choices
from hpsearch.nets.build import NETS
from hpsearch.prepared import Prepared
from hpsearch.recipe import (
    capacity,
    controls,
    distributions,
    duplicates,
    dynamics,
    evaluation,
    human,
    initial,
    inputs,
    labels,
    layers,
    leakage,
    mixing,
    more_data,
    overfit,
    peers,
    plain,
    repeat,
    spellings,
    state,
)  # fmt: skip
from hpsearch.recipe.bench import Bench
from hpsearch.recipe.verdict import Finding, judged, skipped
from hpsearch.recipe.view import view


@dataclass(frozen=True)
class Check:
    """`of`: what it looks at: a view of the data, or a bench with the net on it."""

    of: Literal["data", "net"]
    look: Callable[[Any], Finding]


CHECKS: dict[str, Check] = {
    "D1.classes": Check("data", distributions.classes),
    "D1.spellings": Check("data", spellings.spellings),
    "D1.target": Check("data", distributions.target),
    "D1.missing": Check("data", distributions.missing),
    "D1.formats": Check("data", distributions.formats),
    "D1.constant": Check("data", distributions.constant),
    "D1.outliers": Check("data", distributions.outliers),
    "D1.identifiers": Check("data", distributions.identifiers),
    "D1.normalised": Check("data", distributions.normalised),
    "D1.leakage": Check("data", leakage.leakage),
    "D1.drift": Check("data", distributions.drift),
    "D2.duplicates": Check("data", duplicates.duplicates),
    "D2.leakage": Check("data", duplicates.leakage),
    "D2.extra": Check("data", duplicates.extra),
    "D2.conflicts": Check("data", duplicates.conflicts),
    "D2.near": Check("data", duplicates.near),
    "D2.labels": Check("net", labels.labels),
    "R1": Check("net", repeat.same_seed),
    "R2": Check("net", plain.trains),
    "R2.frozen": Check("net", plain.all_weights_move),
    "R2.state": Check("net", state.registered),
    "R3": Check("net", evaluation.in_full),
    "R3.norms": Check("net", evaluation.norms_estimate),
    "R4": Check("net", initial.zeroed),
    "R5": Check("net", initial.fresh),
    "R6": Check("net", human.agreement),
    "R7": Check("net", controls.inputs_matter),
    "R8": Check("net", overfit.one_batch),
    "R9": Check("net", capacity.wider_fits_better),
    "R10": Check("net", inputs.decoded),
    "R10.scale": Check("net", inputs.scaled),
    "R11": Check("net", dynamics.settle),
    "R12": Check("net", mixing.alone),
    "R14": Check("net", peers.beaten),
    "O1": Check("net", plain.no_hero),
    "O2": Check("net", plain.rate),
    "O4": Check("net", plain.constant_rate),
    "O5": Check("net", capacity.floor),
    "G1": Check("net", more_data.learning_curve),
    "G13.dead": Check("net", layers.dead_units),
    "G13.saturated": Check("net", layers.saturation),
    "G13.gradients": Check("net", layers.gradients),
}


def chosen(only: Sequence[str], place: str = "--only") -> list[str]:
    """The checks of these ids, in any case; an id without a word has all of its row, a letter all of its stage.

    Raises:
        UserError: there is none of an id.
    """
    wanted = {name.lower() for name in only}
    for name in only:
        if not any(name.lower() in _names(known) for known in CHECKS):
            stages = list(dict.fromkeys(part for known in CHECKS for part in (known[0], known.split(".")[0])))
            raise UserError(
                f"{place}: there is no check {name!r}; choose from {', '.join(stages)}, or one of theirs, such as "
                "D2.near"
            )
    return [known for known in CHECKS if not only or _names(known) & wanted]


def _names(known: str) -> set[str]:
    """What a check is called: D2.near, D2 and D."""
    return {known.lower(), known.split(".")[0].lower(), known[0].lower()}


def require_known(accepted: Mapping[str, str], place: str) -> None:
    """A finding is accepted by its whole id: one reason is not that of all checks of a row.

    Raises:
        UserError: there is no check of an id.
    """
    for name in accepted:
        if name not in CHECKS:
            raise UserError(f"{place}: accept: there is no check {name!r}; {choices(_of_row(name))}")


def _of_row(row: str) -> list[str]:
    """The checks of a row, or all where there is no such row."""
    return [known for known in CHECKS if known.split(".")[0] == row] or list(CHECKS)


def run(
    prepared: Prepared,
    only: Sequence[str] = (),
    tell: Callable[[str, Finding], None] = lambda name, finding: None,
    begin: Callable[[str, int, int], None] = lambda name, before, total: None,
) -> dict[str, Finding]:
    """Each check's finding, in order; `begin` hears of each before it is run, and of how many; `tell` after it."""
    benches: dict[str, Any] = {}
    found: dict[str, Finding] = {}
    names = chosen(only)
    for name in names:
        begin(name, len(found), len(names))
        found[name] = _looked(CHECKS[name], prepared, benches)
        tell(name, found[name])
    return found


def _looked(check: Check, prepared: Prepared, benches: dict[str, Any]) -> Finding:
    if prepared.dataset.raw is None:
        return skipped("the study's training function has data of its own")
    if check.of == "net" and prepared.objective is not None:
        return skipped("the study's training function has a net of its own")
    try:
        if check.of not in benches:
            benches[check.of] = view(prepared) if check.of == "data" else Bench(prepared)
        with _threads(benches[check.of]):
            return check.look(benches[check.of])
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        if check.of == "data" or prepared.net.name in NETS:
            raise  # a fault of ours, and not of the user's net
        at = traceback.extract_tb(error.__traceback__)[-1]
        text = (
            f"{type(error).__name__}: {' '.join(str(error).split())[:200]} ({Path(at.filename).name}:{at.lineno})"
        )
        return judged(
            True,
            False,
            f"it could not be run: {text}",
            "a run to its end",
            "look at what the net does in training",
        )


@contextmanager
def _threads(bench: Any) -> Iterator[None]:
    """One, unless products are large: small ones gain nothing by a second, for which a busy machine waits."""
    if isinstance(bench, Bench) and bench.size.wide:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def to_json(found: Mapping[str, Finding], accepted: Mapping[str, str]) -> list[dict[str, Any]]:
    """As check.json has it: an accepted finding keeps its verdict and says why it is accepted."""
    entries = []
    for name, finding in found.items():
        entry = finding.to_json(name)
        entries.append(entry | {"accepted": accepted[name]} if name in accepted else entry)
    return entries


def failed(found: Mapping[str, Finding], accepted: Mapping[str, str]) -> list[str]:
    """The checks that stop a launch."""
    return [name for name, finding in found.items() if finding.verdict == "fail" and name not in accepted]
