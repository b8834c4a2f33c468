"""One ONNX graph from raw input to predictions: the preprocessing, every member, and their weighted mean.

Inputs: a table has one input [N, 1] a column, numbers as double (NaN is missing), categories as string (the
empty string is missing, an unknown word is no category); arrays have one input `x`, float32 [N, *shape].
Outputs: classification `probability` [N, C], float32; regression `value` [N] in the target's units, double; more
than one member also `spread` [N], float32, the members' weighted standard deviation of the predicted class's
probability, or of the value.
"""

import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import onnx
import torch
from onnx import compose, helper
from torch import Tensor, nn

from hpsearch.data.dataset import Target
from hpsearch.data.preprocess import Schema, TableSchema
from hpsearch.errors import RunError
from hpsearch.export.preprocessing import WORDS_DOMAIN, Nodes, add_preprocessing, free_prefix, input_names
from hpsearch.export.session import open_session


class NoOnnxFormError(RunError):
    """A net cannot be written as an ONNX graph, or not one that gives the same answers."""


_OPSET = 18  # what torch's exporter speaks natively: no conversion after it
_LEAST = 1e-38  # of a probability, as the logarithm takes it
_TOLERANCE = 1e-4  # between torch and onnxruntime, on probabilities and standardised values


class Combined(nn.Module):
    """Members' outputs for preprocessed features, combined: (probability [N, C] or value [N], spread [N])."""

    weight: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self, members: Sequence[nn.Module], weights: Sequence[float], target: Target, temperature: float = 1.0
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(copy.deepcopy(member).cpu().float() for member in members)
        self.classifies, self.temperature = target.task == "classification", temperature
        share_M = torch.tensor(weights, dtype=torch.float64) / sum(weights)
        self.register_buffer("weight", share_M.float())
        self.register_buffer("mean", torch.tensor(target.mean, dtype=torch.float64))
        self.register_buffer("std", torch.tensor(target.std, dtype=torch.float64))
        self.eval()

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        out_MNC = torch.stack([member(features) for member in self.members])
        if self.classifies:
            out_MNC = out_MNC.softmax(-1)
        weight_M11 = self.weight[:, None, None]
        mean_NC = (weight_M11 * out_MNC).sum(0)
        # in double: float32 would round a value with a large offset, such as a time
        result = self._calibrated(mean_NC) if self.classifies else self.mean + self.std * mean_NC[:, 0].double()
        if len(self.members) == 1:
            return (result,)
        # the difference is taken before the squares, and before the target's offset: neither cancels
        spread_NC = (weight_M11 * (out_MNC - mean_NC).square()).sum(0).sqrt()
        if self.classifies:
            return result, spread_NC.gather(1, mean_NC.argmax(-1, keepdim=True))[:, 0]
        return result, self.std.float() * spread_NC[:, 0]

    def _calibrated(self, mean_NC: Tensor) -> Tensor:
        """Probabilities at the ensemble's temperature (Guo et al. 2017)."""
        if self.temperature == 1:
            return mean_NC
        return (mean_NC.clamp(min=_LEAST).log() / self.temperature).softmax(-1)


def build_graph(
    members: Sequence[nn.Module],
    weights: Sequence[float],
    schema: Schema,
    target: Target,
    temperature: float = 1.0,
) -> onnx.ModelProto:
    """The graph of an ensemble, or of a single net; the nets themselves are left as they are.

    Args:
        members: nets that map features, float32 [N, D] or [N, *shape], to logits [N, C] or standardised
            values [N, 1].
        weights: one a member, none negative, in any unit: their shares count.
        temperature: of the mean of the members' probabilities, which it makes less sure above 1.

    Raises:
        NoOnnxFormError: a net has no ONNX form, or its ONNX form answers differently from the net.
    """
    assert len(members) == len(weights) > 0 and min(weights) >= 0 and sum(weights) > 0
    shape = (sum(c.width for c in schema.columns),) if isinstance(schema, TableSchema) else schema.shape
    combined = Combined(members, weights, target, temperature)
    outputs = ["probability" if target.task == "classification" else "value"]
    outputs += ["spread"] if len(members) > 1 else []
    core = _export(combined, shape, outputs)
    _agrees(core, combined, shape, target)
    return _join(core, schema, outputs)


def _export(combined: Combined, shape: tuple[int, ...], outputs: Sequence[str]) -> onnx.ModelProto:
    """The nets alone, from `features` to the outputs, without a trace of the machine it was made on."""
    example = torch.zeros(2, *shape)
    try:
        with _quiet():
            program = torch.onnx.export(
                combined,
                (example,),
                dynamo=True,
                verbose=False,
                input_names=["features"],
                output_names=list(outputs),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=_OPSET,
                external_data=False,
            )
    except Exception as error:  # a net's own forward may raise anything when it is traced
        cause = error.__cause__ or error
        reason = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
        raise NoOnnxFormError(f"export: the net has no ONNX form: {reason[:300]}") from error
    assert program is not None
    core = program.model_proto
    for thing in (core, core.graph, *core.graph.node, *core.graph.initializer):
        del thing.metadata_props[:]  # stack traces, with paths and lines of source
        thing.doc_string = ""
    return core


@contextmanager
def _quiet() -> Iterator[None]:
    """Torch's exporter tells of its own deprecations and of packages that nobody asked for."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _agrees(core: onnx.ModelProto, combined: Combined, shape: tuple[int, ...], target: Target) -> None:
    """Holds the graph against the nets on 3 random rows: tracing turns what it cannot see into constants."""
    features = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = combined(features)[0].numpy()
    try:
        got = open_session(core.SerializeToString()).run(None, {"features": features.numpy()})[0]
    except Exception as error:  # onnxruntime's errors share no class
        raise NoOnnxFormError(
            f"export: onnxruntime cannot run the net: {str(error).splitlines()[0][:300]}"
        ) from error
    scale = 1.0 if target.task == "classification" else target.std
    difference = float(np.abs(got - wanted).max() / scale) if got.shape == wanted.shape else np.inf
    if not difference <= _TOLERANCE * max(1.0, float(np.abs(wanted).max() / scale)):
        raise NoOnnxFormError(
            f"export: the net's ONNX form must agree with the net to {_TOLERANCE}, got a difference of "
            f"{difference:.3g}; its forward does something that tracing does not see"
        )


def _join(core: onnx.ModelProto, schema: Schema, outputs: Sequence[str]) -> onnx.ModelProto:
    """Preprocessing and nets in one graph; inner names get a prefix: a column may be called anything."""
    prefix = free_prefix(input_names(schema))
    nodes = Nodes(f"{prefix}raw/")
    features = add_preprocessing(nodes, schema)
    core = compose.add_prefix(core, f"{prefix}net/")
    nodes.nodes.append(helper.make_node("Identity", [features], [core.graph.input[0].name]))
    ends = [
        helper.make_node("Identity", [inner.name], [name])
        for inner, name in zip(core.graph.output, outputs, strict=True)
    ]
    graph = helper.make_graph(
        [*nodes.nodes, *core.graph.node, *ends],
        "hpsearch",
        nodes.inputs,
        [_renamed(inner, name) for inner, name in zip(core.graph.output, outputs, strict=True)],
        [*nodes.constants, *core.graph.initializer],
    )
    opsets = [*core.opset_import, helper.make_opsetid(WORDS_DOMAIN, 3)]
    model = helper.make_model(
        graph,
        producer_name="hpsearch",
        opset_imports=opsets,
        ir_version=core.ir_version,
        functions=core.functions,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _renamed(info: onnx.ValueInfoProto, name: str) -> onnx.ValueInfoProto:
    shape = [dim.dim_param or dim.dim_value for dim in info.type.tensor_type.shape.dim]
    return helper.make_tensor_value_info(name, info.type.tensor_type.elem_type, ["batch", *shape[1:]])
