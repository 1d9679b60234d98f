"""What the norm kernels of a training step cost on an H100 or H200, counted in their machine code: no GPU is needed.

python benchmarks/norm_kernels.py [--recipe as-run-2012] [--precision bf16] [--batch 128]

The network runs on tensors without data, which shows every launch. Each kernel is compiled for sm_90 and disassembled
with Triton's own tools. Bytes: each tensor of a launch once, as if the cache held all that is read again. Milliseconds:
to issue all instructions, one per cycle in each of the 4 parts of 132 multiprocessors at 1.755 GHz; a lower bound.
"""

import argparse
import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from alexrepro.model import gpu_norm
from alexrepro.model.alexnet import build
from alexrepro.model.fast_network import FastNetwork, Layout
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import Recipe

os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")  # as `model/compiled.py` sets it
TOOLS = Path(triton.__file__).parent / "backends/nvidia/bin"
H200 = GPUTarget("cuda", 90, 32)
ISSUED_PER_SECOND = 132 * 4 * 1.755e9  # instructions of whole warps
WARPS = 4  # of a program, Triton's default
ALIGNED = 16  # Triton compiles another kernel where pointers and sizes are multiples of it
TYPES = {torch.bfloat16: "*bf16", torch.float32: "*fp32", torch.float64: "*fp64"}
SPILLS = ("LDL", "STL")
IDLE = ("NOP", "BRA")  # padding after the last instruction


@dataclass(frozen=True)
class Launch:
    """A kernel as the program launches it."""

    kernel: Any
    programs: int
    arguments: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.kernel.__name__)

    @property
    def megabytes(self) -> float:
        tensors = [value for value in self.arguments.values() if isinstance(value, Tensor)]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors) / 1e6

    @property
    def values(self) -> int:
        return int(self.arguments["values"])


@dataclass(frozen=True)
class Code:
    """The machine code of a kernel, per thread."""

    instructions: int
    registers: int
    spills: int

    def ms(self, launch: Launch) -> float:
        return launch.programs * WARPS * self.instructions / ISSUED_PER_SECOND * 1e3

    def per_value(self, launch: Launch) -> float:
        return launch.programs * WARPS * H200.warp_size * self.instructions / launch.values


def launches(recipe: Recipe) -> list[Launch]:
    """The launches of norm kernels in a training step, forward and backward."""
    found: list[Launch] = []

    def recorder(kernel: Any) -> dict[Any, Callable[..., None]]:
        class Grid(dict[Any, Callable[..., None]]):
            def __missing__(self, grid: tuple[int]) -> Callable[..., None]:
                return lambda *given, **named: found.append(
                    Launch(kernel, grid[0], dict(zip(kernel.arg_names, given, strict=False)) | named)
                )

        return Grid()

    model = build(recipe.network, seed=0).to("meta")
    dtype = torch.bfloat16 if recipe.training.precision == "bf16" else torch.float32
    weights = {name: weight.to(dtype) for name, weight in model.named_kernels().items()}
    side_px = recipe.network.input_px
    crops = torch.empty(recipe.training.batch, 3, side_px, side_px, dtype=dtype, device="meta")
    with patch.object(gpu_norm, "wrap_triton", recorder):
        FastNetwork(model, Layout())(crops, None, weights).sum().backward()
    return found


def compiled(launch: Launch) -> Code:
    """The machine code that Triton makes of a launch's kernel, without running it."""
    signature, constants, aligned = {}, {}, {}
    for number, parameter in enumerate(launch.kernel.params):
        value = launch.arguments[parameter.name]
        if parameter.is_constexpr:
            signature[parameter.name], constants[parameter.name] = "constexpr", value
            continue
        kinds = {int: "i32", float: "fp32"}
        signature[parameter.name] = TYPES[value.dtype] if isinstance(value, Tensor) else kinds[type(value)]
        if isinstance(value, Tensor) or (isinstance(value, int) and value % ALIGNED == 0):
            aligned[number,] = [["tt.divisibility", ALIGNED]]
    source = ASTSource(launch.kernel, signature, constants, aligned)
    binary = triton.compile(source, target=H200, options={"num_warps": WARPS}).asm["cubin"]
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(binary)
        names = re.findall(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?\w+\s+)?(\w+)", _output("nvdisasm", "-c", file.name), re.M)
        usage = _output("cuobjdump", "-res-usage", file.name)
    work = [name for name in names if name not in IDLE]
    (registers,) = re.findall(r"REG:(\d+)", usage)
    return Code(len(work), int(registers), sum(name in SPILLS for name in work))


def _output(tool: str, *arguments: str) -> str:
    done = subprocess.run([TOOLS / tool, *arguments], check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


def counted(recipe: Recipe) -> list[tuple[Launch, Code]]:
    """Every launch of a step with its machine code."""
    known: dict[tuple[Any, ...], Code] = {}
    found = []
    for launch in launches(recipe):
        same = launch.name, *(value for value in launch.arguments.values() if not isinstance(value, Tensor))
        if same not in known:
            known[same] = compiled(launch)
        found.append((launch, known[same]))
    return found


def table(found: list[tuple[Launch, Code]]) -> str:
    lines = [
        "| kernel | maps | launches | MB moved | instructions per value | registers | spills | issue-bound ms |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    kinds: dict[tuple[str, str, Code], list[Launch]] = {}
    for launch, code in found:
        shape = "×".join(map(str, launch.arguments["x"].shape))
        kinds.setdefault((launch.name, shape, code), []).append(launch)
    for (name, shape, code), same in kinds.items():
        lines.append(
            f"| `{name}` | {shape} | {len(same)} | {sum(launch.megabytes for launch in same):.0f} "
            f"| {code.per_value(same[0]):.1f} | {code.registers} | {code.spills} "
            f"| {sum(code.ms(launch) for launch in same):.3f} |"
        )
    megabytes, ms = sum(launch.megabytes for launch, _ in found), sum(code.ms(launch) for launch, code in found)
    spills = sum(code.spills for _, code in found)
    return "\n".join([*lines, f"| **sum** | | {len(found)} | **{megabytes:,.0f}** | | | **{spills}** | **{ms:.3f}** |"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="as-run-2012")
    parser.add_argument("--precision", default="bf16", choices=("float32", "bf16"))
    parser.add_argument("--batch", type=int, default=128)
    asked = parser.parse_args()
    changes = {"training.precision": asked.precision, "training.batch": asked.batch}
    print(table(counted(find_recipe(asked.recipe).but(changes))))
    print(f"\nTriton {triton.__version__}, torch {torch.__version__}")
