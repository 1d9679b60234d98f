"""How many processors this program may use: its affinity mask, within the CPU limits of its control groups."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_processors() -> int:
    """The least of the affinity mask (taskset, SLURM) and the control groups' CPU limits (containers), rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(limit) for limit in _group_limits())]))


def _group_limits() -> Iterator[float]:
    """The processors that each control group around this program allows: `0::/path` of version 2, else version 1."""
    try:
        lines = OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):  # `4:cpu,cpuacct:/path` of version 1
            own = (GROUPS / "cpu" if controllers else GROUPS) / path.lstrip("/")
            for folder in (own, *own.parents):
                yield from _limit(folder)


def _limit(folder: Path) -> Iterator[float]:
    """Quota by period, if the folder sets them; cpu.max holds `200000 100000`, or `max 100000` for no limit."""
    files = ("cpu.max",) if (folder / "cpu.max").exists() else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    try:
        quota, period = " ".join((folder / file).read_text(encoding="utf-8") for file in files).split()
    except (OSError, ValueError):
        return
    if quota not in ("max", "-1") and int(period) > 0:
        yield int(quota) / int(period)
