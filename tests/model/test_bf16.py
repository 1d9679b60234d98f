"""bf16 products on a CPU without kernels for them: float32 multiplies, values and gradients are those of bf16."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from alexrepro.device import Device
from alexrepro.model.alexnet import build
from alexrepro.model.bf16 import EmulatedBf16
from alexrepro.paper.training import Training
from alexrepro.recipes.catalog import find_recipe

CPU = Device(torch.device("cpu"))
PRODUCTS: dict[str, tuple[Callable[..., Tensor], list[tuple[int, ...]]]] = {
    "convolution": (
        lambda x, weight, bias: F.conv2d(x, weight, bias, 2, 1, groups=2),
        [(3, 8, 7, 7), (6, 4, 3, 3), (6,)],
    ),
    "full": (F.linear, [(5, 40), (7, 40), (7,)]),
    "local": (lambda x, weight, bias: torch.baddbmm(bias, x, weight), [(4, 5, 30), (4, 30, 6), (4, 1, 6)]),
}


class DtypesOfProducts(TorchDispatchMode):
    """Notes in which format torch's kernels multiply, in either direction."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[torch.dtype] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the kernel."""
        if any(name in str(function) for name in ("convolution", "addmm", "aten.mm", "bmm")):
            self.found |= {value.dtype for value in args if isinstance(value, Tensor)}
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", PRODUCTS)
def test_values_and_gradients_are_exact_but_for_the_rounding_of_bf16(name: str) -> None:
    product, shapes = PRODUCTS[name]
    random = torch.Generator().manual_seed(0)
    operands = [torch.randn(shape, generator=random, requires_grad=True) for shape in shapes]
    exact = [value.detach().bfloat16().double().requires_grad_() for value in operands]

    with torch.autocast("cpu", torch.bfloat16), EmulatedBf16():
        found = product(*operands)
    slopes = torch.randn(found.shape, generator=random).bfloat16()
    found.backward(slopes)
    wanted = product(*exact)
    wanted.backward(slopes.double())

    assert found.dtype == torch.bfloat16
    pairs = [(found, wanted), *((value.grad, reference.grad) for value, reference in zip(operands, exact, strict=True))]
    for value, reference in pairs:  # half a unit of bf16 is 2^-8 of a value or less; float32 adds roundings of 2^-24
        assert value is not None
        assert reference is not None
        torch.testing.assert_close(value.double(), reference, rtol=1.01 * 2**-8, atol=1e-5)


@pytest.mark.parametrize(
    ("precision", "has_kernels", "wanted"),
    [("bf16", False, torch.float32), ("bf16", True, torch.bfloat16), ("float32", False, torch.float32)],
)
def test_a_network_multiplies_float32_for_bf16_only_where_kernels_lack_it(
    monkeypatch: pytest.MonkeyPatch, precision: Any, has_kernels: bool, wanted: torch.dtype
) -> None:
    monkeypatch.setattr("alexrepro.model.bf16.has_bf16_kernels", lambda: has_kernels)
    model = build(find_recipe("tiny").but({"network.input_px": 67}).network, seed=0)

    with DtypesOfProducts() as kernels:
        with CPU.autocast(Training(precision=precision)):
            logits = model(torch.randn(2, 3, 67, 67), model.draw_masks(2, key_of_step=0))
        logits.float().sum().backward()

    assert logits.dtype == {"bf16": torch.bfloat16, "float32": torch.float32}[precision]
    assert kernels.found == {wanted}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_outside_autocast_products_stay_what_they_are(dtype: torch.dtype) -> None:
    x, weight = torch.full((2, 3), 1 + 2**-12, dtype=dtype), torch.ones(4, 3, dtype=dtype)

    with EmulatedBf16():
        assert torch.equal(F.linear(x, weight), x.sum(1, keepdim=True).expand(2, 4))
