"""How many processors this program may use: its affinity mask, within the CPU limits of its control groups."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_processors() -> int:
    """The least of the affinity mask (taskset, SLURM) and the control groups' CPU limits (containers), rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *_group_limits()]))


def control_groups() -> list[Path]:
    """The folders of the control groups (version 2) around this program, the innermost first; none where unknown."""
    try:
        own = GROUPS / OWN_GROUPS.read_text(encoding="utf-8").strip().rpartition(":")[2].lstrip("/")
    except OSError:
        return []
    return [own, *own.parents]


def _group_limits() -> Iterator[int]:
    """The processors that each group around this program allows: cpu.max holds `200000 100000`, or `max 100000`."""
    for folder in control_groups():
        with suppress(OSError, ValueError):  # the root has no limit
            quota, period = map(int, (folder / "cpu.max").read_text(encoding="utf-8").split())
            yield math.ceil(quota / period)
