"""Candidates whose nets are what they predicted: checked before anything is chosen for good, scored or exported.

A worker has checked each net of the user's where it was trained. Here the nets are built in another process.
"""

from collections.abc import Sequence
from typing import Any

from hpsearch.code import is_code
from hpsearch.errors import RunError
from hpsearch.pack.rebuild import rebuild_failure
from hpsearch.prepared import Prepared
from hpsearch.search.progress import Reporter
from hpsearch.squeeze.candidates import Candidate, which
from hpsearch.squeeze.choose import choose


def choose_rebuilt(
    library: Sequence[Candidate], prepared: Prepared, report: Reporter
) -> tuple[dict[str, Any], list[Candidate], list[Candidate]]:
    """Choose the ensemble, without candidates whose rebuilt nets do not reproduce what they predicted.

    Returns:
        what is said of the ensemble, its members, and the library that is left, whose top is checked too.

    Raises:
        RunError: none is left.
    """
    left = list(library)
    sound: set[int] = set()  # ids of candidates
    while True:
        ensemble, members = choose(left, prepared)
        if not is_code(prepared.net.name):
            return ensemble, members, left
        used = [*members, *left[: prepared.study.squeeze.ensemble]]
        reasons = {id(one): _failure(one, prepared) for one in used if id(one) not in sound}
        broken = {place: reason for place, reason in reasons.items() if reason is not None}
        if not broken:
            return ensemble, members, left
        sound |= reasons.keys() - broken.keys()
        for one in left:
            if id(one) in broken:
                report.note(f"trial {one.trial} ({one.kind}, epoch {one.epoch}) is left out: {broken[id(one)]}")
        left = [one for one in left if id(one) not in broken]
        if not left:
            raise RunError(f"no trial's net can be rebuilt; the first: {next(iter(broken.values()))}")


def _failure(one: Candidate, prepared: Prepared) -> str | None:
    """Why one of the candidate's nets is not what it predicted, or None."""
    factory = prepared.net.factory()
    reasons = (rebuild_failure(factory, state, prepared.searched, which(one)) for state in one.states)
    return next((reason for reason in reasons if reason is not None), None)
