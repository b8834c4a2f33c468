"""The ladder of tricks: the best trial with each of its tricks taken away, the plain baseline with each added.

Karpathy's recipe complicates one thing at a time. All variants train side by side as packs, each with several
seeds.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student_t

from hpsearch.errors import UserError
from hpsearch.files import finite, write_json
from hpsearch.folder import Folder
from hpsearch.knobs import KNOBS
from hpsearch.metrics import METRICS
from hpsearch.prepared import Prepared
from hpsearch.search import standing
from hpsearch.search.progress import Reporter
from hpsearch.squeeze import further
from hpsearch.squeeze.further import Row

# what sizes a net or a run is no trick; the baseline has the best trial's
_SIZES = ("epochs", "batch_size", "width", "depth", "lr", "train_share", "image_size", "patience")
_PLAIN_LOSS = {"classification": "cross_entropy", "regression": "squared"}


@dataclass(frozen=True)
class Effect:
    """What a trick is worth in the study's metric on validation, above zero is better.

    `taken_away`: from the best trial; `added`: to the baseline. Each is the difference of two means over seeds,
    and the ends of its 95 % interval (Welch 1947); None where fewer than two seeds finished.
    """

    trick: str
    value: Any
    taken_away: tuple[float, float, float] | None
    added: tuple[float, float, float] | None


def ablate(
    folder: Folder, prepared: Prepared, rows: Sequence[Row], seeds: int, workers: int, report: Reporter
) -> tuple[list[Effect], dict[str, float | None]]:
    """Trains the ladder, and writes `ablation.json`; gives the effects, and each variant's mean score.

    Raises:
        UserError: the best trial has no trick.
    """
    arrays = prepared.searched
    best = prepared.params(standing.ranked(rows, METRICS[arrays.metric].direction)[0]["number"])
    space, own = prepared.space, prepared.net.takes
    usual = {"loss": _PLAIN_LOSS[arrays.target.task]}
    tricks = [
        n for n in space.listed()
        if _is_trick(n) and n not in own and best[n] not in (space[n].default, usual.get(n, space[n].default))
    ]  # fmt: skip
    if not tricks:
        raise UserError(f"{folder.root}: the best trial has no trick that could be taken away")
    plain = {name: value if name in _SIZES or name in own else space[name].default for name, value in best.items()}
    ladder = {"best": best, "baseline": plain}
    for name in tricks:
        companions = [name, *(other for other in best if other in KNOBS and KNOBS[other].needs[:1] == (name,))]
        ladder[f"without {name}"] = {**best, name: plain[name]}
        ladder[f"with {name}"] = {**plain, **{other: best[other] for other in companions}}
    report.note(f"ablate: {len(tricks)} tricks, {len(ladder)} variants of {seeds} seeds each")
    params = [variant for variant in ladder.values() for _ in range(seeds)]
    done = further.train(folder.ablation, prepared, "ablation", params, arrays, workers, report, {})
    values = {row["number"]: row["value"] for row in done if row["state"] == "complete"}
    sign = METRICS[arrays.metric].sign
    scored = {
        variant: sign * np.array([values[n] for n in range(k * seeds, (k + 1) * seeds) if n in values])
        for k, variant in enumerate(ladder)
    }
    for variant, found in scored.items():
        if len(found) < seeds:
            report.note(f"ablate: {variant}: {seeds - len(found)} of {seeds} seeds failed, and are left out")
    effects = [
        Effect(
            name, best[name], _difference(scored["best"], scored[f"without {name}"]),
            _difference(scored[f"with {name}"], scored["baseline"]),
        )
        for name in tricks
    ]  # fmt: skip
    means = {variant: float(sign * found.mean()) if len(found) else None for variant, found in scored.items()}
    finished = {variant: len(found) for variant, found in scored.items()}
    told = {
        "metric": arrays.metric, "seeds": seeds, "effects": [asdict(e) for e in effects], "means": means,
        "finished": finished,
    }  # fmt: skip
    write_json(folder.ablation.root / "ablation.json", finite(told))
    return effects, means


def _is_trick(name: str) -> bool:
    """Neither a size, nor a companion such as focal_gamma, nor a parameter of a net of the user's own."""
    return name in KNOBS and name not in _SIZES and not KNOBS[name].needs


def _difference(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float] | None:
    """mean(a) - mean(b) and the ends of its 95 % interval."""
    if min(len(a), len(b)) < 2:
        return None
    parts = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    middle, error = float(a.mean() - b.mean()), float(np.sqrt(sum(parts)))
    if error == 0:
        return middle, middle, middle
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1))
    half = float(student_t.ppf(0.975, freedom)) * error
    return middle, middle - half, middle + half
