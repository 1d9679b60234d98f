"""Which kernels a step spends its time in, from torch's profiler."""

import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu_check.page import prose, table
from benchmarks.gpu_check.study import NOT_RUN, Facts

STEPS = 10
SHOWN = 30
TRIAL_SECONDS = 60.0
TRIAL = """
import torch
with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]):
    torch.ones(8, device="cuda").sum().item()
"""
GROUPS = {  # the first group one of whose words is in a kernel's name, in lower case
    "normalization": ("lrn", "avg_pool", "avgpool"),
    "pooling": ("pool",),
    "convolutions": (
        "conv", "cudnn", "wgrad", "dgrad", "fprop", "winograd", "nchwtonhwc", "nhwctonchw", "im2col", "fft",
    ),
    "matrix products": ("gemm", "gemv", "cutlass", "cublas", "nvjet", "splitk", "ampere_s", "matmul", "_mm"),
}  # fmt: skip
REST = "rest"
GROUPED = """Per step; kernels are grouped by name. torch.compile gives the norms of the compiled plain network generic
names, so they count as rest, or as part of what they were fused with."""


class Kernel(NamedTuple):
    """Time and launches of a kernel per step."""

    name: str
    ms: float
    launches: float


def group_of(name: str) -> str:
    """The group of a kernel, by its name."""
    lower = name.lower()
    return next((group for group, words in GROUPS.items() if any(word in lower for word in words)), REST)


def by_group(kernels: Iterable[Kernel]) -> dict[str, tuple[float, float]]:
    """Milliseconds and launches per step of each group."""
    sums = dict.fromkeys((*GROUPS, REST), (0.0, 0.0))
    for kernel in kernels:
        ms, launches = sums[group_of(kernel.name)]
        sums[group_of(kernel.name)] = ms + kernel.ms, launches + kernel.launches
    return sums


@cache
def profiler_works() -> bool:
    """Whether the profiler survives a trial in a process of its own: without CUPTI's permissions it may crash."""
    command = [sys.executable, "-c", TRIAL]
    try:
        return subprocess.run(command, check=False, capture_output=True, timeout=TRIAL_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def profiled(step: Callable[[], object]) -> list[Kernel]:
    """The kernels of a step, by time. Raises RuntimeError where the profiler does not work."""
    if not profiler_works():
        raise RuntimeError("torch's profiler does not work here")
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        for _ in range(STEPS):
            step()
        torch.cuda.synchronize()
    found = [
        Kernel(event.key, event.self_device_time_total / 1e3 / STEPS, event.count / STEPS)
        for event in seen.key_averages()
        if event.self_device_time_total > 0 and str(event.device_type).endswith("CUDA")
    ]
    return sorted(found, key=lambda kernel: -kernel.ms)


def section(profiles: Facts) -> str:
    """Groups of every profiled step, and the slowest kernels of the first one."""
    if not profiles:
        return NOT_RUN
    failed = {name: found for name, found in profiles.items() if not isinstance(found, list)}
    done = {name: [Kernel(*row) for row in found] for name, found in profiles.items() if name not in failed}
    blocks = [f"{name}: {found}" for name, found in failed.items()]
    blocks += [f"{name}: the profiler saw no kernel." for name, found in done.items() if not found]
    done = {name: found for name, found in done.items() if found}
    if done:
        sums = {name: by_group(found) for name, found in done.items()}
        header = ["group", *(f"{name}, ms (launches)" for name in done)]
        rows = [[group, *(_sum([found[group]]) for found in sums.values())] for group in (*GROUPS, REST)]
        rows.append(["all", *(_sum(found.values()) for found in sums.values())])
        blocks.append(table(header, rows))
        blocks.append(prose(GROUPED))
        name, found = next(iter(done.items()))
        blocks.append(f"The {min(SHOWN, len(found))} slowest kernels of the step *{name}*:")
        rows = [[f"{each.ms:.4f}", f"{each.launches:.1f}", group_of(each.name), each.name] for each in found[:SHOWN]]
        blocks.append(table(("ms", "launches", "group", "kernel"), rows))
    return "\n\n".join(blocks)


def _sum(parts: Iterable[tuple[float, float]]) -> str:
    times, launches = zip(*parts, strict=True)
    return f"{sum(times):.3f} ({sum(launches):.0f})"
