"""The work of a rank in tests: steps whose numbers are kept, or a training stopped by a signal."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from alexrepro.data.loading.crops import Pixels
from alexrepro.data.loading.loader import Loader
from alexrepro.data.loading.sampling import Batch, batch_count
from alexrepro.data.store.store import Store
from alexrepro.device import find_device
from alexrepro.distributed.gradients import Gradients
from alexrepro.distributed.process_group import Parallel, ProcessGroup, StopConsensus, connect
from alexrepro.distributed.rank import Rank
from alexrepro.errors import UserError
from alexrepro.model.alexnet import build
from alexrepro.paper.training import Rates
from alexrepro.recipes.catalog import AS_RUN_2012
from alexrepro.recipes.recipe import Recipe
from alexrepro.training import train as training
from alexrepro.training.job import TrainingJob
from alexrepro.training.loggers import Loggers
from alexrepro.training.optimizer import Momentum
from alexrepro.training.saver import Saver
from alexrepro.training.state import TrainingState

MAPS = {"conv1": 8, "conv2": 12, "conv3": 16, "conv4": 16, "conv5": 12, "fc6": 24, "fc7": 20, "fc8": 2}
CHANGES: dict[str, Any] = {f"network.{name}.maps": maps for name, maps in MAPS.items()}
CHANGES |= {f"network.{name}.weight_std": 0.05 for name in MAPS}  # a signal reaches the end of a network this narrow
CHANGES |= {"network.input_px": 98, "training.batch": 13}
CHANGES |= {"training.learning_rate": 1e-3, "training.bias_learning_rate": 1e-3}
NARROW = AS_RUN_2012.but(CHANGES)  # dropout, color shift, three norms, two towers
Found = dict[str, np.ndarray]


class Remembering(Momentum):
    """The update rule, keeping the gradients of its first step."""

    first: Mapping[str, torch.Tensor] | None = None

    def step(self, rates: Rates) -> None:
        if self.first is None:
            self.first = {name: kernel.grad.clone() for name, kernel in self.kernels.items()}  # type: ignore[union-attr]
        super().step(rates)


class Unsaved(TrainingState):
    """The state of a training that writes no checkpoint."""

    def save(self, *, stopped_by: int = 0) -> None:
        assert not stopped_by


@contextmanager
def _exact(dtype: torch.dtype, losses: list[torch.Tensor]) -> Iterator[None]:
    """Have a training shift colors in a number format, and keep its losses in place of writing them."""
    cut = training.training_crops

    def exactly(batch: Batch, **named: Any) -> torch.Tensor:
        return cut(replace(batch, draws=replace(batch.draws, colors=batch.draws.colors.to(dtype))), **named)

    def keep(state: TrainingState, *_: Any, **__: Any) -> None:
        losses.extend(values for _, _, values in state.unread)
        state.unread = []

    with patch.object(training, "training_crops", exactly), patch.object(training, "_read_losses", keep):
        yield


def train_steps(group: ProcessGroup, recipe: Recipe, store: Store, *, dtype: torch.dtype, count: int) -> Found:
    """Logits and gradients of the first step, the losses of all, then full weights and velocities."""
    axes, device, batch = store.color_axes(), find_device("cpu"), recipe.training.batch
    arrays = (store.mean_image(), axes.eigenvalues, axes.eigenvectors)
    pixels = Pixels(*(torch.from_numpy(np.asarray(array)).to(dtype) for array in arrays))
    model = build(recipe.network, seed=1).to(dtype).held_by(group.towers)
    momentum, logits = Remembering(model, recipe.training), list[torch.Tensor]()

    def forward(crops: torch.Tensor, masks: Mapping[str, torch.Tensor]) -> torch.Tensor:
        logits.append(model(crops, masks))
        return logits[-1]

    losses: list[torch.Tensor] = []
    steps = batch_count(len(store), batch)
    recipe = recipe.but({"training.epochs": -(-count // steps)})
    job = TrainingJob(recipe, store=store, validation=None, runs=Path("none"), seed=1, device=device, group=group)
    exchange = Gradients(model, group), StopConsensus(group)
    state = Unsaved(
        job, model, momentum, pixels, forward, model, *exchange, Loggers(job.run), Saver(job.run, is_behind=False)
    )
    loader = Loader(store, batch=batch, side_px=recipe.network.input_px, parts=group.parts)
    with loader, _exact(dtype, losses):
        training._train_epochs(state, loader)
    state.stop_consensus.settle()
    assert momentum.first is not None
    found = {
        "logits": torch.cat(group.all_gather_object(logits[0].detach())),
        "losses": group.all_reduce(torch.stack(losses)),
    }
    found |= {f"gradient of {name}": model.gather_full(name, gradient) for name, gradient in momentum.first.items()}
    found |= {name: model.gather_full(name, tensor.detach()) for name, tensor in model.named_weights().items()}
    found |= {f"velocity of {name}": model.gather_full(name, v) for name, v in momentum.state().items()}
    return {name: tensor.numpy() for name, tensor in found.items()}


@dataclass(frozen=True)
class Leg:
    """A part of a training: processes, how they split the network, and steps before a stop is requested; 0: none."""

    size: int
    parallel: Parallel
    stop_after: int = 0


@dataclass
class Trained:
    """How a rank's training ended, its shard of every batch, and the rows it was shown by step."""

    code: int = 0
    shard: tuple[int, int] = (0, 1)
    shown: dict[int, list[int]] = field(default_factory=dict)


def train_of_one_rank(rank: Rank, leg: Leg, stores: dict[str, Path], recipe: Recipe, runs: Path) -> Trained:
    """A training, to its end or until the last rank gets a signal in step `leg.stop_after`."""
    opened, device = {split: Store.open(path) for split, path in stores.items()}, find_device("cpu")
    job = partial(
        TrainingJob, recipe, store=opened["train"], validation=opened["val"], runs=runs, seed=0, device=device
    )  # fmt: skip
    trained = Trained()
    stop_after = leg.stop_after if rank.rank == rank.world_size - 1 else 0
    try:
        with (
            rank.quiet(), _noted(trained, stop_after),
            connect(rank, device, network=recipe.network, parallel=leg.parallel) as group,
        ):  # fmt: skip
            trained.shard = group.shard
            training.train(job(group=group))
    except UserError as error:
        trained.code = int(error.exit_code)
    except SystemExit as end:
        trained.code = int(str(end.code))
    return trained


@contextmanager
def _noted(trained: Trained, stop_after: int) -> Iterator[None]:
    cut, key, rows = training.training_crops, training.key, list[int]()

    def cut_and_note(batch: Batch, **named: Any) -> torch.Tensor:
        rows[:] = batch.draws.rows.tolist()
        return cut(batch, **named)

    def key_and_note(seed: int, word: str, step: int) -> int:
        trained.shown[step] = list(rows)
        if len(trained.shown) == stop_after:
            os.kill(os.getpid(), signal.SIGTERM)
        return key(seed, word, step)

    with patch.object(training, "training_crops", cut_and_note), patch.object(training, "key", key_and_note):
        yield
