"""System checks: library versions, GPUs, CPUs, memory, disk, open-file limit."""

import os
import platform
import re
import resource
from collections.abc import Iterator, Mapping
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
from alexrepro.device import Device, gpu_versions, gpus
from alexrepro.distributed.rank import Rank
from alexrepro.errors import Exit, UserError

Verdict = Literal["ok", "warning", "error"]

DRIVER, MEMORY = Path("/proc/driver/nvidia/version"), Path("/proc/meminfo")
GROUPS, OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Finding:
    """One row of the preflight: what was checked and found, the verdict, and what to do about it.

    exit_code: the program's, if this is the first error. facts: the numbers, for other programs.
    """

    what: str
    found: str
    verdict: Verdict = "ok"
    advice: str = ""
    exit_code: Exit = Exit.OK
    facts: Mapping[str, Any] = field(default_factory=dict)


def refused(what: str, error: UserError) -> Finding:
    """The row of an error that would end a training."""
    return Finding(what, error.what, "error", error.fix, error.exit_code)


def versions() -> Iterator[Finding]:
    """The program, Python and the libraries that compute and decode, compared with the supported versions."""
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
    return Finding(what, f"{found}; {wanted} is supported", "error", "Install it with: make setup.", Exit.BAD_CONFIG)


def check_gpus(device: str) -> Iterator[Finding]:
    """Every GPU that torch finds, and NCCL where there are several."""
    found, built_for = gpus(), gpu_versions()
    if device == "cpu":
        yield Finding("GPUs", "not used: training runs on the CPU")
    elif not found:
        yield _no_gpu(built_for["CUDA"])
    for number, (name, memory, capability) in enumerate(found if device != "cpu" else []):
        about = f"{name}, {size(memory)}, compute capability {capability}"
        yield Finding(f"GPU {number}", f"{about}, driver {_driver() or 'unknown'}")
    if device != "cpu" and len(found) > 1:
        yield _nccl(built_for["NCCL"])


def _nccl(found: str | None) -> Finding:
    if found:
        return Finding("NCCL", found)
    missing = "not in this torch: GPUs cannot train together"
    return Finding("NCCL", missing, "warning", "Use one GPU, or Linux and PyPI's torch.")


def _no_gpu(cuda: str | None) -> Finding:
    driver = _driver()
    if driver is None:
        return Finding("GPUs", "none: training runs on the CPU")
    return Finding(
        "GPUs", f"none that torch can use, although there is a driver, {driver}; torch is built for CUDA "
        f"{cuda or 'not at all'}", "warning",
        "Install a torch that is built for a CUDA of this driver, and see whether nvidia-smi lists a GPU.",
    )  # fmt: skip


def _driver() -> str | None:
    found = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", DRIVER.read_text()) if DRIVER.exists() else None
    return found[0] if found else None


def processors() -> Finding:
    """CPU cores that this program may use."""
    usable, there = Rank().processors, os.cpu_count() or 1
    found = f"{usable} of {there} usable: {default_workers()} loader workers, {torch.get_num_threads()} torch threads"
    if usable == 1 and there > 1:
        return Finding("CPU cores", found, "warning", "Ask for more, such as SLURM's --cpus-per-task.")
    return Finding("CPU cores", found)


def compiler(device: Device) -> Finding:
    """Whether torch can compile for the device."""
    if device.compiles:
        return Finding("compiler", "torch compiles normalization and the update rule")
    return Finding(
        "compiler",
        "none that torch can use, so normalization and the update rule are slower",
        "warning",
        "Install g++, or ignore this.",
    )


def memory(need: int) -> Finding:
    """Free memory and what a training needs, in bytes."""
    free = free_memory()
    facts = {"need_bytes": need, "free_bytes": free}
    if free is None:
        return Finding("memory", f"about {size(need)} needed; the free memory of this system is unknown", facts=facts)
    found = f"{size(free)} free, about {size(need)} needed"
    if free < need:
        return Finding(
            "memory",
            found,
            "error",
            "Free some, or give a smaller batch: --set training.batch=N.",
            Exit.OUT_OF_MEMORY,
            facts,
        )
    return Finding("memory", found, facts=facts)


def free_memory() -> int | None:
    """Bytes that the system and the control groups still allow this program; None if unknown."""
    found = list(_left_in_groups())
    if MEMORY.exists():
        lines = dict(line.split(":") for line in MEMORY.read_text().splitlines())
        found.append(1024 * int(lines["MemAvailable"].split()[0]))
    return min(found, default=None)


def _left_in_groups() -> Iterator[int]:
    """Bytes left of the limit of each control group (version 2) of this program; cached files do not count."""
    own = OWN_GROUP.read_text().partition("0::/")[2].strip() if OWN_GROUP.exists() else ""
    for folder in (GROUPS / own, *(GROUPS / own).parents):
        limit = folder / "memory.max"
        if limit.exists() and limit.read_text().strip() != "max":
            used = int((folder / "memory.current").read_text())
            cached = re.search(r"^inactive_file (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
            yield int(limit.read_text()) - used + int(cached[1] if cached else 0)


def open_files(need: int) -> Finding:
    """The limit on open files and how many a training opens."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    found, facts = f"{limit:,} allowed, about {need:,} needed", {"need": need, "limit": limit}
    if limit != resource.RLIM_INFINITY and limit < need:
        return Finding("open files", found, "error", f"Raise the limit with: ulimit -n {need}.", Exit.BAD_CONFIG, facts)
    return Finding("open files", found, facts=facts)


def writable(folder: Path) -> Path:
    """The folder, or its nearest existing parent; raises UserError if nothing may be created in it."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        what, code = f"{there} is a file, not a folder.", Exit.CANNOT_CREATE
    elif not os.access(there, os.W_OK | os.X_OK):
        what, code = f"{there} is not writable.", Exit.NO_PERMISSION
    else:
        return there
    raise UserError(what, fix="Choose another folder with --runs.", exit_code=code)


def size(count: float) -> str:
    """A number of bytes: `135 MB`, `1.4 GB`."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
