"""How many processors this program may use: those of its affinity mask, within the CPU limit of its control groups."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_processors() -> int:
    """Processors that this program may use; at least one.

    The least of the affinity mask (taskset, SLURM's --cpus-per-task) and of the CPU limits of this program's control
    groups and those above them (containers), rounded up.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(limit) for limit in _group_limits())]))


def _group_limits() -> Iterator[float]:
    """The processors' worth of time that each control group around this program allows (versions 1 and 2)."""
    for own in _own_groups():
        for folder in (own, *own.parents):
            yield from _limit(folder)


def _own_groups() -> Iterator[Path]:
    """The folders of this program's control groups: `0::/path` of version 2, `4:cpu,cpuacct:/path` of version 1."""
    try:
        lines = OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield GROUPS / path.lstrip("/")
        elif "cpu" in controllers.split(","):
            yield GROUPS / "cpu" / path.lstrip("/")


def _limit(folder: Path) -> Iterator[float]:
    """Quota by period, where a folder sets them: cpu.max holds `200000 100000`, or `max 100000` for no limit."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="utf-8").strip()
            period = (folder / "cpu.cfs_period_us").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return
    if quota not in ("max", "-1") and int(period) > 0:
        yield int(quota) / int(period)
