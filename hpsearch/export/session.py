"""How a graph is run: by onnxruntime on the CPU, which says nothing but errors."""

import onnxruntime


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; its warnings speak of the graph's making, not of its use
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
