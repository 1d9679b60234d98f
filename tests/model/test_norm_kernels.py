"""The hand-written norms equal the plain ones in Triton's interpreter, and their machine code is as the docs say."""

import os
import subprocess
import sys

import pytest

CHECK = """
import torch
from alexrepro.model import gpu_norm
from alexrepro.model.normalization import ResponseNorm, SameMap
from alexrepro.paper.network import Norm, SameMapNorm

torch.manual_seed(0)
for beta in (0.75, 0.6):
    across = Norm(beta=beta, per_tower=True)
    modules = [
        (ResponseNorm(across, maps=12, groups=2), lambda x: gpu_norm.lrn(x, 2, 5, [2.0, 1e-4, beta])),
        (SameMap(SameMapNorm(beta=beta)), lambda x: gpu_norm.spatial_lrn(x, 5, [1.0, 1e-3 / 25, beta])),
    ]
    for plain, fast in modules:
        for images, dtype, limit in ((2, torch.float64, 1e-12), (2, torch.float32, 1e-6), (2, torch.bfloat16, 1e-2), (0, torch.float32, 0)):
            maps = (30 * torch.randn(images, 12, 6, 7)).to(dtype).requires_grad_()
            exact = maps.detach().double().requires_grad_()
            above = torch.randn(images, 12, 6, 7).to(dtype)
            found, expected = fast(maps), plain.double()(exact)
            assert found.dtype == dtype and found.shape == expected.shape
            pairs = [(found, expected), (*torch.autograd.grad(found, maps, above), *torch.autograd.grad(expected, exact, above.double()))]
            for ours, theirs in pairs:
                assert images == 0 or (ours - theirs).norm() <= limit * theirs.norm(), (plain, dtype, beta)
"""


def test_forward_and_backward_equal_the_plain_norms() -> None:
    pytest.importorskip("triton")
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
