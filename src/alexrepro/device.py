"""The device of a run: the one file that knows CUDA, its memory, number formats and compiled functions.

Device and compiler change the time of a run and the rounding of its sums; the number format is the recipe's.
"""

import os
import platform
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexrepro.data.loading.kept import KeptImages
from alexrepro.data.loading.sampling import Batch
from alexrepro.errors import Exit, UserError, first_line
from alexrepro.model.alexnet import AlexNet
from alexrepro.model.bf16 import autocast
from alexrepro.model.compiled import can_compile
from alexrepro.model.normalization import use_norms
from alexrepro.paper.training import Training
from alexrepro.processors import keep_freed_memory, usable_processors
from alexrepro.progress import say

RESERVED_BYTES, RESERVED_BYTES_PER_IMAGE = 2**32, 2**25  # of a GPU, for a training beside the images that are kept
WARM_UPS = 3  # of a function before it is recorded; cuDNN and Triton time their kernels in the first


@dataclass(frozen=True)
class Device:
    """A torch device, and whether functions are compiled for it."""

    torch_device: torch.device
    compiles: bool = False

    @property
    def is_gpu(self) -> bool:
        """Whether work runs on a GPU, asynchronously to this process."""
        return self.torch_device.type == "cuda"

    @property
    def name(self) -> str:
        """The name of the GPU, or "cpu"."""
        return torch.cuda.get_device_name(self.torch_device) if self.is_gpu else "cpu"

    @property
    def backend(self) -> str:
        """The libraries with which processes exchange tensors: by gloo in host memory, by NCCL between GPUs."""
        return "cpu:gloo,cuda:nccl" if self.is_gpu else "gloo"

    @property
    def uuid(self) -> str:
        """The identifier of a GPU, unique over all hosts; empty for a CPU."""
        return str(torch.cuda.get_device_properties(self.torch_device).uuid) if self.is_gpu else ""

    def autocast(self, training: Training) -> AbstractContextManager[Any]:
        """The context in which the network computes: float32 throughout, or bf16 with float32 weights.

        Whether float32 products may use TF32 is set for the whole process, since backward runs outside the context. A
        CPU has no TF32 and computes such a recipe in float32, which is more exact.
        """
        self.allow_tf32(training)
        return autocast(self.torch_device.type, is_bf16=training.precision == "bf16")

    def allow_tf32(self, training: Training) -> None:
        """Let float32 products use TF32, in the whole process, only where that is the recipe's precision."""
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = training.precision == "tf32"
        torch.backends.cudnn.benchmark = self.compiles  # sizes repeat, so timing the kernels once pays

    def with_fast_norms(self, model: AlexNet) -> AlexNet:
        """Let the network run its normalization in the device's fastest form, if functions are compiled for it.

        The rest gains nothing from a compiler on a CPU, and is recorded as a part of the step on a GPU.
        """
        if self.compiles:
            use_norms(model, "kernels" if self.is_gpu else "compiled")
        return model

    def recorded(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record a function's work on the GPU as one graph; returns what does the work again, in a single launch.

        The function is called a few times before, to compile and to choose kernels. Its tensors must stay in place.
        On a CPU, where a launch costs nothing, it is the function itself.
        """
        if not self.is_gpu:
            return work
        stream = torch.cuda.Stream(self.torch_device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self.torch_device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                work()
        torch.cuda.current_stream(self.torch_device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):  # that of the calls before, to which gradients are bound
            work()
        return graph.replay

    def sent(self, tensor: Tensor) -> Tensor:
        """A tensor on the device; a GPU copies it from pinned memory, without waiting."""
        return tensor.pin_memory().to(self.torch_device, non_blocking=True) if self.is_gpu else tensor

    def synchronize(self) -> None:
        """Wait until the device has done all its work."""
        if self.is_gpu:
            torch.cuda.synchronize(self.torch_device)

    @contextmanager
    def enough_memory(self, *, batch: int) -> Iterator[None]:
        """Turn an out-of-memory error into a UserError that asks for a smaller batch."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            reason = str(error).partition(". ")[0].rstrip(".")
            raise UserError(
                f"A batch of {batch} does not fit into the memory of {self.torch_device}: {reason}.",
                fix="Give a smaller one: --set training.batch=N. It changes the training; the paper's is 128.",
                exit_code=Exit.OUT_OF_MEMORY,
            ) from None

    @property
    def free_memory(self) -> int:
        """Bytes of a GPU's memory that nobody uses."""
        return int(torch.cuda.mem_get_info(self.torch_device)[0])

    @property
    def copies(self) -> "GpuCopies | None":
        """What copies a loader's batches to a GPU; None on a CPU, which reads them in place."""
        return GpuCopies(self.torch_device) if self.is_gpu else None

    def copies_of_epochs(self, *, batch: int) -> "GpuCopies | None":
        """The same for a training's store, whose images stay in the GPU's memory as far as that has room for them."""
        return GpuCopies(self.torch_device, partial(self.room, batch=batch)) if self.is_gpu else None

    def room(self, image_bytes: int, *, batch: int) -> int:
        """How many stored images a GPU's free memory has room for, beside a training on batches of this size."""
        torch.cuda.empty_cache()
        free = self.free_memory + torch.cuda.memory_reserved(self.torch_device)
        return max(0, free - RESERVED_BYTES - RESERVED_BYTES_PER_IMAGE * batch) // image_bytes

    def facts(self) -> dict[str, Any]:
        """What the environment file of a run records about the device."""
        return {
            "device": self.name,
            "torch": torch.__version__,
            "cuda": torch.version.cuda if self.is_gpu else None,
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "processors": usable_processors(),
            "compiled": self.compiles,
        }


class GpuCopies:
    """Copies batches to a GPU on a stream of their own; a batch is held until its copy is done."""

    def __init__(self, device: torch.device, room: Callable[[int], int] = lambda _: 0) -> None:
        self.device, self.room = device, room  # for how many images of a size, which stay on the GPU

    def begin(self, slots: NDArray[np.uint8], most: int, kept: KeptImages | None) -> None:
        """Copy from this memory, which holds all batches, with at most `most` copies under way, through `kept`."""
        self._slots, self._most, self._kept = slots, most, kept
        self._under_way: deque[tuple[torch.cuda.Event, Batch]] = deque()
        self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        refused = int(torch.cuda.cudart().cudaHostRegister(slots.ctypes.data, slots.nbytes, 0))  # type: ignore[no-untyped-call]
        if refused:
            say("Memory cannot be pinned here, so each batch is copied once more, at the cost of speed.")
            with suppress(RuntimeError):  # the next launch reports the error again; let it be this one
                torch.ones(1, device=self.device)  # a kernel, since zeros may be a memset
        self._is_locked = not refused

    def copied(self, filled: Iterator[Batch]) -> Iterator[Batch]:
        """The batches on the device, copied while it works."""
        for batch in filled:
            with torch.cuda.stream(self._stream):
                moved = self._kept.cut(batch) if self._kept else batch.to(self.device)
                self._under_way.append((self._stream.record_event(), batch))
            user = torch.cuda.current_stream(self.device)
            user.wait_stream(self._stream)
            for tensor in filter(torch.is_tensor, (moved.crops, moved.packed)):
                tensor.record_stream(user)
            yield moved
            del batch, moved
            while self._under_way and self._under_way[0][0].query():  # type: ignore[no-untyped-call]
                self._under_way.popleft()
            if len(self._under_way) == self._most:
                self._finish()

    def close(self) -> None:
        """Wait for all copies and unlock the memory."""
        while self._under_way:
            self._finish()
        self._kept = None
        if self._is_locked:
            torch.cuda.cudart().cudaHostUnregister(self._slots.ctypes.data)  # type: ignore[no-untyped-call]

    def _finish(self) -> None:
        copied, _ = self._under_way.popleft()
        copied.synchronize()


def gpus() -> list[tuple[str, int, str]]:
    """Name, bytes of memory and compute capability of every GPU that torch can use."""
    numbers = range(gpu_count()) if torch.cuda.is_available() else ()
    found = [torch.cuda.get_device_properties(number) for number in numbers]
    return [(each.name, each.total_memory, f"{each.major}.{each.minor}") for each in found]


def gpu_count() -> int:
    """GPUs that torch can use here."""
    return torch.cuda.device_count()


def find_device(
    name: str = "auto", *, compiles: bool = False, local_rank: int = 0, processors: int | None = None
) -> Device:
    """The device for `--device`; auto takes a GPU if there is one. It compiles if asked to and if there is a compiler.

    processors: the most threads for torch, by default all that the program may use, unless OMP_NUM_THREADS is set. On a
    CPU, freed memory stays with the program from now on. Raises UserError if the device cannot be used.
    """
    most = processors or usable_processors()
    if not os.environ.get("OMP_NUM_THREADS") and torch.get_num_threads() > most:
        torch.set_num_threads(most)  # torch counts the host's, where control groups and other ranks may leave fewer
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
        what = f"The device {name} cannot be used: {first_line(error)}."
        raise UserError(what, fix="Use --device cpu.", exit_code=Exit.NO_DEVICE) from None
    if found.type == "cuda":
        torch.cuda.set_device(found)  # the default of NCCL and of other libraries
    else:
        keep_freed_memory()
    return Device(found, compiles=compiles and can_compile(found))
