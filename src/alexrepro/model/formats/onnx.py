"""ONNX: the network stage by stage as a graph of standard operations, crops (B, 3, S, S) in, logits (B, K) out.

Response normalization is the operation LRN, whose α is divided by n as in 2012, or written out as squares, a sum over
neighboring maps, and a power, for readers that get LRN wrong or lack it.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexrepro.errors import Exit, UserError
from alexrepro.model.normalization import ResponseNorm
from alexrepro.model.weights import Weights, extra
from alexrepro.paper.network import Network, Norm, Operation, SameMapNorm, Size, Stage
from alexrepro.recipes.recipe import Recipe

Form = Literal["op", "decomposed"]
OPSET = 17
IR_VERSION = 8  # of onnx 1.12, which brought opset 17
INPUT, OUTPUT = "crops", "logits"
# What can be written; anything else of a network is refused by name.
FIELDS = {
    "input_px", "channels", "input_std", "towers", "rounding", "activation", "norm", "same_map_norm", "pool", "dropout",
    "dropout_scales", "initial", "stages",
}  # fmt: skip
STAGE_FIELDS = {
    "name", "kind", "maps", "kernel_px", "stride_px", "pad_px", "reads", "order",
    "weight_std", "bias", "learning_rate_factor", "decay_factor",
}  # fmt: skip
KINDS = ("conv", "full")
OPERATIONS = ("activation", "norm", "same_map_norm", "average_pool", "pool", "dropout")
ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh"}


class _Graph:
    """Nodes one after the other; `last` is the name of what the newest one gives."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.last = INPUT

    def add(self, operation: str, *inputs: str, outputs: int = 1, **attributes: Any) -> list[str]:
        """A node that reads the named tensors, or what the newest one gives; returns the names of its outputs."""
        number = len(self.nodes)
        names = [f"{operation.lower()}_{number}_{output}" for output in range(outputs)]
        self.nodes.append(extra("onnx.helper").make_node(operation, inputs or (self.last,), names, **attributes))
        self.last = names[-1]
        return names

    def constant(self, value: float | NDArray[Any] | Tensor, name: str | None = None) -> str:
        """The name of a float32 tensor that the file holds."""
        array = value.numpy() if isinstance(value, Tensor) else np.asarray(value, np.float32)
        name = name or f"constant_{len(self.constants)}"
        self.constants.append(extra("onnx.numpy_helper").from_array(np.ascontiguousarray(array), name))
        return name


def write(weights: Weights, path: Path, *, lrn: Form) -> None:
    """Write the network in testing, without dropout, as an ONNX file that holds its weights."""
    onnx, helper = extra("onnx"), extra("onnx.helper")
    network, graph = weights.recipe.network, _Graph()
    check_exportable(weights.recipe)
    if network.input_std:
        std = np.asarray(network.input_std, np.float32)[:, None, None]
        graph.add("Div", INPUT, graph.constant(std))
    for stage, size in network.inputs():
        _kernels(graph, network, stage, size, weights)
        for operation in stage.order:
            _operation(graph, network, stage, operation, lrn)
    graph.add("Identity")
    graph.nodes[-1].output[0] = OUTPUT
    side_px = network.input_px
    inputs = helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, ["batch", network.channels, side_px, side_px])
    outputs = helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, ["batch", network.classes])
    made = helper.make_graph(graph.nodes, "alexnet", [inputs], [outputs], graph.constants)
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="alexrepro",
        doc_string=f"{weights.recipe.name}: {weights.recipe.description}. {INPUT}: RGB, 0-255, minus the mean image.",
    )  # fmt: skip
    helper.set_model_props(model, {"recipe": weights.recipe.to_toml()})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def check_exportable(recipe: Recipe) -> None:
    """Raise UserError naming the first part of the network that has no counterpart in this file."""
    network = recipe.network
    odd = [f"network.{n}" for n in _departures(network) - FIELDS]
    odd += [] if network.activation in ACTIVATIONS else [f"network.activation={network.activation}"]
    for stage in network.stages:
        odd += [f"network.{stage.name}.{n}" for n in _departures(stage) - STAGE_FIELDS]
        odd += [] if stage.kind in KINDS else [f"{stage.name}, which is {stage.kind}"]
        odd += [f"{operation} in {stage.name}" for operation in stage.order if operation not in OPERATIONS]
    if odd:
        raise UserError(
            f"ONNX files cannot be written of {recipe.name}: there is no way yet to write {', '.join(odd)}.",
            fix="Write it as .safetensors.",
        )


def _departures(part: Any) -> set[str]:
    """The fields of a dataclass that have another value than their default."""
    return {item.name for item in fields(part) if getattr(part, item.name) != item.default}


def logits(path: Path, crops: Tensor) -> Tensor:
    """What the network in the file says of the crops, by onnxruntime."""
    runtime = extra("onnxruntime")
    try:
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # its warnings would go to stderr in colors
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return torch.from_numpy(session.run([OUTPUT], {INPUT: crops.numpy()})[0])
    except Exception as error:  # its errors have no base of their own
        raise UserError(
            f"onnxruntime cannot run the written file: {str(error).splitlines()[0][:120]}",
            fix="Nothing was kept. Write it as .safetensors.",
            exit_code=Exit.BAD_DATA,
        ) from None


def _kernels(graph: _Graph, network: Network, stage: Stage, size: Size, weights: Weights) -> None:
    weight, groups = weights.tensors[f"{stage.name}.weight"], network.groups(stage)
    bias = graph.constant(weights.tensors[f"{stage.name}.bias"], f"{stage.name}.bias")
    if stage.kind == "conv":
        after_px = network.pad_after_px(stage, size[1])
        graph.add(
            "Conv", graph.last, graph.constant(weight, f"{stage.name}.weight"), bias, group=groups,
            kernel_shape=[stage.kernel_px] * 2, strides=[stage.stride_px] * 2,
            pads=[stage.pad_px] * 2 + [stage.pad_px + after_px] * 2,
        )  # fmt: skip
        return
    graph.add("Flatten", axis=1)
    whole = torch.block_diag(*weight.chunk(groups))  # type: ignore[no-untyped-call]
    graph.add("Gemm", graph.last, graph.constant(whole, f"{stage.name}.weight"), bias, transB=1)


def _operation(graph: _Graph, network: Network, stage: Stage, operation: Operation, lrn: Form) -> None:
    match operation:
        case "activation":
            graph.add(ACTIVATIONS[network.activation])
        case "norm" if network.norm:
            norm = ResponseNorm(network.norm, maps=stage.maps, groups=network.towers)
            _lrn(graph, network.norm, norm.groups) if lrn == "op" else _decomposed(graph, network.norm, norm)
        case "same_map_norm" if network.same_map_norm:
            _same_map(graph, network.same_map_norm)
        case "average_pool":
            window, stride = [network.pool.size_px] * 2, [network.pool.stride_px] * 2
            graph.add("AveragePool", kernel_shape=window, strides=stride, ceil_mode=1)
        case "pool":
            window, stride = [network.pool.size_px] * 2, [network.pool.stride_px] * 2
            graph.add("MaxPool", kernel_shape=window, strides=stride, ceil_mode=1)
        case "dropout" if network.dropout and network.dropout_scales == "testing":
            graph.add("Mul", graph.last, graph.constant(1 - network.dropout))


def _lrn(graph: _Graph, norm: Norm, groups: int) -> None:
    """LRN multiplies the sum of squares by α / n; so its α is n times what multiplies it here (§3.3)."""
    settings: dict[str, Any] = {"size": norm.n, "alpha": norm.coefficient * norm.n, "beta": norm.beta, "bias": norm.k}
    towers = graph.add("Split", outputs=groups, axis=1) if groups > 1 else [graph.last]
    normed = [graph.add("LRN", tower, **settings)[0] for tower in towers]
    if groups > 1:
        graph.add("Concat", *normed, axis=1)


def _decomposed(graph: _Graph, norm: Norm, layer: ResponseNorm) -> None:
    x = graph.last
    graph.add("Mul", x, x)
    graph.add("Conv", graph.last, graph.constant(layer.band), group=layer.groups, kernel_shape=[1, 1])
    _divided(graph, x, coefficient=norm.coefficient, k=norm.k, beta=norm.beta)


def _same_map(graph: _Graph, norm: SameMapNorm) -> None:
    x = graph.last
    graph.add("Mul", x, x)
    pads = [norm.size_px // 2] * 4
    graph.add("AveragePool", kernel_shape=[norm.size_px] * 2, pads=pads, count_include_pad=1)
    _divided(graph, x, coefficient=norm.coefficient * norm.size_px**2, k=norm.k, beta=norm.beta)


def _divided(graph: _Graph, x: str, *, coefficient: float, k: float, beta: float) -> None:
    """The tensor x times (k + c · newest)^-β."""
    graph.add("Mul", graph.last, graph.constant(coefficient))
    graph.add("Add", graph.last, graph.constant(k))
    graph.add("Pow", graph.last, graph.constant(-beta))
    graph.add("Mul", x, graph.last)
