"""The hand-written norms equal the plain ones in Triton's interpreter, and are small enough in machine code."""

from collections.abc import Iterator
from importlib.util import find_spec, module_from_spec
from types import ModuleType

import pytest
import torch

from alexrepro.model.normalization import ResponseNorm, SameMap
from alexrepro.paper.network import Norm, SameMapNorm
from alexrepro.recipes.catalog import find_recipe


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The operators, with kernels that Triton interprets, in two blocks of which the second one is not full."""
    triton = pytest.importorskip("triton")
    from alexrepro.model import gpu_norm

    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(triton.language, "zeros", triton.jit(triton.language.zeros.fn))
    spec = find_spec("alexrepro.model.norm_kernels")
    assert spec is not None
    assert spec.loader is not None
    kernels = module_from_spec(spec)
    spec.loader.exec_module(kernels)
    monkeypatch.setattr(gpu_norm, "kernels", kernels)
    monkeypatch.setattr(gpu_norm, "wrap_triton", lambda kernel: kernel)  # torch 2.11's refuses interpreted kernels
    monkeypatch.setattr(gpu_norm, "BLOCK", 512)
    language = vars(triton.language.core)
    compiled = dict(language)
    yield gpu_norm
    language.update(compiled)  # the interpreter replaces functions there for good, and nothing compiles after it


@pytest.mark.parametrize(
    ("dtype", "limit", "beta"),
    [
        (torch.float64, 1e-12, 0.75),
        (torch.float64, 1e-12, 0.6),
        (torch.float32, 1e-6, 0.75),
        (torch.bfloat16, 1e-2, 0.75),
    ],
)
def test_forward_and_backward_equal_the_plain_norms(
    dtype: torch.dtype, limit: float, beta: float, interpreted: ModuleType
) -> None:
    norms = [
        (
            ResponseNorm(Norm(beta=beta, per_tower=True), maps=12, groups=2),
            lambda x: interpreted.lrn(x, 2, 5, [2.0, 1e-4, beta]),
        ),
        (SameMap(SameMapNorm(beta=beta)), lambda x: interpreted.spatial_lrn(x, 5, [1.0, 1e-3 / 25, beta])),
    ]
    torch.manual_seed(0)
    for plain, fast in norms:
        maps, above = (30 * torch.randn(2, 12, 6, 7)).to(dtype).requires_grad_(), torch.randn(2, 12, 6, 7).to(dtype)
        exact = maps.detach().double().requires_grad_()
        found, expected = fast(maps), plain.double()(exact)
        (gradient,) = torch.autograd.grad(found, maps, above)
        (expected_gradient,) = torch.autograd.grad(expected, exact, above.double())
        for ours, theirs in ((found, expected), (gradient, expected_gradient)):
            assert ours.dtype == dtype
            assert (ours - theirs).norm() <= limit * theirs.norm()
        assert fast(maps[:0]).shape == (0, 12, 6, 7)


def test_machine_code_moves_and_issues_little_without_spills() -> None:
    pytest.importorskip("triton")
    from benchmarks.norm_kernels import TOOLS, counted

    if not all((TOOLS / tool).exists() for tool in ("nvdisasm", "cuobjdump")):
        pytest.skip("this Triton has no disassembler")
    found = counted(find_recipe("as-run-2012").but({"training.precision": "bf16"}))
    assert all(code.spills == 0 for _, code in found)
    assert sum(launch.megabytes for launch, _ in found) <= 1_200
    assert sum(code.ms(launch) for launch, code in found) <= 0.75
