"""Where a run computes, and how: device, number format, compiled loops.

The device and the compiler change the time a run takes and the rounding of its sums; the format is the recipe's.
"""

import ctypes
import os
import platform
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from alexrepro.errors import Exit, UserError
from alexrepro.model.alexnet import AlexNet
from alexrepro.model.compiled import Compiled, can_compile
from alexrepro.model.normalization import compile_norms
from alexrepro.paper.training import Training
from alexrepro.processors import usable_processors

COMPILED_FROM_CROPS = 20_000  # half a minute of compiling; 6 ms of a core saved per crop of the full-width network
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


@dataclass(frozen=True)
class Device:
    """A torch device, and whether loops are compiled for it."""

    torch_device: torch.device
    compiles: bool = False

    def autocast(self, training: Training) -> AbstractContextManager[Any]:
        """The context in which the network computes: float32 throughout, or bf16 with float32 weights.

        Whether float32 products may be TF32's is set for the whole process, since the way back is computed outside
        the context. A processor has no TF32 and computes such a recipe in float32, which is more exact.
        """
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = training.precision == "tf32"
        return torch.autocast(self.torch_device.type, torch.bfloat16, enabled=training.precision == "bf16")

    def compiled(self, model: AlexNet) -> Callable[..., Tensor]:
        """The network as it is to be called; on a GPU that it has for itself, compiled as a whole.

        Elsewhere only its norms are compiled: the rest gains nothing on a processor, and other processes cannot be
        asked for maps from within compiled code.
        """
        if not self.compiles:
            return model
        compile_norms(model)
        if self.torch_device.type == "cuda" and model.towers.processes == 1:
            return Compiled(model, mode="reduce-overhead")  # CUDA graphs: at batch 128 launches cost as much as work
        return model

    def synchronize(self) -> None:
        """Return once everything that was asked of the device is done."""
        if self.torch_device.type == "cuda":
            torch.cuda.synchronize(self.torch_device)

    @property
    def is_gpu(self) -> bool:
        """Whether work runs on a GPU, beside this process."""
        return self.torch_device.type == "cuda"

    @property
    def backend(self) -> str:
        """The libraries by which processes with such a device exchange tensors."""
        return "cpu:gloo,cuda:nccl" if self.is_gpu else "gloo"

    @property
    def uuid(self) -> str:
        """What tells this GPU from all others, on any host; empty for a CPU."""
        return str(torch.cuda.get_device_properties(self.torch_device).uuid) if self.is_gpu else ""

    def use(self) -> None:
        """Make a GPU the current one of this process, which its libraries take where none is named."""
        if self.is_gpu:
            torch.cuda.set_device(self.torch_device)

    def facts(self) -> dict[str, Any]:
        """What the environment file of a run records about the device."""
        on_gpu = self.torch_device.type == "cuda"
        return {
            "device": torch.cuda.get_device_name(self.torch_device) if on_gpu else "cpu",
            "torch": torch.__version__,
            "cuda": torch.version.cuda if on_gpu else None,
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "processors": usable_processors(),
            "compiled": self.compiles,
        }


def is_worth_compiling(crops: int) -> bool:
    """Whether training on so many crops, those of all epochs, takes longer than the compiler does."""
    return crops >= COMPILED_FROM_CROPS


def gpu_count() -> int:
    """GPUs that torch can use here."""
    return torch.cuda.device_count()


def find_device(
    name: str = "auto", *, compiles: bool = False, local_rank: int = 0, processors: int | None = None
) -> Device:
    """The device for `--device`: auto takes a GPU if there is one; `compiles` holds where there is a compiler.

    processors: of this process, by default all that the program may use; torch gets no more threads, unless
    OMP_NUM_THREADS says otherwise. On a processor, memory that is freed stays with the program from now on.
    Raises UserError when the device is not there.
    """
    _limit_threads(processors or usable_processors())
    if name in ("auto", "cuda") and torch.cuda.is_available():
        name = f"cuda:{local_rank % gpu_count()}"  # SLURM may show each process its own GPU only
    name = "cpu" if name == "auto" else name
    try:
        found = torch.device(name)
        if found.type == "cuda" and not torch.cuda.is_available():
            raise RuntimeError("torch sees no CUDA device")
        if found.type not in ("cpu", "cuda"):
            raise RuntimeError("only cpu and cuda are supported")
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"The device {name} cannot be used: {reason}.", fix="Use --device cpu.", exit_code=Exit.NO_DEVICE
        ) from None
    if found.type == "cpu":
        _keep_freed_memory()
    return Device(found, compiles=compiles and can_compile(found))


def _limit_threads(most: int) -> None:
    """Torch counts the processors of the host, where a control group or other ranks leave this process fewer."""
    if not os.environ.get("OMP_NUM_THREADS") and torch.get_num_threads() > most:
        torch.set_num_threads(most)


def _keep_freed_memory() -> None:
    """Let glibc keep large blocks: returned to the system, each costs a page fault per 4 KiB when asked for again."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if platform.system() == "Linux" else None
    if mallopt is not None:
        for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            mallopt(option, 2**31 - 1)
