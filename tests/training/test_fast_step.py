"""The fast step equals the plain one: exactly but for the order of sums in float64, and to bf16's rounding in bf16."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from alexrepro.data.loading.crops import Pixels, training_crops
from alexrepro.data.loading.sampling import Batch, Draws
from alexrepro.device import Device
from alexrepro.model.alexnet import AlexNet, build, keyed_bits
from alexrepro.model.fast_network import FastNetwork, Layout, blocks_of, can_lay_out
from alexrepro.paper.network import Network
from alexrepro.recipes.catalog import catalog, find_recipe
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.fast_step import FastStep, Source
from alexrepro.training.optimizer import Momentum, make_optimizer

PLAIN_NORMS = Layout(norm_kernels=False)
LAYOUTS = [
    replace(PLAIN_NORMS, dense_towers=dense, blocks=blocks) for dense in (False, True) for blocks in (False, True)
]
MASK64 = 2**64 - 1


def batch_of(recipe: Recipe, images: int) -> Batch:
    generator = torch.Generator().manual_seed(1)
    side_px = recipe.network.input_px
    crops = torch.randint(0, 256, (images, side_px, side_px, 3), generator=generator, dtype=torch.uint8)
    draws = Draws(
        torch.arange(images), torch.randint(0, 33, (images, 2), generator=generator),
        torch.rand(images, generator=generator) < 0.5, torch.randn(images, 3, generator=generator),
    )  # fmt: skip
    labels = torch.randint(0, recipe.network.classes, (images,), generator=generator)
    return Batch(0, draws, crops.permute(0, 3, 1, 2), labels)


def pixels_of(dtype: torch.dtype) -> Pixels:
    return Pixels(
        torch.full((3, 256, 256), 120.0, dtype=dtype),
        torch.tensor([0.2, 0.1, 0.05], dtype=dtype),
        torch.eye(3, dtype=dtype),
    )


@pytest.fixture(scope="module")
def tiny() -> Recipe:
    return find_recipe("tiny").but({"network.input_px": 112, "training.precision": "float32"})


def plain_step(
    model: AlexNet, optimizer: Momentum, source: Source, batch: Batch, seeds: torch.Tensor, rates
) -> list[float]:
    crops = training_crops(batch, pixels=source.pixels, augmentation=source.augmentation)
    logits = model(crops, model.masks(len(batch), seeds))
    loss = F.cross_entropy(logits, batch.labels)
    loss.backward()
    optimizer.step(rates)
    return [loss.item(), (logits.argmax(1) != batch.labels).double().mean().item()]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_three_fast_steps_equal_three_plain_ones(tiny: Recipe, layout: Layout) -> None:
    batch, seeds = batch_of(tiny, 6), torch.tensor([5, 7])
    rates = tiny.training.rates(tiny.network.stages, epoch=1)
    found = []
    for is_fast in (True, False):
        model = build(tiny.network, seed=0).double()
        optimizer = make_optimizer(model, tiny.training)
        source = Source(model, optimizer, pixels_of(torch.float64), tiny, tiny.augmentation)
        optimizer.freeze(rates)
        optimizer.set_rates(rates)
        if is_fast:
            step = FastStep(source, batch, layout=layout, device=Device(torch.device("cpu")))
            values = [step(batch, seeds + number).tolist() for number in range(3)]
        else:
            values = [plain_step(model, optimizer, source, batch, seeds + number, rates) for number in range(3)]
        found.append((values, [*model.named_kernels().values(), *optimizer.state().values()]))
    (values, tensors), (expected, plain) = found
    assert torch.tensor(values).sub(torch.tensor(expected)).abs().max() < 1e-6  # values are float32
    for tensor, other in zip(tensors, plain, strict=True):
        assert (tensor - other).abs().max() <= 1e-12 * other.abs().max()
