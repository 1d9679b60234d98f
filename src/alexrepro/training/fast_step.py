"""The optimizer step of `train.py` as one recorded graph of a GPU: crops, masks, forward, loss, backward and update.

It computes what the plain step computes, with the network laid out anew (`model/fast_network.py`) and, in bf16, from a
bf16 copy of the weights, which the update writes. A batch that is not full takes the plain step.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from alexrepro.data.loading.crops import Pixels, training_crops
from alexrepro.data.loading.sampling import Batch
from alexrepro.device import Device
from alexrepro.keys import key
from alexrepro.model.alexnet import AlexNet
from alexrepro.model.compiled import Compiled
from alexrepro.model.fast_network import FastNetwork, Layout
from alexrepro.paper.training import Augmentation, Rates
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.optimizer import Optimizer

SEEDS_AT_ONCE = 1_000  # steps


@dataclass(frozen=True)
class Source:
    """What a step is made of: a model that holds all towers, its optimizer, and what happens to the images."""

    model: AlexNet
    optimizer: Optimizer
    pixels: Pixels
    recipe: Recipe
    augmentation: Augmentation  # of this epoch


class FastStep:
    """A step on full batches like the first one, recorded for the stages that learn and the color shift of an epoch.

    Rates may change from step to step (`Optimizer.set_rates`); nothing else may.
    """

    def __init__(self, source: Source, first: Batch, *, layout: Layout, device: Device) -> None:
        model, optimizer = source.model, source.optimizer
        self._batch = first.clone()
        self._weights = model.named_kernels()
        self._values = first.draws.colors.new_zeros(2)
        self._seeds = torch.zeros(len(model.dropped_stages), dtype=torch.int64, device=self._values.device)
        is_bf16 = source.recipe.training.precision == "bf16"
        self._copies = {name: weight.detach().to(torch.bfloat16) for name, weight in self._weights.items() if is_bf16}
        for name, copy in self._copies.items():
            copy.requires_grad_(self._weights[name].requires_grad)
        loss_and_error: Callable[..., tuple[Tensor, Tensor]] = _Loss(FastNetwork(model, layout), source)
        if device.compiles:
            loss_and_error = Compiled(loss_and_error)
        used = self._copies or {name: self._leaf(weight) for name, weight in self._weights.items()}
        learning = [name for name, weight in used.items() if weight.requires_grad]

        def step() -> None:
            loss, error = loss_and_error(self._batch, self._seeds, used)
            gradients = torch.autograd.grad(loss, [used[name] for name in learning])
            optimizer.move(dict(zip(learning, gradients, strict=True)), copies=self._copies)
            self._values.copy_(torch.stack([loss.detach(), error]))

        before = [tensor.clone() for tensor in (*self._weights.values(), *optimizer.state().values())]
        self._replay = device.recorded(step)
        with torch.no_grad():
            for tensor, saved in zip((*self._weights.values(), *optimizer.state().values()), before, strict=True):
                tensor.copy_(saved)
        self.refresh()

    def __call__(self, batch: Batch, seeds: Tensor) -> Tensor:
        """Train on a batch; seeds: of the masks, int64, one for each stage with dropout. Returns loss and top-1 error.

        What is returned, (2,) on the device, holds until the next step.
        """
        self._batch.copy_(batch)
        self._seeds.copy_(seeds)
        self._replay()
        return self._values

    @staticmethod
    def _leaf(weight: Tensor) -> Tensor:
        """The same memory with gradients of its own: those of the model are bound to the stream of other steps."""
        return weight.detach().requires_grad_(weight.requires_grad)

    @torch.no_grad()
    def refresh(self) -> None:
        """Copy the weights again, which something else has changed."""
        for name, copy in self._copies.items():
            copy.copy_(self._weights[name])


@dataclass(frozen=True)
class _Loss:
    """The mean cross-entropy loss and the top-1 error of a batch, of images as the loader gives them."""

    network: FastNetwork
    source: Source

    def __call__(self, batch: Batch, seeds: Tensor, weights: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        masks = self.source.model.masks(len(batch), seeds)
        crops = training_crops(batch, pixels=self.source.pixels, augmentation=self.source.augmentation)
        dtype = next(iter(weights.values())).dtype
        logits = self.network(crops.to(dtype), masks, weights).to(crops.dtype)
        wrong = logits.detach().argmax(1) != batch.labels
        return F.cross_entropy(logits, batch.labels), wrong.to(crops.dtype).mean()


class FastTraining:
    """The fast steps of a training, recorded anew when other stages learn or the color shift ends."""

    def __init__(self, source: Source, *, layout: Layout, device: Device, seed: int) -> None:
        self._source, self._layout, self._device, self._seed = source, layout, device, seed
        self._seeds: tuple[range, Tensor] = range(0), torch.empty(0)  # of masks, of the next steps
        self._weights = list(source.model.named_kernels().values())
        self._step: FastStep | None = None
        self._recorded_for: object = None
        self._seen = 0

    def takes(self, batch: Batch) -> bool:
        """Whether a batch is full."""
        return len(batch) == self._source.recipe.training.batch

    def __call__(self, batch: Batch, *, step: int, rates: Rates, augmentation: Augmentation) -> Tensor:
        """Train on a full batch; the loss and the top-1 error, (2,) on the device."""
        source = replace(self._source, augmentation=augmentation)
        source.optimizer.set_rates(rates)
        wanted = (augmentation, [weight.requires_grad for weight in self._weights])
        if self._step is None or self._recorded_for != wanted:
            self._step = None  # frees its memory first
            self._step = FastStep(source, batch, layout=self._layout, device=self._device)
            self._recorded_for = wanted
        elif self._seen != self._version:
            self._step.refresh()
        self._seen = self._version
        return self._step(batch, self._seeds_of(step)).clone()

    def _seeds_of(self, step: int) -> Tensor:
        """The seeds of the masks of a step, which reach the device with those of the next steps."""
        if step not in self._seeds[0]:
            steps = range(step, step + SEEDS_AT_ONCE)
            seeds = self._source.model.mask_seeds([key(self._seed, "dropout", each) for each in steps])
            self._seeds = steps, self._device.sent(seeds)
        return self._seeds[1][step - self._seeds[0].start]

    @property
    def _version(self) -> int:
        """Grows with each change of the weights by torch, which a recorded step's own are not."""
        return sum(weight._version for weight in self._weights)
