"""The fastest layout of the recorded step on this GPU: timed at the start of a long training, and kept by its run.

On the same GPU another cuDNN or another network may prefer another layout; results differ by rounding only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from math import inf
from typing import Any

from alexrepro.model.fast_network import Layout, blocks_of
from alexrepro.paper.network import Network
from alexrepro.progress import duration, say
from alexrepro.training.job import TrainingJob

# Crops of a training that is timed. Each of up to six recordings may take half a minute, and this many crops a quarter
# of an hour on a fast GPU; a better layout saves a fifth of that.
TIMED_FROM_CROPS = 20_000_000
PRECISIONS = ("float32", "tf32", "bf16")  # as training.precision names them, the most exact first
EVERYTHING = Layout()


@dataclass(frozen=True)
class Choice:
    """The layout that was the fastest; milliseconds of a step by layout, and by precision in that layout."""

    layout: Layout
    layouts_ms: Mapping[str, float]
    precisions_ms: Mapping[str, float]


def layout_of(job: TrainingJob) -> Layout | None:
    """The layout that the run has chosen, or everything for a short training; None if the fastest is to be timed.

    The first rank decides. Processes that share the towers of a network have no choice.
    """
    run, group = job.run, job.group
    chosen: Mapping[str, Any] | None = group.broadcast(run.environment.get("layout") if group.is_first else None)
    if chosen is not None:
        return Layout(**{field.name: bool(chosen.get(field.name, True)) for field in fields(Layout)})
    is_long = job.recipe.training.epochs * job.images >= TIMED_FROM_CROPS
    return None if is_long and group.towers.processes == 1 else EVERYTHING


def choose(network: Network, precision: str, ms_of: Callable[[Layout, str], float | None]) -> Choice:
    """Time everything, then without each part in turn, and leave out a part if the step is faster without it.

    precision: of the recipe; those that are less exact are timed in the fastest layout. ms_of: milliseconds of a step,
    or None if it cannot be recorded. If none can, the choice is everything.
    """
    best, fastest, layouts = EVERYTHING, inf, dict[str, float]()
    for part in (None, *_parts_of(network)):
        layout = replace(best, **{part: False}) if part else best
        ms = ms_of(layout, precision)
        if ms is not None:
            layouts[name_of(layout)] = ms
            best, fastest = (layout, ms) if ms < fastest else (best, fastest)
    precisions = {precision: fastest} if layouts else {}
    for other in PRECISIONS[PRECISIONS.index(precision) + 1 :] if layouts else ():
        ms = ms_of(best, other)
        if ms is not None:
            precisions[other] = ms
    return Choice(best, layouts, precisions)


def keep(choice: Choice, job: TrainingJob) -> None:
    """Say what was measured and chosen, and write it to the run's environment.json."""
    if not choice.layouts_ms:
        return
    measured = ", ".join(f"{name} {ms:.2f} ms" for name, ms in choice.layouts_ms.items())
    say(f"Fastest step on {job.device.name}: {name_of(choice.layout)} (measured: {measured}).")
    hours = {precision: job.steps * ms / 3.6e6 for precision, ms in choice.precisions_ms.items()}
    say(f"The steps of this training take {hours_of(hours)} here.{faster(hours)}")
    if job.group.is_first:
        flags = {field.name: getattr(choice.layout, field.name) for field in fields(Layout)}
        rounded = [
            {name: round(ms, 3) for name, ms in each.items()} for each in (choice.layouts_ms, choice.precisions_ms)
        ]
        job.run.record({"layout": {**flags, "layouts_ms": rounded[0], "precisions_ms": rounded[1]}})


def hours_of(hours: Mapping[str, float]) -> str:
    """Such as "float32 4 h 6 min, bf16 50 min"."""
    return ", ".join(f"{precision} {duration(3600 * time)}" for precision, time in hours.items())


def faster(hours: Mapping[str, float]) -> str:
    """How to take the fastest precision, if that is not the first one; begins with a space."""
    best = min(hours, key=lambda precision: hours[precision])
    if best == next(iter(hours)):
        return ""
    return f" Faster: --set training.precision={best} (docs/results/precision.md)."


def _parts_of(network: Network) -> list[str]:
    """The parts of a layout that change how a network is computed."""
    operations = {operation for stage in network.stages for operation in stage.order}
    changes = {
        "norm_kernels": any(name in operations and getattr(network, name) for name in ("norm", "same_map_norm")),
        "dense_towers": network.towers > 1,
        "blocks": blocks_of(network) > 0,
    }
    return [part for part, is_change in changes.items() if is_change]


def name_of(layout: Layout) -> str:
    """Such as "without blocks"."""
    off = [field.name.replace("_", " ") for field in fields(Layout) if not getattr(layout, field.name)]
    return f"without {' and '.join(off)}" if off else "everything"
