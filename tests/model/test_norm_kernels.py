"""The hand-written norms equal the plain ones in Triton's interpreter, and are small enough in machine code."""

import os
import subprocess
import sys

import pytest

from alexrepro.recipes.catalog import find_recipe

CHECK = """
import torch
from alexrepro.model import gpu_norm
from alexrepro.model.normalization import ResponseNorm, SameMap
from alexrepro.paper.network import Norm, SameMapNorm

gpu_norm.wrap_triton = lambda kernel: kernel  # torch 2.11's refuses interpreted kernels
CASES = [(torch.float64, 1e-12, 0.75), (torch.float64, 1e-12, 0.6), (torch.float32, 1e-6, 0.75), (torch.bfloat16, 1e-2, 0.75)]
torch.manual_seed(0)
for dtype, limit, beta in CASES:
    norms = [
        (ResponseNorm(Norm(beta=beta, per_tower=True), maps=12, groups=2), lambda x: gpu_norm.lrn(x, 2, 5, [2.0, 1e-4, beta])),
        (SameMap(SameMapNorm(beta=beta)), lambda x: gpu_norm.spatial_lrn(x, 5, [1.0, 1e-3 / 25, beta])),
    ]
    for plain, fast in norms:
        maps, above = (30 * torch.randn(2, 12, 6, 7)).to(dtype).requires_grad_(), torch.randn(2, 12, 6, 7).to(dtype)
        exact = maps.detach().double().requires_grad_()
        found, expected = fast(maps), plain.double()(exact)
        (gradient,) = torch.autograd.grad(found, maps, above)
        (expected_gradient,) = torch.autograd.grad(expected, exact, above.double())
        for ours, theirs in ((found, expected), (gradient, expected_gradient)):
            assert ours.dtype == dtype and (ours - theirs).norm() <= limit * theirs.norm(), (plain, dtype, beta)
        assert fast(maps[:0]).shape == (0, 12, 6, 7)
"""  # noqa: E501


def test_forward_and_backward_equal_the_plain_norms() -> None:
    pytest.importorskip("triton")
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_machine_code_moves_and_issues_little_without_spills() -> None:
    pytest.importorskip("triton")
    from benchmarks.norm_kernels import TOOLS, counted

    if not all((TOOLS / tool).exists() for tool in ("nvdisasm", "cuobjdump")):
        pytest.skip("this Triton has no disassembler")
    found = counted(find_recipe("as-run-2012").but({"training.precision": "bf16"}))
    assert all(code.spills == 0 for _, code in found)
    assert sum(launch.megabytes for launch, _ in found) <= 1_200
    assert sum(code.ms(launch) for launch, code in found) <= 0.75
