"""The fastest layout is chosen by time; what cannot be recorded is left out, and timing changes no weight."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.model.alexnet import build
from alexrepro.model.fast_network import Layout
from alexrepro.paper.network import Network
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import Recipe
from alexrepro.training import fast_step
from alexrepro.training.fast_step import FastTraining, Source
from alexrepro.training.job import TrainingJob
from alexrepro.training.layouts import TIMED_FROM_CROPS, Choice, choose, faster, hours_of, keep, layout_of
from alexrepro.training.optimizer import make_optimizer

from .test_fast_step import batch_of, pixels_of

NO_KERNELS = Layout(norm_kernels=False)
PAPER = Network()


class CallsFirst(Device):
    """A CPU that tries what it records, as a GPU does."""

    def recorded(self, work: Callable[[], None]) -> Callable[[], None]:
        work()
        return work


def ms(times: dict[Layout, float | None], usual: float = 9.0) -> Choice:
    """The choice where a step takes these milliseconds in a layout, and 9 in others."""
    return choose(PAPER, "bf16", lambda layout, _: times.get(layout, usual))


def test_everything_is_chosen_where_no_part_costs_time() -> None:
    found = ms({Layout(): 2.0})

    assert found.layout == Layout()
    assert found.layouts_ms == {
        "everything": 2.0, "without norm kernels": 9.0, "without dense towers": 9.0, "without blocks": 9.0
    }  # fmt: skip


def test_a_part_that_costs_time_stays_off_while_the_next_is_tried() -> None:
    both = replace(NO_KERNELS, blocks=False)

    found = ms({Layout(): 4.0, NO_KERNELS: 3.0, both: 2.0})

    assert found.layout == both
    assert found.layouts_ms["without blocks and norm kernels"] == 2.0


def test_what_cannot_be_recorded_is_left_out() -> None:
    found = ms({Layout(): None, NO_KERNELS: 3.0})

    assert found.layout == NO_KERNELS
    assert "everything" not in found.layouts_ms


def test_without_any_recording_the_choice_is_everything_and_no_time() -> None:
    assert choose(PAPER, "float32", lambda *_: None) == Choice(Layout(), {}, {})


def test_parts_that_change_nothing_are_not_timed() -> None:
    network = replace(find_recipe("tiny").network, towers=1)

    found = choose(network, "bf16", lambda *_: 1.0)

    assert "without dense towers" not in found.layouts_ms


def test_less_exact_precisions_are_timed_in_the_fastest_layout() -> None:
    times = {("float32", Layout()): 9.0, ("float32", NO_KERNELS): 8.0, ("tf32", NO_KERNELS): 4.0}

    found = choose(PAPER, "float32", lambda layout, precision: times.get((precision, layout), 20.0))

    assert found.precisions_ms == {"float32": 8.0, "tf32": 4.0, "bf16": 20.0}


def test_hours_name_the_way_to_the_fastest_precision() -> None:
    hours = {"float32": 4.02, "tf32": 2.0, "bf16": 0.8}

    assert hours_of(hours) == "float32 4 h 1 min, tf32 2 h 0 min, bf16 48 min"
    assert faster(hours) == " Faster: --set training.precision=bf16 (docs/results/precision.md)."
    assert faster({"bf16": 0.8}) == ""


def test_a_run_keeps_its_choice_and_only_a_long_one_is_timed(
    stores: dict[str, Store], recipe: Recipe, device: Device, tmp_path: Path
) -> None:
    short = TrainingJob(recipe, store=stores["train"], validation=None, runs=tmp_path, seed=0, device=device)
    long = replace(short, recipe=recipe.but({"training.epochs": TIMED_FROM_CROPS // 40}))
    for job in (short, long):
        job.run.begin(job.recipe, job.environment())

    assert (layout_of(short), layout_of(long)) == (Layout(), None)
    keep(Choice(NO_KERNELS, {"without norm kernels": 2.0}, {"float32": 2.0}), long)
    assert layout_of(long) == NO_KERNELS
    keep(Choice(Layout(), {}, {}), short)
    assert "layout" not in short.run.environment


def test_timing_changes_no_weight_and_leaves_out_kernels_that_do_not_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_step, "TIMED_STEPS", 1)
    monkeypatch.setattr(fast_step, "WARM_UPS", 1)
    tiny: Recipe = find_recipe("tiny").but({"network.input_px": 112, "training.precision": "tf32", "training.batch": 8})
    model = build(tiny.network, seed=0)
    optimizer = make_optimizer(model, tiny.training)
    rates = tiny.training.rates(tiny.network.stages, epoch=1)
    optimizer.freeze(rates)
    source, chosen = Source(model, optimizer, pixels_of(torch.float32), tiny, tiny.augmentation), list[Choice]()
    fast = FastTraining(source, layout=None, device=CallsFirst(torch.device("cpu")), seed=0, keep=chosen.append)
    state = [*model.named_kernels().values(), *optimizer.state().values()]
    before = [tensor.detach().clone() for tensor in state]

    for _ in range(2):
        assert fast.is_ready(batch_of(tiny), images=8, rates=rates, augmentation=tiny.augmentation)

    assert [torch.equal(tensor, saved) for tensor, saved in zip(state, before, strict=True)] == [True] * len(state)
    (choice,) = chosen
    assert not choice.layout.norm_kernels
    assert "everything" not in choice.layouts_ms
    assert set(choice.precisions_ms) == {"tf32", "bf16"}
