"""ONNX: the network as a graph of standard operations, crops (B, 3, S, S) in, logits (B, K) out."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexrepro.errors import Exit, UserError
from alexrepro.model.operations import OPERATIONS
from alexrepro.model.weights import Weights, extra
from alexrepro.paper.network import Size, Stage
from alexrepro.recipes.recipe import Recipe

OPSET = 17
IR_VERSION = 8  # of onnx 1.12, which brought opset 17
INPUT, OUTPUT = "crops", "logits"


class Graph:
    """Nodes one after the other; `last` is the output of the newest one."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.last = INPUT

    def add(self, operation: str, *inputs: str, outputs: int = 1, **attributes: Any) -> list[str]:
        """A node that reads the named tensors, or the output of the newest one; returns the names of its outputs."""
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


def write(weights: Weights, path: Path) -> None:
    """Write the network as it is in testing, with its weights. Raises UserError naming a part that has no exporter."""
    onnx, helper = extra("onnx"), extra("onnx.helper")
    network, graph = weights.recipe.network, Graph()
    if network.input_std:
        graph.add("Div", INPUT, graph.constant(np.asarray(network.input_std, np.float32)[:, None, None]))
    model = weights.network()
    if network.side_input:
        raise _not_exportable(weights.recipe, "network.side_input")
    for stage, size in network.inputs():
        if stage.kind == "local":
            raise _not_exportable(weights.recipe, f"{stage.name}, which is local")
        _add_kernels(graph, weights, stage, size)
        for name in network.operations(stage):
            export = OPERATIONS[name].export
            if export is None:
                raise _not_exportable(weights.recipe, f"{name} in {stage.name}")
            export(graph, model.stage(stage.name).operations[name])
    graph.add("Identity")
    graph.nodes[-1].output[0] = OUTPUT
    side_px = network.input_px
    inputs = helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, ["batch", network.channels, side_px, side_px])
    outputs = helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, ["batch", network.classes])
    made = helper.make_graph(graph.nodes, "alexnet", [inputs], [outputs], graph.constants)
    proto = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="alexrepro",
        doc_string=f"{weights.recipe.name}: {weights.recipe.description}. {INPUT}: RGB, 0-255, minus the mean image.",
    )  # fmt: skip
    helper.set_model_props(proto, {"recipe": weights.recipe.to_toml()})
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString())


def _not_exportable(recipe: Recipe, part: str) -> UserError:
    what = f"{recipe.name} cannot be written as ONNX: there is no exporter for {part}."
    return UserError(what, fix="Write it as .safetensors.")


def logits(path: Path, crops: Tensor) -> Tensor:
    """The logits that onnxruntime computes with the file."""
    runtime = extra("onnxruntime")
    try:
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # its warnings would go to stderr in colors
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return torch.from_numpy(session.run([OUTPUT], {INPUT: crops.numpy()})[0])
    except Exception as error:  # its errors have no base class of their own
        raise UserError(
            f"onnxruntime cannot run the written file: {str(error).splitlines()[0][:120]}",
            fix="Nothing was kept. Write it as .safetensors.",
            exit_code=Exit.BAD_DATA,
        ) from None


def _add_kernels(graph: Graph, weights: Weights, stage: Stage, size: Size) -> None:
    """The convolution or full connection of a stage; size: of its input."""
    network, names = weights.recipe.network, (f"{stage.name}.weight", f"{stage.name}.bias")
    weight, bias = (weights.tensors[name] for name in names)
    if stage.kind == "full":
        graph.add("Flatten", axis=1)
        weight = torch.block_diag(*weight.chunk(network.groups(stage)))  # type: ignore[no-untyped-call]
    inputs = [graph.last, graph.constant(weight, names[0]), graph.constant(bias, names[1])]
    if stage.kind == "full":
        graph.add("Gemm", *inputs, transB=1)
        return
    graph.add(
        "Conv", *inputs, group=network.groups(stage), kernel_shape=[stage.kernel_px] * 2,
        strides=[stage.stride_px] * 2,
        pads=[stage.pad_px] * 2 + [stage.pad_px + network.pad_after_px(stage, size[1])] * 2,
    )  # fmt: skip
