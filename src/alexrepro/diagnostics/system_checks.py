"""What a training finds around it: versions, GPUs, processors, memory, disk, open files; and whether that will do."""

import os
import platform
import re
import resource
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import metadata, requires, version
from pathlib import Path
from typing import Any, Literal

import torch
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from alexrepro import __version__
from alexrepro.data.loading.loader import default_workers
from alexrepro.data.store.decode import pillow_at_work
from alexrepro.device import Device
from alexrepro.distributed.rank import Rank
from alexrepro.errors import Exit, UserError

Verdict = Literal["fine", "look", "wrong"]

DRIVER, SHARED, MEMORY = Path("/proc/driver/nvidia/version"), Path("/dev/shm"), Path("/proc/meminfo")
GROUPS, OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
NCCL_BYTES = 10**9  # of /dev/shm, which NVIDIA's guide to NCCL gives a container


@dataclass(frozen=True)
class Finding:
    """One row of a check-up: what was looked at and found, whether it will do, and what to do if not.

    exit_code: of the program, if nothing before it is wrong. facts: the numbers, for other programs.
    """

    what: str
    found: str
    verdict: Verdict = "fine"
    advice: str = ""
    exit_code: Exit = Exit.OK
    facts: Mapping[str, Any] = field(default_factory=dict)


def refused(what: str, refusal: UserError) -> Finding:
    """The row of what a training would be refused for."""
    return Finding(what, refusal.what, "wrong", refusal.fix, refusal.exit_code)


def versions() -> Iterator[Finding]:
    """The program, Python and the libraries that compute and decode, beside the versions that the program asks for."""
    yield Finding("program", f"alexrepro {__version__}")
    yield _in_range("Python", platform.python_version(), SpecifierSet(metadata("alexrepro")["Requires-Python"]))
    needed = {need.name: need.specifier for need in map(Requirement, requires("alexrepro") or ())}
    yield _in_range("torch", torch.__version__, needed["torch"])
    yield _in_range("torchvision", version("torchvision"), needed["torchvision"])
    name, found = pillow_at_work().split()
    if name == "Pillow":
        yield _in_range(name, found, needed["pillow"])
    else:
        yield Finding("Pillow", f"{name} {found} in its place")


def _in_range(what: str, found: str, wanted: SpecifierSet) -> Finding:
    if wanted.contains(found, prereleases=True):
        return Finding(what, found)
    return Finding(what, f"{found}; {wanted} is supported", "wrong", "Install it with: make setup.", Exit.BAD_CONFIG)


def gpus(device: str) -> Iterator[Finding]:
    """Every GPU that torch sees, and what joins several; without one the processor trains."""
    if device == "cpu":
        yield Finding("GPUs", "not asked for: the processor trains")
    elif not torch.cuda.is_available():
        yield _no_gpu()
    else:
        for number in range(torch.cuda.device_count()):
            yield _gpu(number)
        if torch.cuda.device_count() > 1:
            yield _nccl()


def _no_gpu() -> Finding:
    driver = _driver()
    if driver is None:
        return Finding("GPUs", "none: the processor trains")
    return Finding(
        "GPUs", f"none that torch can use, although there is a driver, {driver}; torch is built for CUDA "
        f"{torch.version.cuda or 'not at all'}", "look",
        "Install a torch that is built for a CUDA of this driver, and see whether nvidia-smi lists a GPU.",
    )  # fmt: skip


def _gpu(number: int) -> Finding:
    about = torch.cuda.get_device_properties(number)
    found = (
        f"{about.name}, {size(about.total_memory)}, compute capability {about.major}.{about.minor}, "
        f"driver {_driver() or 'unknown'}"
    )
    if has_code_for(about.major, about.minor, torch.cuda.get_arch_list()):
        return Finding(f"GPU {number}", found)
    advice = "Install a torch that is built for it, or use --device cpu."
    return Finding(f"GPU {number}", f"{found}: this torch has no code for it", "wrong", advice, Exit.NO_DEVICE)


def has_code_for(major: int, minor: int, built_for: Sequence[str]) -> bool:
    """Whether a GPU can run code for one of these, such as sm_80: of its own generation, or to be translated."""
    for name in built_for:
        made = re.fullmatch(r"(sm|compute)_(\d+)(\d)[a-z]?", name)
        if made is None:
            continue
        kind, built = made[1], (int(made[2]), int(made[3]))
        if built <= (major, minor) and (kind == "compute" or built[0] == major):
            return True
    return False


def _driver() -> str | None:
    found = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", DRIVER.read_text()) if DRIVER.exists() else None
    return found[0] if found else None


def _nccl() -> Finding:
    try:
        found: tuple[object, ...] = torch.cuda.nccl.version()  # type: ignore[no-untyped-call]
    except AttributeError:  # of a torch that was built without
        return Finding(
            "NCCL", "not in this torch: GPUs cannot train together", "look", "Use one GPU, or Linux and PyPI's torch."
        )
    return Finding("NCCL", ".".join(map(str, found)))


def processors() -> Finding:
    """Processors that this program may use, and who uses them."""
    usable, there = Rank().processors, os.cpu_count() or 1
    found = f"{usable} of {there} usable: {default_workers()} to feed, {torch.get_num_threads()} threads of torch"
    if usable == 1 and there > 1:
        return Finding("processors", found, "look", "Ask for more, such as SLURM's --cpus-per-task.")
    return Finding("processors", found)


def compiler(device: Device) -> Finding:
    """Whether torch can compile for the device."""
    if device.compiles:
        return Finding("compiler", "torch compiles norms and updates")
    return Finding(
        "compiler", "none that torch can use, so norms and updates take longer", "look", "Install g++, or do without."
    )


def shared_memory(gpus: int) -> Finding:
    """/dev/shm, through which NCCL joins several GPUs; the feed has memory of its own."""
    if not SHARED.exists():
        return Finding("/dev/shm", "none; it is not needed")
    free = shutil.disk_usage(SHARED).free
    facts = {"free_bytes": free}
    if gpus < 2:
        return Finding("/dev/shm", f"{size(free)} free, not needed: the feed has memory of its own", facts=facts)
    found = f"{size(free)} free for NCCL, which joins {gpus} GPUs"
    if free < NCCL_BYTES:
        return Finding("/dev/shm", found, "look", "Give a container more: docker run --shm-size=1g.", facts=facts)
    return Finding("/dev/shm", found, facts=facts)


def memory(need: int) -> Finding:
    """Memory that is free beside what a training needs, in bytes."""
    free = free_memory()
    facts = {"need_bytes": need, "free_bytes": free}
    if free is None:
        return Finding("memory", f"about {size(need)} needed; this system does not say what is free", facts=facts)
    found = f"{size(free)} free, about {size(need)} needed"
    if free < need:
        return Finding(
            "memory",
            found,
            "wrong",
            "Free some, or give a smaller batch: --set training.batch=N.",
            Exit.OUT_OF_MEMORY,
            facts,
        )
    return Finding("memory", found, facts=facts)


def free_memory() -> int | None:
    """Bytes that this program could still have, by the system and by its control groups; None if neither says."""
    found = list(_left_in_groups())
    if MEMORY.exists():
        lines = dict(line.split(":") for line in MEMORY.read_text().splitlines())
        found.append(1024 * int(lines["MemAvailable"].split()[0]))
    return min(found, default=None)


def _left_in_groups() -> Iterator[int]:
    """What each control group (version 2) around this program has left of its limit; files in its cache can go."""
    own = OWN_GROUP.read_text().partition("0::/")[2].strip() if OWN_GROUP.exists() else ""
    for folder in (GROUPS / own, *(GROUPS / own).parents):
        limit = folder / "memory.max"
        if limit.exists() and limit.read_text().strip() != "max":
            used = int((folder / "memory.current").read_text())
            cached = re.search(r"^inactive_file (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
            yield int(limit.read_text()) - used + int(cached[1] if cached else 0)


def open_files(need: int) -> Finding:
    """How many files this program may have open beside how many it will."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    found, facts = f"{limit:,} may be open, about {need:,} will be", {"need": need, "limit": limit}
    if limit != resource.RLIM_INFINITY and limit < need:
        return Finding("open files", found, "wrong", f"Raise the limit with: ulimit -n {need}.", Exit.BAD_CONFIG, facts)
    return Finding("open files", found, facts=facts)


def writable(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there; raises UserError if nothing may be made in it."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        what, code = f"{there} is a file, not a folder.", Exit.CANNOT_CREATE
    elif not os.access(there, os.W_OK | os.X_OK):
        what, code = f"{there} may not be written.", Exit.NO_PERMISSION
    else:
        return there
    raise UserError(what, fix="Choose another folder with --runs.", exit_code=code)


def size(count: float) -> str:
    """Bytes for people: `135 MB`, `1.4 GB`."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
