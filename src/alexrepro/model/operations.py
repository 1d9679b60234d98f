"""The operations of a stage: for each name of `paper/network.py`, the module that computes it and its ONNX nodes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn

from alexrepro.model.normalization import BatchNorm, ContrastNorm, ResponseNorm, SameMap, ShardedResponseNorm
from alexrepro.model.tower_parallel import LocalTowers
from alexrepro.paper.network import Network, Norm, Operation, SameMapNorm, Stage

if TYPE_CHECKING:
    from alexrepro.model.formats.onnx import Graph


@dataclass(frozen=True)
class StageOperation:
    """build: the module of a stage in a process with these towers. export: adds its nodes to an ONNX graph."""

    build: Callable[[Network, Stage, LocalTowers], nn.Module]
    export: Callable[["Graph", Any], object] | None = None


class Dropout(nn.Module):
    """Zero a unit with this probability in training; multiply by the rest of it in testing (§4.2), or divide before."""

    def __init__(self, probability: float, scales: Literal["testing", "training"] = "testing") -> None:
        super().__init__()
        kept = 1 - probability
        self.in_testing, self.in_training = (kept, 1.0) if scales == "testing" else (1.0, 1 / kept)

    def forward(self, units: Tensor, mask: Tensor | None) -> Tensor:
        """Units times a 0/1 mask of their size (training), or scaled for testing when there is no mask."""
        return units * self.in_testing if mask is None else units * (mask * self.in_training)


def pooled_first(order: tuple[Operation, ...]) -> tuple[Operation, ...]:
    """Max-pooling before the activation instead of right after it: both increase, so the outputs are the same."""
    names = list(order)
    for index in range(len(names) - 1):
        if names[index : index + 2] == ["activation", "pool"]:
            names[index : index + 2] = ["pool", "activation"]
    return tuple(names)


def _norm(network: Network, stage: Stage, towers: LocalTowers) -> nn.Module:
    norm, processes = cast(Norm, network.norm), towers.processes
    groups, maps = max(1, network.towers // processes), stage.maps // processes
    if norm.kind == "batch":
        return BatchNorm(maps)
    if norm.kind == "layer":  # over all maps and pixels of an image, or over those of its tower
        return nn.GroupNorm(groups if norm.per_tower else 1, maps)
    if processes > 1 and norm.n > 1 and not norm.per_tower:
        return ShardedResponseNorm(norm, maps=maps, towers=towers)
    return ResponseNorm(norm, maps=maps, groups=groups)


def _export_pool(graph: "Graph", pool: nn.MaxPool2d | nn.AvgPool2d) -> None:
    kind = "MaxPool" if isinstance(pool, nn.MaxPool2d) else "AveragePool"
    graph.add(kind, kernel_shape=[pool.kernel_size] * 2, strides=[pool.stride] * 2, ceil_mode=1)


def _export_norm(graph: "Graph", layer: ResponseNorm | BatchNorm | nn.GroupNorm) -> None:
    """LRN multiplies the sum of squares by α / n; so its α is n times what multiplies it here (§3.3)."""
    if isinstance(layer, BatchNorm):
        parts = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
        constants = [graph.constant(cast(Tensor, part).detach()) for part in parts]
        graph.add("BatchNormalization", graph.last, *constants, epsilon=layer.eps)
        return
    if isinstance(layer, nn.GroupNorm):
        _export_layer_norm(graph, layer)
        return
    norm, groups = layer.norm, layer.groups
    settings: dict[str, Any] = {"size": norm.n, "alpha": norm.coefficient * norm.n, "beta": norm.beta, "bias": norm.k}
    towers = graph.add("Split", outputs=groups, axis=1) if groups > 1 else [graph.last]
    normalized = [graph.add("LRN", tower, **settings)[0] for tower in towers]
    if groups > 1:
        graph.add("Concat", *normalized, axis=1)


def _export_layer_norm(graph: "Graph", layer: nn.GroupNorm) -> None:
    x, groups = graph.last, layer.num_groups
    (shape,) = graph.add("Shape", x)
    graph.add("Reshape", x, graph.constant(torch.tensor([0, groups, -1])))
    ones = (graph.constant(torch.ones(groups)), graph.constant(torch.zeros(groups)))
    graph.add("InstanceNormalization", graph.last, *ones, epsilon=layer.eps)
    graph.add("Reshape", graph.last, shape)
    graph.add("Mul", graph.last, graph.constant(layer.weight.detach()[:, None, None]))
    graph.add("Add", graph.last, graph.constant(layer.bias.detach()[:, None, None]))


def _export_same_map(graph: "Graph", layer: SameMap) -> None:
    norm, x = layer.norm, graph.last
    graph.add("Mul", x, x)
    pads = [norm.size_px // 2] * 4
    graph.add("AveragePool", kernel_shape=[norm.size_px] * 2, pads=pads, count_include_pad=1)
    graph.add("Mul", graph.last, graph.constant(norm.coefficient * norm.size_px**2))
    graph.add("Add", graph.last, graph.constant(norm.k))
    graph.add("Pow", graph.last, graph.constant(-norm.beta))
    graph.add("Mul", x, graph.last)


def _export_dropout(graph: "Graph", layer: Dropout) -> None:
    if layer.in_testing != 1:
        graph.add("Mul", graph.last, graph.constant(layer.in_testing))


ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
OPERATIONS: dict[Operation, StageOperation] = {
    "activation": StageOperation(
        lambda network, *_: ACTIVATIONS[network.activation](),
        lambda graph, module: graph.add(type(module).__name__.replace("ReLU", "Relu")),
    ),
    "norm": StageOperation(_norm, _export_norm),
    "same_map_norm": StageOperation(
        lambda network, *_: SameMap(cast(SameMapNorm, network.same_map_norm)), _export_same_map
    ),
    "contrast_norm": StageOperation(lambda network, *_: ContrastNorm(cast(SameMapNorm, network.same_map_norm))),
    "pool": StageOperation(
        lambda network, *_: nn.MaxPool2d(network.pool.size_px, network.pool.stride_px, ceil_mode=True), _export_pool
    ),
    "average_pool": StageOperation(  # of the pixels inside the map, as the 2012 code divides
        lambda network, *_: nn.AvgPool2d(network.pool.size_px, network.pool.stride_px, ceil_mode=True), _export_pool
    ),
    "dropout": StageOperation(lambda network, *_: Dropout(network.dropout, network.dropout_scales), _export_dropout),
}
