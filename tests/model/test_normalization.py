"""Response normalization against plain loops in float64, forward and backward."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch.testing import assert_close

from alexrepro.model.normalization import ResponseNorm, SameMap
from alexrepro.paper.network import Norm, SameMapNorm

AS_PRINTED = Norm()
AS_RUN = Norm(divide_alpha_by_n=True, per_tower=True)
# Only the order of additions differs from the loops.
EXACT = {"atol": 1e-12, "rtol": 1e-12}


def maps(channels: int = 8, side: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    # Magnitudes like conv1's: with α = 1e-4 the denominator must move, or the test would not see it.
    return torch.randn(2, channels, side, side, generator=generator, dtype=torch.float64) * 100


def across_maps_by_loops(x: NDArray[np.float64], norm: Norm, towers: int) -> NDArray[np.float64]:
    """b = a / (k + α Σ a²)^β over i - n/2 .. i + n/2, as §3.3 prints it."""
    out = np.empty_like(x)
    batch, channels, height, width = x.shape
    per_tower = channels // towers if norm.per_tower else channels
    alpha = norm.alpha / norm.n if norm.divide_alpha_by_n else norm.alpha
    for b in range(batch):
        for i in range(channels):
            first = i // per_tower * per_tower
            window = range(max(first, i - norm.n // 2), min(first + per_tower - 1, i + norm.n // 2) + 1)
            for y in range(height):
                for z in range(width):
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


@pytest.mark.parametrize("norm", [AS_PRINTED, AS_RUN, Norm(k=1.0, n=3, beta=0.5)], ids=["printed", "run", "other"])
def test_response_norm_equals_the_printed_formula(norm: Norm) -> None:
    x = maps()

    found = ResponseNorm(norm, maps=8, groups=2).double()(x)

    assert_close(found, torch.from_numpy(across_maps_by_loops(x.numpy(), norm, towers=2)), **EXACT)


@pytest.mark.parametrize("norm", [AS_PRINTED, AS_RUN], ids=["printed", "run"])
def test_response_norm_has_the_derivative_of_finite_differences(norm: Norm) -> None:
    x = maps(channels=6, side=2)
    direction, gradient = torch.randn_like(x), torch.randn_like(x)
    module = ResponseNorm(norm, maps=6, groups=2).double()
    leaf = x.clone().requires_grad_()

    module(leaf).backward(gradient)

    step = 1e-4  # the third derivative is tiny at magnitudes of 100
    ahead = across_maps_by_loops((x + step * direction).numpy(), norm, 2)
    behind = across_maps_by_loops((x - step * direction).numpy(), norm, 2)
    expected = ((ahead - behind) / (2 * step) * gradient.numpy()).sum()
    assert leaf.grad is not None
    # Central differences of step 1e-4 are good to about 1e-8 relative here.
    assert_close((leaf.grad * direction).sum().item(), expected, atol=1e-7, rtol=1e-7)


def test_the_2012_reading_is_torchs_local_response_norm_within_each_tower() -> None:
    x = maps(channels=8)

    found = ResponseNorm(AS_RUN, maps=8, groups=2).double()(x)

    per_tower = [F.local_response_norm(half, 5, alpha=1e-4, beta=0.75, k=2.0) for half in x.chunk(2, dim=1)]
    assert_close(found, torch.cat(per_tower, dim=1), **EXACT)


def test_the_printed_reading_crosses_the_seam_between_towers() -> None:
    x = maps(channels=8)

    printed = ResponseNorm(AS_PRINTED, maps=8, groups=2).double()(x)

    assert_close(printed, F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0), **EXACT)


def test_same_map_norm_equals_its_formula() -> None:
    x = maps(channels=2, side=7)

    found = SameMap(SameMapNorm()).double()(x)

    assert_close(found, torch.from_numpy(within_maps_by_loops(x.numpy(), SameMapNorm())), **EXACT)


@pytest.mark.parametrize(
    "module", [ResponseNorm(AS_RUN, maps=4, groups=2), SameMap(SameMapNorm(alpha=0.1))], ids=["across", "within"]
)
def test_the_backward_pass_is_the_exact_derivative(module: torch.nn.Module) -> None:
    x = maps(channels=4, side=6).div_(10).requires_grad_()

    assert torch.autograd.gradcheck(module.double(), (x,))
    module.float()


def test_channels_last_gives_the_same_numbers() -> None:
    x = maps()
    module = ResponseNorm(AS_RUN, maps=8, groups=2).double()

    assert_close(module(x.contiguous(memory_format=torch.channels_last)), module(x), **EXACT)
