"""Response normalization against plain loops in float64, forward and backward; its compiled loops against float64."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.testing import assert_close

from alexrepro.model import fused_lrn
from alexrepro.model.compiled import Compiled
from alexrepro.model.normalization import ResponseNorm, SameMap, compile_norms
from alexrepro.paper.network import Norm, SameMapNorm

AS_PRINTED = Norm()
AS_RUN = Norm(divide_alpha_by_n=True, per_tower=True)
OTHER = Norm(k=1.0, n=3, beta=0.6)
# Only the order of additions differs from the loops.
EXACT = {"atol": 1e-12, "rtol": 1e-12}


@pytest.fixture(params=["plain", "loops, not compiled"])
def has_loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Both forms of a norm; the loops as they run where there is no compiler, so that float64 shows the formula."""
    for value in vars(fused_lrn).values():
        if isinstance(value, Compiled):
            monkeypatch.setattr(value, "works", False)
    return request.param != "plain"


def made(module: torch.nn.Module, has_loops: bool) -> torch.nn.Module:
    if has_loops:
        compile_norms(module)
    return module.double()


def maps(channels: int = 8, side: int = 5) -> torch.Tensor:
    # Magnitudes like conv1's: with α = 1e-4 the denominator must move, or the test would not see it.
    return 100 * torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def across_maps_by_loops(x: NDArray[np.float64], norm: Norm, towers: int) -> NDArray[np.float64]:
    """b = a / (k + α Σ a²)^β over i - n/2 .. i + n/2, as §3.3 prints it."""
    out = np.empty_like(x)
    per_tower = x.shape[1] // towers if norm.per_tower else x.shape[1]
    alpha = norm.alpha / norm.n if norm.divide_alpha_by_n else norm.alpha
    for b, i, y, z in np.ndindex(x.shape):
        first = i // per_tower * per_tower
        window = range(max(first, i - norm.n // 2), min(first + per_tower - 1, i + norm.n // 2) + 1)
        total = sum(x[b, j, y, z] ** 2 for j in window)
        out[b, i, y, z] = x[b, i, y, z] / (norm.k + alpha * total) ** norm.beta
    return out


def within_maps_by_loops(x: NDArray[np.float64], norm: SameMapNorm) -> NDArray[np.float64]:
    out = np.empty_like(x)
    half = norm.size_px // 2
    for b, i, y, z in np.ndindex(x.shape):
        near = x[b, i, max(0, y - half) : y + half + 1, max(0, z - half) : z + half + 1]
        out[b, i, y, z] = x[b, i, y, z] / (norm.k + norm.alpha / norm.size_px**2 * (near**2).sum()) ** norm.beta
    return out


@pytest.mark.parametrize(("channels", "side"), [(8, 5), (4, 1)])  # four maps are fewer than a window's
@pytest.mark.parametrize("norm", [AS_PRINTED, AS_RUN, OTHER], ids=["printed", "run", "other"])
def test_response_norm_equals_the_printed_formula(norm: Norm, channels: int, side: int, has_loops: bool) -> None:
    x = maps(channels, side)

    found = made(ResponseNorm(norm, maps=channels, groups=2), has_loops)(x)

    assert_close(found, torch.from_numpy(across_maps_by_loops(x.numpy(), norm, towers=2)), **EXACT)


@pytest.mark.parametrize(("norm", "towers", "alpha"), [(AS_RUN, 2, 1e-4), (AS_PRINTED, 1, 5e-4)])
def test_norms_of_2012_stop_at_a_tower_and_printed_ones_cross_the_seam(norm: Norm, towers: int, alpha: float) -> None:
    x = maps()

    found = ResponseNorm(norm, maps=8, groups=2).double()(x)

    expected = [F.local_response_norm(part, 5, alpha=alpha, beta=0.75, k=2.0) for part in x.chunk(towers, dim=1)]
    assert_close(found, torch.cat(expected, dim=1), **EXACT)


def test_same_map_norm_equals_its_formula(has_loops: bool) -> None:
    x = maps(channels=2, side=7)

    found = made(SameMap(SameMapNorm()), has_loops)(x)

    assert_close(found, torch.from_numpy(within_maps_by_loops(x.numpy(), SameMapNorm())), **EXACT)


@pytest.mark.parametrize("norm", [AS_PRINTED, AS_RUN, OTHER, SameMapNorm(alpha=0.1)], ids=str)
def test_the_backward_pass_is_the_exact_derivative(norm: Norm | SameMapNorm, has_loops: bool) -> None:
    module = SameMap(norm) if isinstance(norm, SameMapNorm) else ResponseNorm(norm, maps=6, groups=2)
    x = maps(channels=6, side=3).div_(10).requires_grad_()

    assert torch.autograd.gradcheck(made(module, has_loops), (x,))


def passes(module: torch.nn.Module, x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    leaf = x.clone().requires_grad_()
    y = module(leaf)
    y.backward(gradient)
    assert leaf.grad is not None
    return y.detach(), leaf.grad


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("norm", "images"), [(AS_PRINTED, 1), (AS_RUN, 3), (SameMapNorm(), 3)], ids=str)
def test_compiled_loops_give_the_exact_numbers_rounded_once(
    norm: Norm | SameMapNorm, images: int, dtype: torch.dtype
) -> None:
    module = SameMap(norm) if isinstance(norm, SameMapNorm) else ResponseNorm(norm, maps=96, groups=2)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(images, 96, 5, 7, generator=generator).mul(100).to(dtype)
    gradient = torch.randn(x.shape, generator=generator).to(dtype)
    expected = passes(module.double(), x.double(), gradient.double())

    compile_norms(module)
    found = passes(module, x, gradient)

    assert all(loop.works for loop in vars(fused_lrn).values() if isinstance(loop, Compiled))
    # Rounding to the nearest is off by half a unit, 2^-8 of a bf16 value; float32 adds 10 roundings of 2^-24 before,
    # some of them to terms that cancel, hence the absolute part, for values of up to 100 and gradients of about 1.
    half_a_unit = 2**-8 if dtype is torch.bfloat16 else 0
    for ours, exact, size in zip(found, expected, (100, 1), strict=True):
        assert ours.dtype is dtype
        assert_close(ours.double(), exact, rtol=half_a_unit + 10 * 2**-24, atol=10 * 2**-24 * size)


@pytest.mark.slow
@pytest.mark.parametrize("norm", [AS_RUN, OTHER], ids=["run", "other"])
def test_as_part_of_a_compiled_network_a_norm_gives_the_same_numbers(norm: Norm) -> None:
    x = maps(channels=8)
    gradient = torch.randn_like(x)
    module = ResponseNorm(norm, maps=8, groups=2).double()
    expected = passes(module, x, gradient)

    compile_norms(module)
    traced = torch.compile(module, backend="aot_eager", fullgraph=True)  # the formula that a GPU's compiler is given

    assert_close(passes(traced, x, gradient), expected, **EXACT)
