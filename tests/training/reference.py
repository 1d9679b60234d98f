"""The network and its training once more, in NumPy and float64, written from the formulas alone.

Towers are loops over slices, windows are loops or strided views, and every derivative is worked out by hand.
B batch, C maps, H W pixels.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from alexrepro.paper.network import Network, Stage
from alexrepro.paper.training import Rates

Array = NDArray[np.float64]
Backward = Callable[[Array], Array]


def convolution(x: Array, w: Array, b: Array, stride: int, pad: int) -> tuple[Array, Callable[[Array], Any]]:
    """Windows begin every stride pixels as long as they begin inside; what they see outside is zero."""
    kernel, side = w.shape[2], x.shape[2]
    out = 1 + -(-(side + 2 * pad - kernel) // stride)
    reach = (out - 1) * stride + kernel
    padded = np.zeros((*x.shape[:2], reach, reach))
    padded[:, :, pad : pad + side, pad : pad + side] = x
    windows = sliding_window_view(padded, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]
    y = np.einsum("bchwij,mcij->bmhw", windows, w, optimize=True) + b[:, None, None]

    def backward(g: Array) -> tuple[Array, Array, Array]:
        into = np.zeros_like(padded)
        for i in range(kernel):
            for j in range(kernel):
                part = into[:, :, i : i + stride * out : stride, j : j + stride * out : stride]
                part += np.einsum("bmhw,mc->bchw", g, w[:, :, i, j])
        dw = np.einsum("bmhw,bchwij->mcij", g, windows, optimize=True)
        return into[:, :, pad : pad + side, pad : pad + side], dw, g.sum((0, 2, 3))

    return y, backward


def pooling(x: Array, size: int, stride: int) -> tuple[Array, Backward]:
    side = x.shape[2]
    out = 1 + -(-(side - size) // stride)
    y = np.empty((*x.shape[:2], out, out))
    for i in range(out):
        for j in range(out):
            y[:, :, i, j] = x[:, :, i * stride : i * stride + size, j * stride : j * stride + size].max((2, 3))

    def backward(g: Array) -> Array:
        into = np.zeros_like(x)
        for i in range(out):
            for j in range(out):
                place = np.s_[:, :, i * stride : i * stride + size, j * stride : j * stride + size]
                into[place] += (x[place] == y[:, :, i, j, None, None]) * g[:, :, i, j, None, None]
        return into

    return y, backward


def normalization(x: Array, total: Callable[[Array], Array], k: float, c: float, beta: float) -> tuple[Array, Backward]:
    """x · (k + c · total(x²))^-β, where `total` sums over a symmetric neighborhood."""
    d = k + c * total(x * x)

    def backward(g: Array) -> Array:
        return g * d**-beta - 2 * c * beta * x * total(g * x * d ** (-beta - 1))

    return x * d**-beta, backward


def across_maps(n: int, towers: int) -> Callable[[Array], Array]:
    def total(squares: Array) -> Array:
        sums = np.zeros_like(squares)
        for tower in np.split(np.arange(squares.shape[1]), towers):
            for i in tower:
                near = [j for j in tower if abs(i - j) <= n // 2]
                sums[:, i] = squares[:, near].sum(1)
        return sums

    return total


def around(size: int) -> Callable[[Array], Array]:
    half = size // 2

    def total(squares: Array) -> Array:
        padded = np.pad(squares, ((0, 0), (0, 0), (half, half), (half, half)))
        return sliding_window_view(padded, (size, size), axis=(2, 3)).sum((4, 5))

    return total


class Reference:
    """The network's arithmetic on named weights; `loss_and_gradients` is one pass forward and back."""

    def __init__(self, network: Network, weights: dict[str, Array]) -> None:
        self.network, self.weights = network, weights

    def loss_and_gradients(self, x: Array, labels: NDArray[np.int64], masks: dict[str, Array]) -> tuple[Any, ...]:
        """Logits, mean loss, and the gradient of every weight and bias."""
        steps: list[Callable[[Array], Array]] = []
        gradients: dict[str, Array] = {}
        for stage in self.network.stages:
            x = self._kernels(stage, x, steps, gradients)
            for operation in stage.order:
                x = self._operation(operation, stage, x, steps, masks)
        shifted = np.exp(x - x.max(1, keepdims=True))
        p = shifted / shifted.sum(1, keepdims=True)
        rows = np.arange(len(labels))
        g = p.copy()
        g[rows, labels] -= 1
        g /= len(labels)
        for step in reversed(steps):
            g = step(g)
        return x, float(-np.log(p[rows, labels]).mean()), gradients

    def _kernels(self, stage: Stage, x: Array, steps: list[Any], gradients: dict[str, Array]) -> Array:
        w, b = self.weights[f"{stage.name}.weight"], self.weights[f"{stage.name}.bias"]
        shape = x.shape
        x = x.reshape(len(x), -1) if stage.kind == "full" else x
        towers = self.network.towers if stage.reads == "own" else 1
        found, backs = [], []
        for part, kernels, bias in zip(
            *(np.split(a, towers, axis) for a, axis in ((x, 1), (w, 0), (b, 0))), strict=True
        ):
            if stage.kind == "full":
                y = part @ kernels.T + bias
                back = lambda g, part=part, kernels=kernels: (g @ kernels, g.T @ part, g.sum(0))  # noqa: E731
            else:
                y, back = convolution(part, kernels, bias, stage.stride_px, stage.pad_px)
            found.append(y)
            backs.append(back)

        def backward(g: Array) -> Array:
            parts = [back(share) for back, share in zip(backs, np.split(g, towers, 1), strict=True)]
            dx, dw, db = (
                np.concatenate(pieces, axis) for pieces, axis in zip(zip(*parts, strict=True), (1, 0, 0), strict=True)
            )
            gradients[f"{stage.name}.weight"], gradients[f"{stage.name}.bias"] = dw, db
            return dx.reshape(shape)

        steps.append(backward)
        return np.concatenate(found, 1)

    def _operation(
        self, operation: str, stage: Stage, x: Array, steps: list[Any], masks: dict[str, Array]
    ) -> Array:  # fmt: skip
        network = self.network
        if operation == "activation":
            positive = x > 0
            steps.append(lambda g: g * positive)
            return x * positive
        if operation == "dropout":
            mask = masks[stage.name]
            steps.append(lambda g: g * mask)
            return x * mask
        if operation == "pool":
            y, back = pooling(x, network.pool.size_px, network.pool.stride_px)
        elif operation == "norm":
            n = network.norm
            assert n is not None
            c = n.alpha / n.n if n.divide_alpha_by_n else n.alpha
            total = across_maps(n.n, network.towers if n.per_tower else 1)
            y, back = normalization(x, total, n.k, c, n.beta)
        else:
            s = network.same_map_norm
            assert s is not None
            y, back = normalization(x, around(s.size_px), s.k, s.alpha / s.size_px**2, s.beta)
        steps.append(back)
        return y


def updated(
    weights: dict[str, Array], velocities: dict[str, Array], gradients: dict[str, Array], *, rates: Rates,
    decays: Mapping[str, float],
) -> None:  # fmt: skip
    """§5: v ← 0.9 v - 0.0005 ε w - ε ∂L/∂w; w ← w + v, and no decay of biases. decays: of weights, by stage."""
    for name, w in weights.items():
        stage, _, part = name.partition(".")
        eps, decay = (rates.weights[stage], decays[stage]) if part == "weight" else (rates.biases[stage], 0.0)
        velocities[name] = 0.9 * velocities[name] - decay * eps * w - eps * gradients[name]
        weights[name] = w + velocities[name]
