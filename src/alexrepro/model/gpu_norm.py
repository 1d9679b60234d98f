"""Response normalization as torch operators that run the kernels of `norm_kernels` and save their input only.

torch.compile keeps each as one node, and so does the capture of a CUDA graph. Maps are (B, C, H, W), channels last.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.library import triton_op, wrap_triton

from alexrepro.model import norm_kernels as kernels

Settings = Sequence[float]  # k, c and β

BLOCK = 1024  # values that a program of 4 warps computes; of 512 to 2,048 the fewest instructions without spills


def _laid_out(maps: Tensor) -> Tensor:
    return maps.contiguous(memory_format=torch.channels_last)


def _run(kernel: Any, tensors: list[Tensor], settings: Settings, **sizes: int) -> None:
    k, c, beta = settings
    values, wide = tensors[0].numel(), tl.float64 if tensors[0].dtype == torch.float64 else tl.float32
    grid = (triton.cdiv(values, BLOCK),)
    wrap_triton(kernel)[grid](*tensors, values, k, c, **sizes, beta=beta, wide=wide, block=BLOCK)


@triton_op("alexrepro::lrn", mutates_args={})
def lrn(x: Tensor, groups: int, n: int, settings: Settings) -> Tensor:
    """Maps normalized over n neighboring maps of the same group: y = x · (k + c · Σx²)^-β (§3.3)."""
    x = _laid_out(x)
    y = torch.empty_like(x)
    if x.numel():
        _run(kernels.lrn, [x, y], settings, maps=x.shape[1] // groups, half=n // 2)
    return y


@triton_op("alexrepro::lrn_backward", mutates_args={})
def lrn_backward(g: Tensor, x: Tensor, groups: int, n: int, settings: Settings) -> Tensor:
    """The gradient of x from that of the normalized maps."""
    g, x = _laid_out(g), _laid_out(x)
    dx = torch.empty_like(x)
    if x.numel():
        _run(kernels.lrn_backward, [g, x, dx], settings, maps=x.shape[1] // groups, half=n // 2)
    return dx


@triton_op("alexrepro::spatial_lrn", mutates_args={})
def spatial_lrn(x: Tensor, size_px: int, settings: Settings) -> Tensor:
    """Maps normalized over a square of pixels of the same map (layers-145.cfg [cnorm2])."""
    x = _laid_out(x)
    y = torch.empty_like(x)
    if x.numel():
        _run(kernels.spatial_lrn, [x, y], settings, half=size_px // 2, **_sizes(x))
    return y


@triton_op("alexrepro::spatial_lrn_backward", mutates_args={})
def spatial_lrn_backward(g: Tensor, x: Tensor, size_px: int, settings: Settings) -> Tensor:
    """The gradient of x from that of the normalized maps; its two terms are kept in the format of x between passes."""
    g, x = _laid_out(g), _laid_out(x)
    term, scaled, dx = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x)
    if x.numel():
        sizes = {"half": size_px // 2, **_sizes(x)}
        _run(kernels.spatial_lrn_terms, [g, x, term, scaled], settings, **sizes)
        _run(kernels.spatial_lrn_backward, [term, scaled, x, dx], settings, **sizes)
    return dx


def _sizes(maps: Tensor) -> dict[str, int]:
    _, channels, height, width = maps.shape
    return {"height": height, "width": width, "maps": channels}


def _differentiate(operator: Any, backward: Callable[..., Tensor]) -> None:
    def keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
        x, *ctx.settings = inputs
        ctx.save_for_backward(x)

    def gradient(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        return backward(g, x, *ctx.settings), *(None for _ in ctx.settings)

    operator.register_autograd(gradient, setup_context=keep)


_differentiate(lrn, lrn_backward)
_differentiate(spatial_lrn, spatial_lrn_backward)
