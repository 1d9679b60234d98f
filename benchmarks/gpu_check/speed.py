"""Milliseconds per step of the fast step, the plain path and torchvision's AlexNet, interleaved."""

import gc
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

from alexrepro.device import Device
from alexrepro.progress import say
from alexrepro.recipes.recipe import Recipe
from benchmarks.gpu_check import contenders, kernels
from benchmarks.gpu_check.contenders import Step, layouts
from benchmarks.gpu_check.page import prose, rate, table
from benchmarks.gpu_check.roofline import step_flop
from benchmarks.gpu_check.study import NOT_RUN, Facts, Study, reason

UNTIL = {"bf16": 0.66, "tf32": 0.74, "float32": 0.82}
FIRST_GUESS = 20.0  # seconds to prepare a contender, before one has been prepared
WARM_UP = 5
TORCHVISION = ("torchvision", "torchvision, compiled")
PROFILED = ("fast", "plain, compiled")


def run(study: Study, facts: Facts) -> None:
    facts["precisions"] = {}
    for precision in study.precisions:
        recipe = contenders.recipe_of(study.recipe, precision)
        facts |= {"recipe": recipe.name, "batch": recipe.training.batch, "steps": study.steps}
        facts["FLOP"] = step_flop(recipe.network, recipe.training.batch)
        found: dict[str, Facts] = {}
        facts["precisions"][precision] = found
        ready = _prepared(study, recipe, found)
        _rounds(study, ready, found, until=UNTIL[precision])
        if precision == "bf16":
            facts["profiles"] = {name: _profile(ready[name]) for name in PROFILED if name in ready}
        del ready
        forget()


def makers(recipe: Recipe, device: torch.device) -> dict[str, Callable[[], Step]]:
    """How to make every contender, the most interesting ones first."""
    batch = contenders.batch_of(recipe, recipe.training.batch, device)
    eager, compiled = Device(device), Device(device, compiles=True)
    (full, layout), *others = layouts().items()
    return {
        full: partial(contenders.fast, recipe, batch, compiled, layout),
        "plain": partial(contenders.plain, recipe, batch, eager),
        TORCHVISION[0]: partial(contenders.torchvisions, recipe, batch, eager),
        "plain, compiled": partial(contenders.plain, recipe, batch, compiled),
        TORCHVISION[1]: partial(contenders.torchvisions, recipe, batch, compiled),
        **{name: partial(contenders.fast, recipe, batch, compiled, other) for name, other in others},
    }


def forget() -> None:
    """Free the memory of what nobody uses any more, and forget what was compiled for it."""
    gc.collect()
    torch.compiler.reset()
    gc.collect()
    torch.cuda.empty_cache()


def _prepared(study: Study, recipe: Recipe, found: dict[str, Facts]) -> dict[str, Step]:
    """The contenders for which there is time and memory, warm; notes the seconds until each has warmed up."""
    ready: dict[str, Step] = {}
    seconds, measuring = 0.0 if study.is_short else FIRST_GUESS, 0.0
    until = UNTIL[recipe.training.precision]
    for name, make in makers(recipe, study.device).items():
        is_wanted = not study.is_short or not name.startswith("fast,")
        if not is_wanted or not study.budget.has(seconds + measuring, until=until):
            found[name] = {"state": NOT_RUN}
            continue
        started = time.perf_counter()
        try:
            step = make()
            for _ in range(WARM_UP):
                step()
            torch.cuda.synchronize(study.device)
            seconds = time.perf_counter() - started
            ms, _ = _timed(study, step, WARM_UP)
        except Exception as error:
            found[name] = {"state": f"failed: {reason(error)}"}
            say(f"  {recipe.training.precision}, {name}: {found[name]['state']}")
            continue
        measuring += 1e-3 * ms * study.steps * study.rounds
        found[name] = {"state": "measured", "ready after, s": seconds, "ms": [], "host ms": []}
        ready[name] = step
    return ready


def _rounds(study: Study, ready: dict[str, Step], found: dict[str, Facts], *, until: float) -> None:
    for number in range(study.rounds):
        if number and not study.budget.has(0.0, until=until):
            break
        for name, step in list(ready.items()):
            try:
                ms, host_ms = _timed(study, step, study.steps)
            except Exception as error:
                found[name]["state"] = f"failed: {reason(error)}"
                del ready[name]
                continue
            found[name]["ms"].append(ms)
            found[name]["host ms"].append(host_ms)
    for name in ready:
        say(f"  {name}: {statistics.median(found[name]['ms']):.3f} ms")


def _timed(study: Study, step: Step, steps: int) -> tuple[float, float]:
    """Milliseconds per step, and how long the host was busy for each."""
    torch.cuda.synchronize(study.device)
    started = time.perf_counter()
    for _ in range(steps):
        step()
    host = time.perf_counter() - started
    torch.cuda.synchronize(study.device)
    return 1e3 * (time.perf_counter() - started) / steps, 1e3 * host / steps


def _profile(step: Step) -> list[kernels.Kernel] | str:
    try:
        return kernels.profiled(step)
    except Exception as error:
        return f"failed: {reason(error)}"


def section(facts: Facts, peaks: Facts) -> str:
    """A table for each precision. peaks: TFLOP/s of matrix products, by precision."""
    if "precisions" not in facts:
        return NOT_RUN
    about = (
        f"Step time for a batch of {facts['batch']} images that is already on the GPU, {facts['recipe']}. Medians over "
        f"rounds of {facts['steps']} steps; the contenders take turns within a round. Our steps include cropping, "
        "augmentation, dropout masks, the update and the top-1 error. torchvision's AlexNet (one tower, no "
        "normalization, fewer maps, SGD) starts from finished float crops. *Host* is the time until the last step has "
        f"been launched. *Of peak* relates the {facts['FLOP'] / 1e9:,.0f} GFLOP of our step to the fastest matrix "
        "product below. *Ready* is the time to build, compile and warm up. *Fast* is the recorded step; *no towers* "
        "has grouped convolutions instead of a dense one for each tower, *no blocks* reads pixels instead of 4×4 "
        "blocks in conv1, *no norms* has compiled instead of hand-written normalization."
    )
    blocks = [prose(about)]
    for precision, found in facts["precisions"].items():
        rows = [_row(name, each, facts, peaks.get(precision)) for name, each in found.items()]
        blocks.append(f"### {precision}")
        blocks.append(table(("contender", "ms", "range", "images/s", "host ms", "of peak", "ready"), rows))
    return "\n\n".join(blocks)


def _row(name: str, found: Facts, facts: Facts, peak: float | None) -> list[str]:
    if not found.get("ms"):
        return [name, found["state"], "", "", "", "", ""]
    ms = statistics.median(found["ms"])
    ours = name not in TORCHVISION and peak
    return [
        name, f"{ms:.3f}", f"{min(found['ms']):.3f}–{max(found['ms']):.3f}", rate(1e3 * facts["batch"] / ms),
        f"{statistics.median(found['host ms']):.3f}", f"{facts['FLOP'] / ms / 1e9 / peak:.1%}" if ours and peak else "",
        f"{found['ready after, s']:.0f} s",
    ]  # fmt: skip


def distance(facts: Facts, roofline: Facts) -> str:
    """How far the fastest step of each precision is from the time that its arithmetic takes at the measured peak."""
    rows = []
    for precision, found in facts.get("precisions", {}).items():
        times = {name: statistics.median(each["ms"]) for name, each in found.items() if each.get("ms")}
        ours = {name: ms for name, ms in times.items() if name not in TORCHVISION}
        peak = roofline.get("TFLOP/s", {}).get(precision)
        if ours and peak:
            name = min(ours, key=lambda name: ours[name])
            least = facts["FLOP"] / peak / 1e9
            rows.append([precision, name, f"{least:.3f}", f"{ours[name]:.3f}", f"{ours[name] / least:.1f}"])
    header = ("precision", "fastest step", "ms at the peak", "measured ms", "times the peak")
    return table(header, rows) if rows else NOT_RUN
