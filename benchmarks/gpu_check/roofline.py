"""The roofline of this GPU: the largest matrix-product rates and copy bandwidths that torch reaches on it."""

import statistics
import time
from collections.abc import Callable

import torch

from alexrepro.paper.network import Network
from alexrepro.progress import say
from benchmarks.gpu_check.page import table
from benchmarks.gpu_check.study import NOT_RUN, Facts, Study

SIDES = (2048, 4096, 8192)
CALLS = 4
COPIED_BYTES, MOST_OF_MEMORY = 2**30, 1 / 8
BATCH_BYTES = 128 * 3 * 224 * 224
FORMATS = {"bf16": torch.bfloat16, "tf32": torch.float32, "float32": torch.float32}


def run(study: Study, facts: Facts) -> None:
    facts["TFLOP/s"] = {}
    for name, dtype in FORMATS.items():
        torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
        rates = {side: _matmul(study, side, dtype) for side in SIDES[: 1 if study.is_short else None]}
        facts["TFLOP/s"][name] = max(rates.values())
        facts[f"TFLOP/s by side, {name}"] = rates
    free, _ = torch.cuda.mem_get_info(study.device)
    size = 2**24 if study.is_short else min(COPIED_BYTES, int(free * MOST_OF_MEMORY))
    source = torch.zeros(size, dtype=torch.uint8, device=study.device)
    target = torch.empty_like(source)
    facts["copy, GB/s"] = 2 * size / seconds(study, lambda: target.copy_(source)) / 1e9
    pinned = torch.zeros(BATCH_BYTES, dtype=torch.uint8).pin_memory()
    batch = target[:BATCH_BYTES]
    rate = len(batch) / seconds(study, lambda: batch.copy_(pinned[: len(batch)], non_blocking=True)) / 1e9
    facts["pinned memory to GPU, GB/s"] = rate
    say(f"  bf16 {facts['TFLOP/s']['bf16']:,.0f} TFLOP/s, copy {facts['copy, GB/s']:,.0f} GB/s")


def seconds(study: Study, work: Callable[[], object]) -> float:
    """The median time of a call over all rounds."""
    for _ in range(CALLS):
        work()
    found = []
    for _ in range(study.rounds):
        torch.cuda.synchronize(study.device)
        started = time.perf_counter()
        for _ in range(CALLS):
            work()
        torch.cuda.synchronize(study.device)
        found.append((time.perf_counter() - started) / CALLS)
    return statistics.median(found)


def _matmul(study: Study, side: int, dtype: torch.dtype) -> float:
    a, b = (torch.randn(side, side, device=study.device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    return 2 * side**3 / seconds(study, lambda: torch.mm(a, b, out=out)) / 1e12


def step_flop(network: Network, images: int) -> int:
    """Floating-point operations of a step's convolutions and matrix products: forward, and twice that backward.

    The first stage needs no gradient of its input.
    """
    return 2 * images * (3 * network.macs - network.layers()[0].macs)


def section(facts: Facts) -> str:
    if "TFLOP/s" not in facts:
        return NOT_RUN
    rows = [[f"{name} matrix product, TFLOP/s", f"{rate:,.1f}"] for name, rate in facts["TFLOP/s"].items()]
    rows += [[name, f"{facts[name]:,.1f}"] for name in facts if name.endswith("GB/s")]
    return table(("best of several sizes", "measured"), rows)
