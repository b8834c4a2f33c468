"""What a launch looks like in a terminal: a live view, and the closing table. Plain lines elsewhere."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.status import Status
from rich.table import Table
from rich.text import Text

from hpsearch.commands import proposed
from hpsearch.deploy import advise
from hpsearch.recipe.verdict import Finding, some
from hpsearch.relaunch import again
from hpsearch.search.progress import Seen

if TYPE_CHECKING:
    from hpsearch.squeeze.ablate import Effect

_PLAIN_EVERY_S = 10.0


class Screen:
    """Hears of a run's course and shows it: live where there is a terminal, else a line now and then."""

    def __init__(self, console: Console, name: str) -> None:
        self.console, self.name = console, name
        self._stage, self._since, self._said = "", time.monotonic(), 0.0
        self._before: float | None = None  # the share that was done when this stage was first seen
        self._live: Live | None = None

    def __enter__(self) -> "Screen":
        if self.console.is_terminal:
            self._live = Live(Text(""), console=self.console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def note(self, text: str) -> None:
        self.console.print(escape(text), highlight=False)

    def stage(self, name: str) -> None:
        self._stage, self._since, self._said, self._before = name, time.monotonic(), 0.0, None
        if self._live is None:
            self.console.print(f"stage: {name}", highlight=False)
        else:
            self._live.update(self._panel(None))

    def progress(self, view: Seen) -> None:
        self._before = view.share if self._before is None else self._before
        if self._live is not None:
            self._live.update(self._panel(view))
        elif time.monotonic() - self._said > _PLAIN_EVERY_S:
            self._said = time.monotonic()
            self.console.print(self._line(view), highlight=False)

    def _panel(self, view: Seen | None) -> RenderableType:
        head = Text.assemble((self.name, "bold"), "  ", (self._stage, "cyan"))
        if view is None:
            return head
        bar = ProgressBar(total=1.0, completed=view.share, width=40)
        return Group(head, bar, Text(self._line(view)))

    def _line(self, view: Seen) -> str:
        took, left = time.monotonic() - self._since, ""
        gone = view.share - (self._before or 0.0)
        if view.even and gone > 0.02 and view.share < 1:
            left = f", about {_time(took / gone * (1 - view.share))} left"
        return f"{view.told} in {_time(took)}{left}"


_COLOURS = {"pass": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}


class Verdicts:
    """Shows findings as they come, in a terminal what is looked at now, and counts them at the end."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._counts, self._accepted = dict.fromkeys(_COLOURS, 0), dict.fromkeys(_COLOURS, 0)
        self._now: Status | None = None

    def __enter__(self) -> "Verdicts":
        if self.console.is_terminal:
            self._now = self.console.status("")
            self._now.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._now is not None:
            self._now.stop()
        if any(self._counts.values()):
            told = [f"{count} {word}{self._of_these(word)}" for word, count in self._counts.items() if count]
            stopped = "" if kind is None else "; stopped before the others, and nothing is written"
            self.console.print(Text(", ".join(told) + stopped))

    def _of_these(self, word: str) -> str:
        count = self._accepted[word]
        return f" ({count} accepted)" if count else ""

    def note(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)

    def begin(self, name: str, before: int, total: int) -> None:
        if self._now is not None:
            self._now.update(f"{name}, {before + 1} of {total}")

    def tell(self, name: str, finding: Finding, accepted: str | None) -> None:
        self._counts[finding.verdict] += 1
        self._accepted[finding.verdict] += accepted is not None
        word = (f"{finding.verdict:5}", _COLOURS[finding.verdict])
        self.console.print(Text.assemble(word, f"{name:15}", finding.measured))
        if finding.expected and finding.verdict != "pass":
            self.console.print(Text(f"{'':20}expected: {finding.expected}", style="dim"))
        if finding.rows:
            self.console.print(Text(f"{'':20}rows: {some(finding.rows, 12)}", style="dim"))
        if accepted is not None:
            self.console.print(Text(f"{'':20}accepted: {accepted}"))
        elif finding.advice:
            self.console.print(Text(f"{'':20}{finding.advice}"))


def _time(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def show_end(console: Console, summary: dict[str, Any], root: Path) -> None:
    """The end of a launch: who scored what, and where the files are."""
    console.print(_table(summary))
    for line in _closing_lines(summary, root):
        console.print(Text(line), soft_wrap=True)  # a path is never broken


def _table(summary: dict[str, Any]) -> Table:
    metrics = list(summary["best"]["validation"])
    table = Table(title=f"{summary['study']}: {_counts(summary['trials'])}", title_justify="left")
    table.add_column("")
    for part in ("validation", "test"):
        for metric in metrics:
            table.add_column(f"{part}\n{metric}", justify="right")
    for name, entry in _contenders(summary):
        parts = [entry[part] or {} for part in ("validation", "test")]
        cells = [_number(scores.get(metric)) for scores in parts for metric in metrics]
        table.add_row(escape(name), *cells)
    return table


def _closing_lines(summary: dict[str, Any], root: Path) -> list[str]:
    lines = [
        *_gain(summary["ensemble"]),
        *_luck(summary),
        *_folds(summary),
        f"took {_time(summary['seconds']['total'])}",
        *([f"{summary['trials']['waiting']} trials wait; {again(root)}"] if summary["trials"]["waiting"] else []),
        f"trials   {root / 'trials.csv'}",
        f"summary  {root / 'summary.json'}",
    ]
    why, *commands = advise(summary, root).lines
    lines += [why, *(f"         {command}" for command in commands)]
    if summary["no_export"]:
        return [*lines, f"export   none: {summary['no_export']}"]
    return [
        *lines,
        f"export   {root / 'export'}",
        f"         {proposed('predict', root / 'export', 'INPUT', out='FILE.csv')}",
    ]


def _gain(ensemble: dict[str, Any] | None) -> list[str]:
    if ensemble is None:
        return []
    gain = {name: _number(value, "+") for name, value in ensemble["gain"].items()}
    return [
        f"gain of the ensemble over the best trial, cross-fitted on validation: {gain['value']} "
        f"(95 % {gain['low']} to {gain['high']}; naive {gain['naive']})"
    ]


def _luck(summary: dict[str, Any]) -> list[str]:
    """What the winners come to with new seeds."""
    found, metric = summary.get("again") or {}, summary["metric"]
    lines = []
    for name, told in found.items():
        one = told["validation"]
        if one["luck"] is not None:
            before = ", before it went on" if summary["prolonged"] else ""
            who = f"the {'best trial' if name == 'best' else name}{before}"
            mean = sum(one["again"]) / len(one["again"])
            lines.append(
                f"with {len(one['again'])} new seeds {who}: {metric} {_number(mean)} on validation, where it won "
                f"with {_number(one['won'])}: luck {_number(one['luck'], '+')}"
            )
    return lines


def _folds(summary: dict[str, Any]) -> list[str]:
    if summary.get("folds") is None:
        return []
    student = "; student and its net alone of the validation part, which their teacher has seen"
    return [
        f"validation is of all {summary['folds']} folds, each row predicted by nets that had not seen it"
        f"{student if summary['student'] else ''}"
    ]


def show_effects(
    console: Console, effects: "Sequence[Effect]", means: Mapping[str, float | None], root: Path
) -> None:
    """What each trick is worth, with its interval; `means` are the variants' scores."""
    table = Table(title=f"{root.name}: what each trick is worth (above zero is better)", title_justify="left")
    for column in ("trick", "value", "taken from the best trial", "added to the baseline"):
        table.add_column(column)
    for effect in effects:
        cells = [_interval(found) for found in (effect.taken_away, effect.added)]
        table.add_row(
            effect.trick,
            escape(f"{effect.value:.4g}" if isinstance(effect.value, float) else str(effect.value)),
            *cells,
        )
    console.print(table)
    console.print(
        Text(f"over all seeds: best trial {_number(means['best'])}, baseline {_number(means['baseline'])}")
    )
    console.print(Text(f"effects  {root / 'ablation' / 'ablation.json'}"), soft_wrap=True)


def _interval(found: tuple[float, float, float] | None) -> str:
    if found is None:
        return "too few seeds finished"
    return "{} ({} to {})".format(*(_number(value, "+") for value in found))


def _number(value: float | None, sign: str = "") -> str:
    return "none" if value is None else f"{round(value, 4) + 0.0:{sign}.4f}"  # + 0.0: no -0.0000


def _contenders(summary: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    went_on = ", prolonged" if summary["best"].get("kind") == "prolonged" else ""
    named = [(f"best trial ({summary['best']['trial']}{went_on})", summary["best"])]
    if summary["best"].get("calibrated", {}).get("temperature", 1) != 1:
        named.append(("best trial, calibrated", summary["best"]["calibrated"]))
    if summary["ensemble"] is not None:
        named.append((f"ensemble of {len(summary['ensemble']['members'])}", summary["ensemble"]))
    if summary["student"] is not None:
        student = summary["student"]
        share = f", {student['share']:.0%} of the size" if "share" in student else ""
        named += [(f"student{share}", student), ("student's net alone", student["alone"])]
    return named


def _counts(trials: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in trials.items() if count)


def standing(status: dict[str, Any], root: Path) -> str:
    """`hpsearch status` in a line."""
    best = "none yet" if status["best"] is None else f"{status['best']:.6g}"
    if status["launched"]:
        end = f"a launch is at it, stage {status['stage'] or 'setting up'}"
    else:
        end = "finished" if status["finished"] else "not finished"
    counts = _counts(status["trials"]) or "none drawn"
    line = f"{status['study']}: {end}; {counts} of {status['total']} trials; best {best}"
    return line if status["launched"] or status["finished"] else f"{line}\n{again(root)}"
