"""The null GPU: the real program on CUDA devices that accept every call and compute nothing (null_gpu.c)."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
IMAGE_BYTES = 256 * 256 * 3
UNCOMPILED = {"TORCHDYNAMO_DISABLE": "1"}  # all is recorded as with --compile, but not compiled first, which takes long
# Functions of CUDA's libraries that torch asks for; those that null_gpu.c does not define do nothing.
ASKED = r"_*(?:cuda|cublas|cudnn|nccl|cusparse|cusolver|cufft|curand|cu(?=[A-Z]))\w*"


class Event(NamedTuple):
    """What a device was asked for: a launch, graph, copy (h2d, d2h, d2d), nccl, sync, capture, module, malloc or pin.

    A mark is set by tests, its bytes are the graphs that torch has compiled by then; a peak is the most memory in use.
    """

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
    """Runs programs on null devices, in a folder. forks: the process of `forks.py`, which `run` needs."""

    library: Path
    folder: Path
    forks: subprocess.Popen[str] | None = None
    most_seconds: int = 180

    def run(
        self, *arguments: object, devices: int = 1, ranks: Sequence[dict[str, str]] = ({},), **environment: str
    ) -> Ended:
        """Run `alexrepro ARGUMENTS` to its end; each batch of the training loader is marked in the log.

        ranks: the variables of processes that run it side by side.
        """
        assert self.forks is not None
        assert self.forks.stdin is not None
        assert self.forks.stdout is not None
        with TemporaryDirectory(dir=self.folder) as place:
            programs = [
                {
                    "arguments": [*map(str, arguments)], "folder": str(self.folder), "seconds": self.most_seconds,
                    "output": f"{place}/{number}",
                    "environment": {**_logged(place, devices), **environment, **variables},
                }
                for number, variables in enumerate(ranks)
            ]  # fmt: skip
            print(json.dumps(programs), file=self.forks.stdin, flush=True)
            codes = json.loads(self.forks.stdout.readline())
            written = [sorted(Path(place).glob(f"*.{end}")) for end in ("out", "err")]
            out, err = ("".join(path.read_text() for path in paths) for paths in written)
            return Ended(max(map(abs, codes)), out, err, _logs(place))

    def python(self, *arguments: object, devices: int = 1, **environment: str) -> Ended:
        """Run `python ARGUMENTS` to its end, in a process of its own."""
        with TemporaryDirectory(dir=self.folder) as place:
            done = subprocess.run(
                [sys.executable, *map(str, arguments)], cwd=self.folder, check=False, text=True,
                capture_output=True, timeout=self.most_seconds,
                env={**os.environ, **preloaded(self.library), **_logged(place, devices), **environment},
            )  # fmt: skip
            return Ended(done.returncode, done.stdout, done.stderr, _logs(place))


def preloaded(library: Path) -> dict[str, str]:
    """The variables of a process in which the library answers for CUDA."""
    return {
        "LD_PRELOAD": str(library), "LD_LIBRARY_PATH": str(library.parent), "TRITON_LIBCUDA_PATH": str(library.parent),
        "TORCHINDUCTOR_COMPILE_THREADS": "1", "PYTHONPATH": str(HERE / "marks"),
    }  # fmt: skip


@contextmanager
def forks(library: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has loaded the program, for `NullGpu.run`."""
    variables = {**preloaded(library), "OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "FATAL"}
    with subprocess.Popen(
        [sys.executable, HERE / "forks.py"], env={**os.environ, **variables}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        yield process


def _logged(place: str, devices: int) -> dict[str, str]:
    return {"NULL_GPU_LOG": f"{place}/log", "NULL_GPU_DEVICES": str(devices)}


def _logs(place: str) -> list[list[Event]]:
    """The events of each process that used a device."""
    paths = sorted(Path(place).glob("log.*"), key=lambda path: int(path.suffix[1:]))  # as they were started
    logs = [[_event(line) for line in path.read_text().splitlines()] for path in paths]
    return [events for events in logs if events]


def _event(line: str) -> Event:
    kind, device, stream, size, name = line.split(" ", 4)
    return Event(kind, int(device), stream, int(size), name)


def build(folder: Path) -> Path:
    """Build the library into a folder, once; skips the test where it cannot be built."""
    library = folder / "libcuda.so.1"
    if library.exists():
        return library
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
    folder.mkdir(exist_ok=True)
    source, rest = folder / "null_gpu.o", folder / "rest.c"
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


def kinds(events: list[Event]) -> Counter[str]:
    """How many events there are of each kind."""
    return Counter(event.kind for event in events)


def last_steps(events: list[Event], number: int = 3) -> list[Event]:
    """The events of the last full steps of a training, if its batches fill all steps."""
    return [event for step in steps(events)[-1 - number : -1] for event in step]


def steps(events: list[Event]) -> list[list[Event]]:
    """The events of each training step: from one mark to the next, without those between epochs."""
    marks = [number for number, event in enumerate(events) if event.kind == "mark"]
    parts = [events[start + 1 : end] for start, end in pairwise(marks)]
    return [part for part, mark in zip(parts, marks, strict=False) if events[mark].name == "step"]


def images_copied(parts: list[list[Event]]) -> list[int]:
    """How many stored images each step copies to the device, for the next one."""
    return [
        sum(event.bytes // IMAGE_BYTES for event in part if event.kind == "h2d" and event.bytes >= IMAGE_BYTES)
        for part in parts
    ]


def between_epochs(events: list[Event]) -> list[list[Event]]:
    """The events after each epoch of a training but the last: validation, checkpoint, start of the next one."""
    marks = [number for number, event in enumerate(events) if event.kind == "mark"]
    return [events[start + 1 : end] for start, end in pairwise(marks) if events[start].name == "end"]
