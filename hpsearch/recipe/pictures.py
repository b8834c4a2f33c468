"""What a check shows: a few kinds of picture, drawn when they are wanted."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpsearch.files import write_with

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[["Figure"], None]
_MOST_IMAGES = 40


def save(draw: Draw, title: str, path: Path) -> None:
    """A PNG, beside the target and then in its place."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a home that cannot be written is worth no words
    from matplotlib.figure import Figure  # takes a second to import

    figure = Figure(figsize=(8, 5), dpi=100, layout="constrained")
    draw(figure)
    figure.suptitle(_plain(title), fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_with(path, lambda to: figure.savefig(to, format="png"))


def bars(groups: Mapping[str, Sequence[float]], names: Sequence[str], label: str) -> Draw:
    """Bars side by side: one of each group at each name."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        width, at = 0.8 / len(groups), np.arange(len(names))
        for i, (group, values) in enumerate(groups.items()):
            axes.bar(at + (i - (len(groups) - 1) / 2) * width, values, width, label=group)
        axes.set_xticks(at, [_plain(name, 20) for name in names], rotation=45 if len(names) > 6 else 0, ha="right")
        axes.set_ylabel(label)
        axes.legend()

    return draw


def lines(
    series: Mapping[str, np.ndarray], across: str, up: str, x: Sequence[float] | None = None, log: bool = False
) -> Draw:
    """Lines [T] or bundles of lines [T, n] of one colour, each series with its name; at x, else at 1, 2, …"""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for i, (name, values) in enumerate(series.items()):
            at = np.arange(1, len(values) + 1) if x is None else x
            bundle = values.ndim > 1
            drawn = axes.plot(
                at, values, color=f"C{i}", marker="." if len(values) < 10 else None, alpha=0.4 if bundle else 1
            )
            if drawn:
                drawn[0].set_label(name)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        if log:
            axes.set_xscale("log")
            axes.set_yscale("log")
        if len(series) > 1:
            axes.legend()

    return draw


def images(x_NCHW: Sequence[np.ndarray] | np.ndarray, titles: Sequence[str], columns: int = 8) -> Draw:
    """Pictures [C, H, W] in rows, grey or in colour, each stretched to its own darkest and brightest."""
    x_NCHW, titles = x_NCHW[:_MOST_IMAGES], titles[:_MOST_IMAGES]

    def draw(figure: "Figure") -> None:
        rows = -(-len(x_NCHW) // columns)
        grid = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
        for axes in grid:
            axes.axis("off")
        for axes, image, title in zip(grid, x_NCHW, titles, strict=False):
            low, high = float(image.min()), float(image.max())
            seen = (image - low) / (high - low if high > low else 1)
            axes.imshow(seen[:3].transpose(1, 2, 0) if len(seen) >= 3 else seen[0], cmap="gray", vmin=0, vmax=1)
            axes.set_title(_plain(title), fontsize=8)

    return draw


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Draw:
    """A small table of text."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        axes.axis("off")
        cells = [[_cell(value) for value in row] for row in rows]
        axes.table(cells, colLabels=[_cell(name) for name in columns], loc="center", cellLoc="center")

    return draw


def heat(values: np.ndarray, across: Sequence[str], up: str, label: str) -> Draw:
    """A matrix as colours, blue below zero and red above."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        most = float(np.abs(values).max()) or 1.0
        shown = axes.imshow(values, cmap="coolwarm", vmin=-most, vmax=most, aspect="auto")
        if len(across) <= 40:
            axes.set_xticks(
                np.arange(len(across)), [_plain(name, 15) for name in across], rotation=60, ha="right", fontsize=7
            )
        axes.set_ylabel(up)
        axes.set_xlabel("input")
        figure.colorbar(shown, label=label)

    return draw


def _cell(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return _plain(text if len(text) <= 14 else f"{text[:13]}…")


def _plain(text: object, most: int | None = None) -> str:
    """Text of the data's: what stands between two dollars would be read as a formula."""
    return str(text)[:most].replace("$", r"\$")
