"""Training in several processes: the same updates as in one, one run folder, one voice, and no orphans."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alexrepro.data.feed import Feed
from alexrepro.data.plan import training_plan
from alexrepro.data.store import Store
from alexrepro.data.views import Pixels
from alexrepro.engine import checkpoint
from alexrepro.engine import train as training
from alexrepro.engine.cluster import Cluster, Parallel, connect, grid
from alexrepro.engine.collectives import Gradients, Votes
from alexrepro.engine.counting import Counts
from alexrepro.engine.evaluate import count
from alexrepro.engine.launch import processes_asked
from alexrepro.engine.machine import find_machine
from alexrepro.engine.optimizer import Momentum
from alexrepro.engine.place import Place, find_place, first_host
from alexrepro.engine.run import Run
from alexrepro.engine.schedule import rates_at
from alexrepro.engine.trainer import Trainer
from alexrepro.errors import Exit, Refusal
from alexrepro.model.alexnet import build
from alexrepro.recipes.alexnet_2012 import AS_PRINTED, AS_RUN_2012
from alexrepro.recipes.recipe import Recipe

from ..ranks import run_ranks

MAPS = {"conv1": 8, "conv2": 12, "conv3": 16, "conv4": 16, "conv5": 12, "fc6": 24, "fc7": 20, "fc8": 2}
CHANGES = {f"network.{name}.maps": maps for name, maps in MAPS.items()}
CHANGES |= {f"network.{name}.weight_std": 0.05 for name in MAPS}  # a signal reaches the end of so narrow a network
CHANGES |= {"network.input_px": 98, "training.batch": 13, "training.rate": 1e-3, "training.bias_rate": 1e-3}
RECIPES = {
    "as-run-2012": AS_RUN_2012.but(CHANGES),
    "as-printed": AS_PRINTED.but({**CHANGES, "network.fc8.maps": 3}),  # a stage that both towers hold whole
}
GRIDS: list[tuple[int, Parallel]] = [(2, "tower"), (2, "data"), (3, "data"), (4, "tower")]
CLOSE = {"rtol": 0, "atol": 1e-12}  # float64; only sums over maps or images go in another order


def updates(cluster: Cluster, recipe: Recipe, store: Store) -> dict[str, np.ndarray]:
    """Losses of an epoch of 40 images, 13 + 13 + 13 + 1, then whole weights and velocities; in float64."""
    axes, machine = store.color_axes(), find_machine("cpu")
    arrays = (store.mean_image(), axes.eigenvalues, axes.eigenvectors)
    pixels = Pixels(*(torch.from_numpy(np.asarray(array)).double() for array in arrays))
    model = build(recipe.network, seed=1).double().held_by(cluster.wire)
    trainer = Trainer(
        Run(Path()), recipe, store, None, 1, machine, pixels, model, Momentum(model, recipe.training), cluster,
        Gradients(model, cluster), Votes(cluster), model,
    )  # fmt: skip
    rates = rates_at(recipe.training, recipe.network.stages, epoch=1, errors=())
    plan = training_plan(40, seed=1, epoch=1, augmentation=recipe.augmentation, side_px=98, reshuffles=True)
    losses = []
    with Feed(store, batch=13, side_px=98, share=cluster.share, workers=1) as images:
        for batch in images.batches(plan):
            exact = replace(batch, colors=batch.colors.double())
            losses.append(training._update(trainer, exact, rates, recipe.augmentation, min(13, 40 - 13 * batch.number)))
            trainer.step += 1
    found = {"losses": cluster.add(torch.stack(losses))}
    found |= {name: model.whole(name, kernel.detach()) for name, kernel in model.named_kernels().items()}
    found |= {f"v {name}": model.whole(name, speed) for name, speed in trainer.momentum.velocities.items()}
    return {name: tensor.numpy() for name, tensor in found.items()}


def updates_of_one_rank(place: Place, parallel: Parallel, store: Path) -> dict[str, Any]:
    machine, opened = find_machine("cpu"), Store.open(store)
    with connect(place, machine, network=AS_RUN_2012.network, parallel=parallel) as cluster:
        found: dict[str, Any] = {name: updates(cluster, recipe, opened) for name, recipe in RECIPES.items()}
        found["counts"] = counts(cluster, opened)
        try:
            cluster.agree({"the store": "a", "the recipe": f"recipe {place.rank}"})
        except (Refusal, SystemExit) as end:
            found["differ"] = (getattr(end, "what", None), int(getattr(end, "exit_code", getattr(end, "code", 0))))
        return found


def counts(cluster: Cluster, store: Store) -> Counts:
    recipe, machine = RECIPES["as-run-2012"], find_machine("cpu")
    pixels = Pixels(*(torch.ones(size) for size in ((3, 256, 256), (3,), (3, 3))))
    return count(
        build(recipe.network, seed=1).held_by(cluster.wire), store, recipe=recipe, pixels=pixels, views="centre",
        machine=machine, title="", cluster=cluster,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("size", "parallel"), GRIDS, ids=str)
def test_any_grid_of_processes_makes_the_updates_of_one(
    stores: dict[str, Store], size: int, parallel: Parallel
) -> None:
    store = stores["train"]

    ranks = run_ranks(updates_of_one_rank, size, parallel, store.path)

    for name, recipe in RECIPES.items():
        alone = updates(Cluster(), recipe, store)
        for rank in ranks:
            for what, expected in alone.items():
                np.testing.assert_allclose(rank[name][what], expected, **CLOSE, err_msg=f"{name}: {what}")
        assert alone["losses"][-1] != pytest.approx(alone["losses"][0], rel=1e-3)  # something was learned
    assert {replace(rank["counts"], loss_sum=0.0) for rank in ranks} == {
        replace(counts(Cluster(), store), loss_sum=0.0)
    }
    says = "The ranks differ: the recipe is recipe 0 on rank 0 and recipe 1 on rank 1."
    assert [rank["differ"] for rank in ranks] == [(says, 78), *[(None, 78)] * (size - 1)]


def train_of_one_rank(place: Place, stores: dict[str, Path], recipe: Recipe, runs: Path, stop_after: int) -> int:
    """The exit code of a run that is asked to stop: the last rank is, by a signal, in the update of this number."""
    update, done = training._update, []

    def update_then_signal(*arguments: Any) -> torch.Tensor:
        done.append(1)
        if len(done) == stop_after and place.rank == place.size - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return update(*arguments)

    training._update = update_then_signal
    opened, machine = {split: Store.open(path) for split, path in stores.items()}, find_machine("cpu")
    try:
        with place.quiet(), connect(place, machine, network=recipe.network, parallel="tower") as cluster:
            training.train(
                recipe, store=opened["train"], validation=opened["val"], runs=runs, seed=0, machine=machine,
                cluster=cluster,
            )  # fmt: skip
    except Refusal as refusal:
        return int(refusal.exit_code)
    except SystemExit as end:
        return int(str(end.code))
    return 0


@pytest.mark.slow
def test_a_run_goes_on_in_two_processes_in_one_and_in_two_again(
    stores: dict[str, Store], recipe: Recipe, tmp_path: Path
) -> None:
    paths = {split: stores[split].path for split in ("train", "val")}
    whole, changing = tmp_path / "whole", tmp_path / "changing"
    assert train_of_one_rank(Place(), paths, recipe, whole, 0) == 0

    first = run_ranks(train_of_one_rank, 2, paths, recipe, changing, 2)
    second = train_of_one_rank(Place(), paths, recipe, changing, 3)
    third = run_ranks(train_of_one_rank, 2, paths, recipe, changing, 0)

    assert (first, second, third) == ([75, 75], 75, [0, 0])
    expected, found = (Run(next(runs.glob("*/*/environment.json")).parent) for runs in (whole, changing))
    assert [row["step"] for row in found.metrics] == [row["step"] for row in expected.metrics]
    assert len(found.validations) == 3
    assert found.result is not None
    for one, other in zip(expected.metrics, found.metrics, strict=True):
        assert float(one["loss"]) == pytest.approx(float(other["loss"]), abs=1e-4)  # float32, written with six digits
    weights = [checkpoint.newest(run.checkpoints) for run in (expected, found)]
    for name, tensor in weights[0].weights.items():  # type: ignore[union-attr]
        torch.testing.assert_close(weights[1].weights[name], tensor, rtol=0, atol=1e-5)  # type: ignore[union-attr]


def test_two_processes_share_the_towers_unless_told_otherwise() -> None:
    network = AS_RUN_2012.network

    assert grid(2, network, None) == (1, 2)
    assert grid(4, network, None) == (4, 1)
    assert grid(4, network, "tower") == (2, 2)
    assert grid(2, AS_RUN_2012.but({"network.towers": 1}).network, None) == (2, 1)


def test_three_processes_cannot_share_two_towers() -> None:
    with pytest.raises(Refusal, match="3 processes cannot share networks of 2 towers"):
        grid(3, AS_RUN_2012.network, "tower")


def test_missing_gpus_are_refused_with_the_way_to_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    with pytest.raises(Refusal, match="--gpus 2 asks for more than torch can use here: 1 GPU") as refused:
        processes_asked(gpus=2, processes=None, device="auto")

    assert refused.value.exit_code is Exit.NO_DEVICE
    assert "--device cpu --processes 2" in refused.value.fix


@pytest.mark.parametrize(("gpus", "processes", "device"), [(2, 2, "cpu"), (2, None, "cpu"), (None, 2, "auto")])
def test_contradicting_options_are_refused(gpus: int | None, processes: int | None, device: str) -> None:
    with pytest.raises(Refusal) as refused:
        processes_asked(gpus=gpus, processes=processes, device=device)

    assert refused.value.exit_code is Exit.USAGE


STEP = {
    "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "3", "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "gpu[07-08]", "SLURM_JOB_ID": "1234567",
}  # fmt: skip
TORCHRUN = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "gpu07",
    "MASTER_PORT": "29500", "TORCHELASTIC_USE_AGENT_STORE": "True",
}  # fmt: skip


def test_the_place_is_that_of_torchrun_or_of_the_slurm_step() -> None:
    found = [find_place(environment) for environment in (TORCHRUN, STEP, {**STEP, **TORCHRUN})]

    assert [(p.rank, p.size, p.local_rank, p.local_size, p.host) for p in found] == [(3, 4, 1, 2, "gpu07")] * 3
    assert [(p.port, p.store_is_with_first) for p in found] == [(29500, False), (24567, True), (29500, False)]


@pytest.mark.parametrize(
    "environment", [{}, {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"}, {**STEP, "SLURM_STEP_NUM_TASKS": "1"}]
)
def test_a_batch_script_or_an_interactive_shell_is_one_process(environment: dict[str, str]) -> None:
    assert find_place(environment).size == 1


@pytest.mark.parametrize(
    ("nodes", "first"), [("gpu1", "gpu1"), ("a,b", "a"), ("gpu[03-05,09],login1", "gpu03"), ("n[1,3]-ib,x", "n1-ib")]
)
def test_the_first_host_of_a_slurm_list(nodes: str, first: str) -> None:
    assert first_host(nodes) == first
