"""The optimizer step of `train.py` as one recorded graph of a GPU: crops, masks, forward, loss, backward and update.

It computes what the plain step computes, with the network laid out anew (`model/fast_network.py`) and, in bf16, from a
bf16 copy of the weights, which the update writes. A batch that is not full takes the plain step.
B images of this replica, N of all replicas.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor

from alexrepro.data.loading.crops import Pixels, training_crops
from alexrepro.data.loading.sampling import Batch, shard_of
from alexrepro.device import Device
from alexrepro.distributed.gradients import summed
from alexrepro.distributed.process_group import ProcessGroup
from alexrepro.errors import first_line
from alexrepro.keys import key
from alexrepro.model.alexnet import AlexNet
from alexrepro.model.compiled import Compiled
from alexrepro.model.fast_network import FastNetwork, Layout, OwnNetwork, can_lay_out
from alexrepro.paper.training import Augmentation, Rates
from alexrepro.progress import say
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.layouts import EVERYTHING, Choice, choose, name_of
from alexrepro.training.optimizer import Optimizer

SEEDS_AT_ONCE = 1_000  # steps
WARM_UPS, TIMED_STEPS = 10, 300  # of each layout: a second or two of a GPU


@dataclass(frozen=True)
class Source:
    """What a step is made of: the model, its optimizer, and what happens to the images."""

    model: AlexNet
    optimizer: Optimizer
    pixels: Pixels
    recipe: Recipe
    augmentation: Augmentation  # of this epoch
    group: ProcessGroup = field(default_factory=ProcessGroup)  # of the replicas


@contextmanager
def unchanged(source: Source) -> Iterator[None]:
    """Weights and the optimizer's state are afterwards as before, whatever steps were taken."""
    state = [*source.model.named_kernels().values(), *source.optimizer.state().values()]
    before = [tensor.detach().clone() for tensor in state]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, saved in zip(state, before, strict=True):
                tensor.copy_(saved)


class FastStep:
    """A step on full batches like the first one, recorded for the stages that learn and the color shift of an epoch.

    Rates may change from step to step (`Optimizer.set_rates`); nothing else may.
    """

    def __init__(self, source: Source, first: Batch, *, layout: Layout, device: Device) -> None:
        model = source.model
        self._batch = first.clone()
        self._weights = model.named_kernels()
        self._values = first.draws.colors.new_zeros(2)
        self._seeds = torch.zeros(len(model.dropped_stages), dtype=torch.int64, device=self._values.device)
        is_bf16 = source.recipe.training.precision == "bf16"
        # Leaves of their own, since gradients of the model's are bound to the stream and the hooks of plain steps.
        self._used = {
            name: (weight.detach().to(torch.bfloat16) if is_bf16 else weight.detach()).requires_grad_(
                weight.requires_grad
            )
            for name, weight in self._weights.items()
        }
        self._copies = self._used if is_bf16 else {}
        is_whole = model.towers.processes == 1  # compiled code cannot gather maps from other processes
        loss = _Loss(FastNetwork(model, layout) if is_whole else OwnNetwork(model), source)
        work = self._step(source, Compiled(loss) if device.compiles and is_whole else loss)
        device.allow_tf32(source.recipe.training)
        with unchanged(source):
            self._replay = device.recorded(work)
        self.refresh()

    def __call__(self, batch: Batch, seeds: Tensor) -> Tensor:
        """Train on a batch; seeds: of the masks, int64, one for each stage with dropout.

        Returns this replica's part of the loss and of the top-1 error, (2,) on the device, until the next step.
        """
        self._batch.copy_(batch)
        self._seeds.copy_(seeds, non_blocking=True)
        self._replay()
        return self._values

    def _step(self, source: Source, loss_and_error: Callable[..., tuple[Tensor, Tensor]]) -> Callable[[], None]:
        learning = {name: weight for name, weight in self._used.items() if weight.requires_grad}

        def step() -> None:
            loss, error = loss_and_error(self._batch, self._seeds, self._used)
            gradients = dict(zip(learning, torch.autograd.grad(loss, list(learning.values())), strict=True))
            source.optimizer.move(summed(gradients, source.model, source.group), copies=self._copies)
            self._values.copy_(torch.stack([loss.detach(), error]))

        return step

    @torch.no_grad()
    def refresh(self) -> None:
        """Copy the weights again, which something else has changed."""
        for name, copy in self._copies.items():
            copy.copy_(self._weights[name])


@dataclass(frozen=True)
class _Loss:
    """This replica's part of the mean loss and of the top-1 error, from images as the loader gives them."""

    network: FastNetwork | OwnNetwork
    source: Source

    def __call__(self, batch: Batch, seeds: Tensor, weights: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        images, source = self.source.recipe.training.batch, self.source
        masks = source.model.masks(images, seeds, shard_of(images, source.group.shard))
        crops = training_crops(batch, pixels=source.pixels, augmentation=source.augmentation)
        logits = self.network(crops.to(next(iter(weights.values())).dtype), masks, weights).to(crops.dtype)
        wrong = (logits.detach().argmax(1) != batch.labels).sum().to(crops.dtype)
        return F.cross_entropy(logits, batch.labels, reduction="sum") / images, wrong / images


class FastTraining:
    """The fast steps of a training, recorded anew when other stages learn or the color shift ends.

    layout: the network's; None lets the first full batch choose the fastest, and `keep` is given that choice.
    """

    def __init__(
        self, source: Source, *, layout: Layout | None, device: Device, seed: int, keep: Callable[[Choice], None]
    ) -> None:
        self._source, self._layout, self._device, self._seed, self._keep = source, layout, device, seed, keep
        self._seeds: tuple[range, Tensor] = range(0), torch.empty(0)  # of masks, of the next steps
        self._weights = list(source.model.named_kernels().values())
        self._step: FastStep | None = None
        self._recorded_for: object = None
        self._seen, self._works = 0, True

    def is_ready(self, batch: Batch, *, images: int, rates: Rates, augmentation: Augmentation) -> bool:
        """Whether the batch can be taken: `images`, of all replicas, fill it, and the step could be recorded."""
        if images < self._source.recipe.training.batch or not self._works:
            return False
        source = replace(self._source, augmentation=augmentation)
        source.optimizer.set_rates(rates)
        wanted = (augmentation, [weight.requires_grad for weight in self._weights])
        if self._step is None or self._recorded_for != wanted:
            self._step = None  # frees its memory first
            if self._layout is None:
                choice = choose(
                    source.model.network, source.recipe.training.precision,
                    lambda layout, precision: self._ms(_with(source, precision), batch, layout),
                )  # fmt: skip
                self._layout = choice.layout
                self._keep(choice)
            self._step = self._recorded(source, batch, self._layout)
            if self._step is None:
                self._works = False
                return False
            self._recorded_for = wanted
        elif self._seen != self._version:
            self._step.refresh()
        self._seen = self._version
        return True

    def __call__(self, batch: Batch, *, step: int) -> Tensor:
        """Train on a batch that is ready; this replica's part of loss and top-1 error, (2,) on the device."""
        assert self._step is not None
        return self._step(batch, self._seeds_of(step)).clone()

    def _recorded(self, source: Source, batch: Batch, layout: Layout, *, is_needed: bool = True) -> FastStep | None:
        """A step, if every rank can record it; or says why not. Raises OutOfMemoryError if it is needed."""
        step, why = None, ""
        try:
            step = FastStep(source, batch, layout=layout, device=self._device)
        except torch.OutOfMemoryError:
            if is_needed:
                raise
            why = "out of memory"
        except Exception as error:  # of a compiler, a driver or Triton; the plain step needs none of them
            why = first_line(error)
        failed = list(filter(None, source.group.of_every_rank(why)))
        if failed:
            say(f"{'Not recorded, so slower' if is_needed else f'Not timed: {name_of(layout)}'}: {failed[0]}.")
        return None if failed else step

    def _ms(self, source: Source, batch: Batch, layout: Layout) -> float | None:
        """Milliseconds of a step as the first rank measures them; None if it cannot be recorded. Changes no weight."""
        step = self._recorded(source, batch, layout, is_needed=False)
        if step is None:
            return None
        with unchanged(source):
            started, seeds = 0.0, self._seeds_of(0)
            for number in range(WARM_UPS + TIMED_STEPS):
                if number == WARM_UPS:
                    self._device.synchronize()
                    started = perf_counter()
                step(batch, seeds)
            self._device.synchronize()
            return source.group.broadcast(1000 * (perf_counter() - started) / TIMED_STEPS)

    def _seeds_of(self, step: int) -> Tensor:
        """The seeds of the masks of a step, which reach the device with those of the next steps."""
        steps, seeds = self._seeds
        if step not in steps:
            steps = range(step, step + SEEDS_AT_ONCE)
            found = self._source.model.mask_seeds([key(self._seed, "dropout", each) for each in steps])
            seeds = self._device.sent(found)
            self._seeds = steps, seeds
        return seeds[step - steps.start]

    @property
    def _version(self) -> int:
        """Grows with each change of the weights by torch, which a recorded step's own are not."""
        return sum(weight._version for weight in self._weights)


def _with(source: Source, precision: str) -> Source:
    return replace(source, recipe=source.recipe.but({"training.precision": precision}))


def fast_training(
    source: Source, device: Device, *, seed: int, layout: Layout | None = EVERYTHING,
    keep: Callable[[Choice], None] = lambda _: None,
) -> FastTraining | None:  # fmt: skip
    """The fast steps of a training, if it has a GPU, and a network that can be laid out anew."""
    if not (device.is_gpu and device.compiles and can_lay_out(source.model.network)):
        return None
    return FastTraining(source, layout=layout, device=device, seed=seed, keep=keep)
