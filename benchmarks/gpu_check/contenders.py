"""The steps that are compared. The check calls the program's training step in this file only."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from alexrepro.data.loading.crops import Pixels, training_crops
from alexrepro.data.loading.sampling import Batch, Draws
from alexrepro.device import Device
from alexrepro.model.alexnet import AlexNet, build
from alexrepro.model.fast_network import Layout
from alexrepro.paper.training import Rates
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.fast_step import FastStep, Source
from alexrepro.training.optimizer import Optimizer, make_optimizer

CPU = torch.device("cpu")
SEEDS = 1_000  # of masks, used in turn
PARTS = ("dense_towers", "blocks", "norm_kernels")
SHORT = {"dense_towers": "towers", "blocks": "blocks", "norm_kernels": "norms"}
Step = Callable[[], object]
Gradients = dict[str, Tensor]  # float64, on the CPU


def layouts() -> dict[str, Layout]:
    """Every layout of the fast step by name: the full one first, then in the order of how much is left out."""
    choices = sorted(itertools.product((True, False), repeat=len(PARTS)), key=lambda on: -sum(on))
    named = {}
    for on in choices:
        off = "/".join(SHORT[part] for part, is_on in zip(PARTS, on, strict=True) if not is_on)
        named[f"fast, no {off}" if off else "fast"] = Layout(**dict(zip(PARTS, on, strict=True)))
    return named


def recipe_of(name: str, precision: str) -> Recipe:
    """A recipe in a precision; float64 is float32 whose tensors are made wider."""
    return find_recipe(name).but({"training.precision": "float32" if precision == "float64" else precision})


def undecayed(name: str, precision: str, *, batch: int) -> Recipe:
    """The same for batches of another size, and without weight decay, so that only gradients move weights."""
    return recipe_of(name, precision).but({"training.batch": batch, "training.weight_decay": 0.0})


def batch_of(recipe: Recipe, images: int, device: torch.device) -> Batch:
    """Random images, labels and draws."""
    generator, side_px = torch.Generator().manual_seed(1), recipe.network.input_px
    crops = torch.randint(0, 256, (images, side_px, side_px, 3), generator=generator, dtype=torch.uint8)
    offsets = torch.randint(0, recipe.augmentation.last_offset_px + 1, (images, 2), generator=generator)
    flips, colors = torch.rand(images, generator=generator) < 0.5, torch.randn(images, 3, generator=generator)
    labels = torch.randint(0, recipe.network.classes, (images,), generator=generator)
    draws = Draws(torch.arange(images), offsets, flips, colors)
    return Batch(0, draws, crops.permute(0, 3, 1, 2), labels).to(device)


@dataclass(frozen=True)
class Training:
    """A network with its optimizer at the rates of the first epoch."""

    recipe: Recipe
    device: Device
    model: AlexNet
    optimizer: Optimizer
    pixels: Pixels
    rates: Rates

    @property
    def tensors(self) -> list[Tensor]:
        """Weights and velocities."""
        return [*self.model.named_kernels().values(), *self.optimizer.state().values()]

    def seeds(self) -> Tensor:
        """Seeds of masks for many steps, on the device."""
        stages = len(self.model.dropped_stages)
        return torch.arange(SEEDS * stages, device=self.device.torch_device).view(SEEDS, stages)


def training_of(recipe: Recipe, device: Device, dtype: torch.dtype = torch.float32) -> Training:
    """A network with initial weights on a device, which is set to the recipe's precision."""
    place = device.torch_device
    model = build(recipe.network, seed=0).to(place, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(model, recipe.training, compiles=device.compiles)
    rates = recipe.training.rates(recipe.network.stages, epoch=1)
    optimizer.freeze(rates)
    optimizer.set_rates(rates)
    stored_px = recipe.augmentation.stored_px
    pixels = Pixels(
        torch.full((3, stored_px, stored_px), 120.0, dtype=dtype), torch.tensor([0.2, 0.02, 0.004], dtype=dtype),
        torch.eye(3, dtype=dtype),
    )  # fmt: skip
    device.autocast(recipe.training)  # sets whether TF32 is allowed in this process
    return Training(recipe, device, model, optimizer, pixels.to(place), rates)


def fast_step(training: Training, batch: Batch, layout: Layout) -> FastStep:
    """The recorded step."""
    source = Source(training.model, training.optimizer, training.pixels, training.recipe, training.recipe.augmentation)
    return FastStep(source, batch, layout=layout, device=training.device)


def restore(training: Training, step: FastStep, saved: list[Tensor]) -> None:
    """Continue a recorded step from saved weights and velocities."""
    with torch.no_grad():
        for tensor, before in zip(training.tensors, saved, strict=True):
            tensor.copy_(before)
    step.refresh()


def plain_gradients(training: Training, batch: Batch) -> Gradients:
    """Gradients of one step of the plain path."""
    crops = training_crops(batch, pixels=training.pixels, augmentation=training.recipe.augmentation)
    masks = training.model.masks(len(batch), training.seeds()[0])
    with training.device.autocast(training.recipe.training):
        logits = training.model(crops, masks)
    F.cross_entropy(logits.to(crops.dtype), batch.labels).backward()  # type: ignore[no-untyped-call]
    found = training.model.named_kernels()
    return {name: weight.grad.double().cpu() for name, weight in found.items() if weight.grad is not None}


def fast_gradients(training: Training, batch: Batch, layout: Layout) -> Gradients:
    """Gradients of one fast step, read from the velocities: without decay they are -ε times the gradients."""
    fast_step(training, batch, layout)(batch, training.seeds()[0])
    rates = training.rates
    return {
        name: velocity.double().cpu() / -_rate(rates, name) for name, velocity in training.optimizer.state().items()
    }


def _rate(rates: Rates, name: str) -> float:
    stage, _, part = name.partition(".")
    of: Mapping[str, float] = rates.biases if part == "bias" else rates.weights
    return of[stage]


def plain(recipe: Recipe, batch: Batch, device: Device) -> Step:
    """The plain step of `train.py`, operation by operation or, if the device compiles, compiled."""
    training, number = training_of(recipe, device), itertools.count()
    model, optimizer = training.model, training.optimizer
    forward = torch.compile(device.with_fast_norms(model), mode="reduce-overhead") if device.compiles else model

    def step() -> None:
        crops = training_crops(batch, pixels=training.pixels, augmentation=recipe.augmentation)
        masks = model.draw_masks(len(batch), key_of_step=next(number))
        with device.autocast(recipe.training):
            logits = forward(crops, masks)
        loss = F.cross_entropy(logits.to(crops.dtype), batch.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.stack([loss.detach(), (logits.detach().argmax(1) != batch.labels).float().mean()])
        optimizer.step(training.rates)

    return step


def fast(recipe: Recipe, batch: Batch, device: Device, layout: Layout) -> Step:
    """The recorded step on a batch that is on the device."""
    training, number = training_of(recipe, device), itertools.count()
    seeds, recorded = training.seeds(), fast_step(training, batch, layout)
    return lambda: recorded(batch, seeds[next(number) % SEEDS])


def torchvisions(recipe: Recipe, batch: Batch, device: Device) -> Step:
    """torchvision's AlexNet (one tower, no normalization) with SGD, on crops that are ready."""
    import torchvision

    place, compiles = device.torch_device, device.compiles
    device.autocast(recipe.training)
    model = torchvision.models.alexnet().to(place, memory_format=torch.channels_last)
    sgd = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4, fused=compiles)
    crops = batch.crops.float().sub_(120.0).div_(64.0)
    forward = torch.compile(model, mode="reduce-overhead") if compiles else model

    def step() -> None:
        with device.autocast(recipe.training):
            logits = forward(crops)
        F.cross_entropy(logits.float(), batch.labels).backward()  # type: ignore[no-untyped-call]
        sgd.step()
        sgd.zero_grad()

    return step
