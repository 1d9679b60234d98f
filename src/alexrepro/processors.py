"""How many processors this program may use: its affinity mask, within the CPU limits of its control groups."""

import math
import os
from contextlib import suppress
from pathlib import Path

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
