"""Writes an export: a folder with the graph, the weights, the preprocessing, a model card and a manifest."""

import json
import secrets
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
from safetensors.torch import save_file
from torch import Tensor, nn

from hpsearch.data import preprocess
from hpsearch.data.dataset import Target
from hpsearch.data.preprocess import Schema
from hpsearch.errors import UserError
from hpsearch.export import manifest
from hpsearch.export.card import Card, inputs, readme
from hpsearch.export.onnx import build_graph
from hpsearch.files import finite, sync, told_when_full, write_json, write_text, write_with
from hpsearch.output import real_path

__all__ = ["Card", "write"]


def write(
    folder: Path,
    members: Sequence[nn.Module],
    weights: Sequence[float],
    schema: Schema,
    target: Target,
    card: Card,
) -> None:
    """Writes an export to `folder`, whole or not at all; an export that is there already is replaced.

    Arguments are `build_graph`'s; `card.members` describes the members in the same order.

    Raises:
        UserError: `folder` holds something else than an export, or cannot be written.
        RunError: a net has no ONNX form, or the disk is full.
    """
    assert len(card.members) == len(members)
    folder = real_path(folder, "--to")  # what a link points to is replaced, not the link
    try:
        manifest.refuse_strangers(folder)
        graph = build_graph(members, weights, schema, target, card.temperature)
        with told_when_full(folder):
            beside = _make_beside(folder)
            try:
                _fill(beside, graph, members, weights, schema, target, card)
                _keep_permissions(beside, folder)
                _put(beside, folder)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _fill(
    folder: Path,
    graph: onnx.ModelProto,
    members: Sequence[nn.Module],
    weights: Sequence[float],
    schema: Schema,
    target: Target,
    card: Card,
) -> None:
    """Every file of the export, each synced to disk, the manifest last."""
    data = graph.SerializeToString(deterministic=True)
    write_with(folder / "model.onnx", lambda path: _write_bytes(path, data))
    metadata = {"weights": json.dumps(list(weights))}  # one entry: safetensors writes more in any order
    write_with(folder / "model.safetensors", lambda path: save_file(_tensors(members), path, metadata=metadata))
    write_json(folder / "preprocess.json", preprocess.to_json(schema))
    write_text(folder / "README.md", readme(card, schema, target, weights))
    outputs = [output.name for output in graph.graph.output]
    write_json(folder / manifest.NAME, manifest.sealed(_manifest(card, weights, schema, target, outputs), folder))


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _tensors(members: Sequence[nn.Module]) -> dict[str, Tensor]:
    """`member.<i>.<name>`; copies, since safetensors refuses tied weights."""
    return {
        f"member.{i}.{name}": tensor.detach().cpu().clone().contiguous()
        for i, member in enumerate(members)
        for name, tensor in member.state_dict().items()
    }


def _manifest(
    card: Card, weights: Sequence[float], schema: Schema, target: Target, outputs: list[str]
) -> dict[str, Any]:
    share = [weight / sum(weights) for weight in weights]
    return {
        "versions": {name: version(name) for name in ("hpsearch", "torch", "onnx", "onnxruntime")},
        "study": card.study,
        "what": card.what,
        "task": target.task,
        "predicts": card.predicts,
        "classes": list(target.classes),
        "metrics": {part: finite(values) for part, values in card.metrics.items()},
        "calibration": {"temperature": card.temperature},
        "members": [{**member, "weight": weight} for member, weight in zip(card.members, share, strict=True)],
        "source": card.source,
        "rows": dict(card.rows),
        "missing": list(card.missing),
        "inputs": inputs(schema),
        "outputs": outputs,
    }


def _make_beside(folder: Path) -> Path:
    """An empty folder of an unused name, with the permissions that the umask leaves."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name[:50]}.{secrets.token_hex(6)}")
    beside.mkdir(mode=0o700 if folder.exists() else 0o777)
    return beside


def _keep_permissions(beside: Path, folder: Path) -> None:
    """A private export that is written again stays private."""
    for old in (folder, *(folder / name for name in (*manifest.FILES, manifest.NAME))):
        if old.exists():
            shutil.copymode(old, beside / old.relative_to(folder))


def _put(beside: Path, folder: Path) -> None:
    """Renames the new export into place; the old one steps aside first, since no folder replaces a full one.

    Whoever reads meanwhile finds the old export, none, or the new one. A crash between the two renames leaves
    the old one beside, under a name that says so.
    """
    aside = beside.with_name(f"{beside.name}.old")
    had = folder.exists()
    if had:
        folder.rename(aside)
    try:
        beside.rename(folder)
    except OSError:
        if had:
            aside.rename(folder)
        raise
    sync(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)
