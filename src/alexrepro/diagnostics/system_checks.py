"""System checks: library versions, GPUs, CPUs and memory."""

import os
import platform
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Any, Literal

import torch
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from alexrepro import __version__
from alexrepro.data.loading.loader import default_workers
from alexrepro.data.store.decode import pillow_at_work
from alexrepro.device import Device, gpus
from alexrepro.distributed.rank import Rank
from alexrepro.errors import Exit, UserError
from alexrepro.processors import control_groups
from alexrepro.progress import counted

CHECKOUT = Path(__file__).parents[3]  # of src/alexrepro/diagnostics/system_checks.py
DRIVER, MEMORY = Path("/proc/driver/nvidia/version"), Path("/proc/meminfo")


@dataclass(frozen=True)
class Finding:
    """One row of the preflight: what was checked and found, the verdict, and what to do about it.

    exit_code: the program's, if this is the first error. facts: the numbers, for other programs.
    """

    what: str
    found: str
    verdict: Literal["ok", "warning", "error"] = "ok"
    advice: str = ""
    exit_code: Exit = Exit.OK
    facts: Mapping[str, Any] = field(default_factory=dict)


def refused(what: str, error: UserError) -> Finding:
    """The row of an error that would end a training."""
    return Finding(what, error.what, "error", error.fix, error.exit_code)


def versions() -> Iterator[Finding]:
    """The program, Python and the libraries that compute and decode, compared with the supported versions."""
    yield Finding("program", f"alexrepro {__version__}")
    needed = _needed()
    name, pillow = pillow_at_work().split()
    needed["Pillow"] = needed["pillow"] if name == "Pillow" else SpecifierSet()
    found = {"Python": platform.python_version(), "torch": torch.__version__, "torchvision": version("torchvision")}
    for what, there in (found | {"Pillow": pillow}).items():
        about = f"{there}; {needed[what]} is supported"
        is_fine = needed[what].contains(there, prereleases=True)
        wrong = Finding(what, about, "error", "Install it with: make setup.", Exit.BAD_CONFIG)
        yield Finding(what, there) if is_fine else wrong


def _needed() -> dict[str, SpecifierSet]:
    """The versions of Python and of libraries that are supported, as they were installed or as the checkout asks."""
    try:
        libraries, python = requires("alexrepro") or [], metadata("alexrepro")["Requires-Python"]
    except PackageNotFoundError:  # run from a checkout on PYTHONPATH
        project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
        libraries, python = project["dependencies"], project["requires-python"]
    return {need.name: need.specifier for need in map(Requirement, libraries)} | {"Python": SpecifierSet(python)}


def check_gpus(device: str) -> list[Finding]:
    """Every GPU that torch finds, or whether there is a driver for one."""
    if device == "cpu":
        return [Finding("GPUs", "not used: training runs on the CPU")]
    found = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", DRIVER.read_text() if DRIVER.exists() else "")
    driver = found[0] if found else "unknown"
    if gpus():
        about = "{}, {}, compute capability {}, driver {}"
        rows = [about.format(name, size(memory), capability, driver) for name, memory, capability in gpus()]
        return [Finding(f"GPU {number}", row) for number, row in enumerate(rows)]
    if not found:
        return [Finding("GPUs", "none: training runs on the CPU")]
    advice = "Install a torch that is built for a CUDA of this driver, and see whether nvidia-smi lists a GPU."
    return [Finding("GPUs", f"none that torch can use, although there is a driver, {driver}", "warning", advice)]


def processors() -> Finding:
    """CPU cores that this program may use."""
    usable, there = Rank().processors, os.cpu_count() or 1
    workers, threads = counted(default_workers(), "loader worker"), counted(torch.get_num_threads(), "torch thread")
    found = f"{usable} of {there} usable: {workers}, {threads}"
    if usable == 1 < there:
        return Finding("CPU cores", found, "warning", "Ask for more, such as SLURM's --cpus-per-task.")
    return Finding("CPU cores", found)


def compiler(device: Device) -> Finding:
    """Whether torch can compile for the device."""
    if device.compiles:
        return Finding("compiler", "torch compiles normalization and the update rule")
    found = "none that torch can use, so normalization and the update rule are slower"
    return Finding("compiler", found, "warning", "Install g++, or ignore this.")


def memory(need: int, free: int | None, what: str = "memory") -> Finding:
    """Free memory, if it is known, and what a training needs, in bytes."""
    facts = {"need_bytes": need, "free_bytes": free}
    found = f"{size(free) if free is not None else 'unknown'} free, about {size(need)} needed"
    if free is None or free >= need:
        return Finding(what, found, facts=facts)
    advice = "Free some, or give a smaller batch: --set training.batch=N."
    return Finding(what, found, "error", advice, Exit.OUT_OF_MEMORY, facts)


def free_memory() -> int | None:
    """Bytes that the system and the control groups (version 2) of this program still allow; None if unknown."""
    found = []
    if MEMORY.exists():
        lines = dict(line.split(":") for line in MEMORY.read_text().splitlines())
        found.append(1024 * int(lines["MemAvailable"].split()[0]))
    for folder in control_groups():
        limit = folder / "memory.max"
        if limit.exists() and limit.read_text().strip() != "max":
            used = int((folder / "memory.current").read_text())
            cached = re.search(r"^inactive_file (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
            found.append(int(limit.read_text()) - used + int(cached[1] if cached else 0))
    return min(found, default=None)


def size(count: float) -> str:
    """A number of bytes: `135 MB`, `1.4 GB`."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
