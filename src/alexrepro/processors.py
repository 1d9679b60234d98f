"""What this program may use of its host: processors, within affinity mask and control groups; and freed memory."""

import ctypes
import math
import os
import platform
from contextlib import suppress
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_processors() -> int:
    """The least of the affinity mask (taskset, SLURM) and the control groups' CPU limits (containers), rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [allowed]
    for folder in control_groups():
        with suppress(OSError, ValueError):  # the root has no limit; others hold `200000 100000`, or `max 100000`
            quota, period = map(int, (folder / "cpu.max").read_text(encoding="utf-8").split())
            limits.append(math.ceil(quota / period))
    return max(1, min(limits))


def control_groups() -> list[Path]:
    """The folders of the control groups (version 2) around this program, the innermost first; none where unknown."""
    try:
        own = GROUPS / OWN_GROUPS.read_text(encoding="utf-8").strip().rpartition(":")[2].lstrip("/")
    except OSError:
        return []
    return [own, *own.parents]


def keep_freed_memory() -> None:
    """Let glibc keep large blocks: returned to the system, each costs a page fault per 4 KiB when allocated again."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if platform.system() == "Linux" else None
    if mallopt is not None:
        for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            mallopt(option, 2**31 - 1)
