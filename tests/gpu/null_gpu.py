"""The null GPU: the real program on CUDA devices that accept every call and compute nothing (null_gpu.c)."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from shutil import which
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
# Functions of CUDA's libraries that torch asks for; those that null_gpu.c does not define do nothing.
ASKED = r"_*(?:cuda|cublas|cudnn|nccl|cusparse|cusolver|cufft|curand|cu(?=[A-Z]))\w*"


class Event(NamedTuple):
    """What a device was asked for: a launch, graph, copy (h2d, d2h, d2d), nccl, sync, capture, malloc, pin or mark."""

    kind: str
    device: int
    stream: str
    bytes: int
    name: str


@dataclass(frozen=True)
class Ended:
    """What a program left: its exit code, its output and, of each process that used a device, the events."""

    code: int
    out: str
    err: str
    logs: list[list[Event]]

    @property
    def events(self) -> list[Event]:
        """The events of the only process that used a device."""
        (events,) = self.logs
        return events


@dataclass(frozen=True)
class NullGpu:
    """Runs programs on null devices, in a folder."""

    library: Path
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    most_seconds: int = 180

    def run(self, *arguments: object, devices: int = 1, **environment: str) -> Ended:
        """Run `alexrepro ARGUMENTS` to its end; each batch of the training loader is marked in the log."""
        return self.python("-m", "alexrepro", *arguments, devices=devices, **environment)

    def python(self, *arguments: object, devices: int = 1, **environment: str) -> Ended:
        """Run `python ARGUMENTS` to its end."""
        log = self.folder / "null-gpu-log"
        for old in self.folder.glob(f"{log.name}.*"):
            old.unlink()
        preloaded = {
            "LD_PRELOAD": str(self.library), "LD_LIBRARY_PATH": str(self.library.parent),
            "TRITON_LIBCUDA_PATH": str(self.library.parent), "TORCHINDUCTOR_COMPILE_THREADS": "1",
            "NULL_GPU_LOG": str(log), "NULL_GPU_DEVICES": str(devices), "PYTHONPATH": str(HERE / "marks"),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, *map(str, arguments)], cwd=self.folder, check=False, text=True,
            capture_output=True, timeout=self.most_seconds,
            env={**os.environ, **preloaded, **self.environment, **environment},
        )  # fmt: skip
        logs = [
            [_event(line) for line in path.read_text().splitlines()]
            for path in sorted(self.folder.glob(f"{log.name}.*"))
        ]
        return Ended(done.returncode, done.stdout, done.stderr, [events for events in logs if events])


def _event(line: str) -> Event:
    kind, device, stream, size, name = line.split(" ", 4)
    return Event(kind, int(device), stream, int(size), name)


def build(folder: Path) -> Path:
    """Build the library into a folder; skips the test where it cannot be built."""
    compiler, torch, triton = which("gcc"), find_spec("torch"), find_spec("triton")
    # Those of torch's own CUDA come first: Triton's may be of an earlier one, with other structures.
    headers = torch and next(_folder(torch).parent.glob("nvidia/cu*/include/driver_types.h"), None)
    if compiler is None or torch is None or triton is None or headers is None:
        pytest.skip("the null GPU needs gcc, and a torch that is built for CUDA")
    include = headers.parent
    libraries = sorted((_folder(torch) / "lib").glob("lib*cuda*.so"))
    asked = set(re.findall(rf" U ({ASKED})", _output("nm", "-D", "--undefined-only", *libraries)))
    driver = set(re.findall(r"CUDAAPI (cu\w+)\(", (include / "cuda.h").read_text()))
    asked |= driver | {f"{name}_v{number}" for name in driver for number in (2, 3)}
    source, rest, library = folder / "null_gpu.o", folder / "rest.c", folder / "libcuda.so.1"
    flags = ["-fPIC", "-O2", "-w", f"-I{include}", f"-I{_folder(triton) / 'backends/nvidia/include'}"]
    _output(compiler, *flags, "-c", HERE / "null_gpu.c", "-o", source)
    asked -= set(re.findall(r" T (\w+)", _output("nm", source)))
    rest.write_text("".join(f"int {name}(void) {{ return 0; }}\n" for name in sorted(asked)))
    _output(compiler, *flags, "-shared", "-Wl,-soname,libcuda.so.1", source, rest, "-o", library, "-ldl", "-lpthread")
    return library


def _folder(package: ModuleSpec) -> Path:
    return Path(str(package.origin)).parent


def _output(*command: object) -> str:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout


def steps(events: list[Event]) -> list[list[Event]]:
    """The events of each training step: from one mark to the next, without those between epochs."""
    marks = [number for number, event in enumerate(events) if event.kind == "mark"]
    parts = [events[start + 1 : end] for start, end in pairwise(marks)]
    return [part for part, mark in zip(parts, marks, strict=False) if events[mark].name == "step"]


def between_epochs(events: list[Event]) -> list[list[Event]]:
    """The events after each epoch of a training but the last: validation, checkpoint, start of the next one."""
    marks = [number for number, event in enumerate(events) if event.kind == "mark"]
    return [events[start + 1 : end] for start, end in pairwise(marks) if events[start].name == "end"]
