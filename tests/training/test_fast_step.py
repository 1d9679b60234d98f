"""The fast step equals the plain one: exactly but for the order of sums in float64, and to bf16's rounding in bf16."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from alexrepro.data.loading.crops import Pixels, training_crops
from alexrepro.data.loading.sampling import Batch, Draws
from alexrepro.device import Device
from alexrepro.model.alexnet import build, keyed_bits
from alexrepro.model.fast_network import FastNetwork, Layout, OwnNetwork, blocks_of, can_lay_out
from alexrepro.paper.training import Rates
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.variations import VARIATIONS
from alexrepro.training.fast_step import FastStep, Source
from alexrepro.training.optimizer import make_optimizer

PLAIN_NORMS = Layout(norm_kernels=False)
CPU = Device(torch.device("cpu"))
LAYOUTS = [
    replace(PLAIN_NORMS, dense_towers=dense, blocks=blocks) for dense in (False, True) for blocks in (False, True)
]


def batch_of(recipe: Recipe) -> Batch:
    images = recipe.training.batch
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
    return find_recipe("tiny").but({"network.input_px": 112, "training.precision": "float32", "training.batch": 8})


def plain_step(source: Source, batch: Batch, seeds: torch.Tensor, rates: Rates) -> list[float]:
    model, optimizer = source.model, source.optimizer
    crops = training_crops(batch, pixels=source.pixels, augmentation=source.augmentation)
    logits = model(crops, model.masks(len(batch), seeds))
    loss = F.cross_entropy(logits, batch.labels)
    loss.backward()
    optimizer.step(rates)
    return [loss.item(), (logits.argmax(1) != batch.labels).double().mean().item()]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_three_fast_steps_equal_three_plain_ones(tiny: Recipe, layout: Layout) -> None:
    batch, seeds = batch_of(tiny), torch.tensor([5, 7])
    rates = tiny.training.rates(tiny.network.stages, epoch=1)
    found = []
    for is_fast in (True, False):
        model = build(tiny.network, seed=0).double()
        optimizer = make_optimizer(model, tiny.training)
        source = Source(model, optimizer, pixels_of(torch.float64), tiny, tiny.augmentation)
        optimizer.freeze(rates)
        optimizer.set_rates(rates)
        if is_fast:
            step = FastStep(source, batch, layout=layout, device=CPU)
            values = [step(batch, seeds + number).tolist() for number in range(3)]
        else:
            values = [plain_step(source, batch, seeds + number, rates) for number in range(3)]
        found.append((values, [*model.named_kernels().values(), *optimizer.state().values()]))
    (values, tensors), (expected, plain) = found
    assert torch.tensor(values).sub(torch.tensor(expected)).abs().max() < 1e-6  # values are float32
    for tensor, other in zip(tensors, plain, strict=True):
        assert (tensor - other).abs().max() <= 1e-12 * other.abs().max()


def moved_by(recipe: Recipe, batch: Batch, *, is_fast: bool) -> dict[str, torch.Tensor]:
    """What one step adds to the weights, by the fast step or by the plain one."""
    rates = recipe.training.rates(recipe.network.stages, epoch=1)
    model = build(recipe.network, seed=0)
    before = {name: weight.detach().clone() for name, weight in model.named_kernels().items()}
    optimizer = make_optimizer(model, recipe.training)
    optimizer.freeze(rates)
    optimizer.set_rates(rates)
    source = Source(model, optimizer, pixels_of(torch.float32), recipe, recipe.augmentation)
    if is_fast:
        FastStep(source, batch, layout=PLAIN_NORMS, device=CPU)(batch, torch.tensor([5, 7]))
    else:
        with CPU.autocast(recipe.training):
            plain_step(source, batch, torch.tensor([5, 7]), rates)
    return {name: weight.detach() - before[name] for name, weight in model.named_kernels().items()}


def test_a_fast_step_in_bf16_is_as_near_to_float32_as_the_plain_one(tiny: Recipe) -> None:
    batch, bf16 = batch_of(tiny), tiny.but({"training.precision": "bf16"})
    exact, fast, plain = (
        moved_by(tiny, batch, is_fast=False),
        moved_by(bf16, batch, is_fast=True),
        moved_by(bf16, batch, is_fast=False),
    )
    for name in exact:
        errors = [((found[name] - exact[name]).norm() / exact[name].norm()).item() for found in (fast, plain)]
        assert errors[0] <= 1.5 * errors[1] + 0.01, (name, errors)


NETWORKS = {
    "printed, norms over all maps": ("as-printed", {}),
    "tanh": ("as-run-2012", {"network.activation": "tanh"}),
    "without norms": ("as-run-2012", {"network.norm": "none", "network.same_map_norm": "none"}),
    "one tower": ("as-run-2012", {"network.towers": 1}),
    "inputs divided by deviations": ("as-run-2012", {"network.input_std": [50.0, 60.0, 70.0]}),
}  # fmt: skip


@pytest.mark.parametrize("which", NETWORKS)
def test_every_layout_computes_the_network(which: str) -> None:
    name, changes = NETWORKS[which]
    narrow = {f"network.conv{n}.maps": 16 for n in range(1, 6)} | {"network.fc6.maps": 32, "network.fc7.maps": 32}
    recipe = find_recipe(name).but({**narrow, "network.input_px": 115, **changes})
    model = build(recipe.network, seed=0).double()
    crops = torch.rand(2, 3, 115, 115, dtype=torch.float64) * 100 - 50
    weights, masks = model.named_kernels(), model.draw_masks(2, key_of_step=0)
    expected = model(crops, masks)
    gradients = torch.autograd.grad(expected.square().sum(), list(weights.values()))
    assert torch.equal(OwnNetwork(model)(crops, masks, weights), expected)
    for layout in LAYOUTS:
        found = FastNetwork(model, layout)(crops, masks, weights)
        assert (found - expected).abs().max() <= 1e-12 * expected.abs().max()
        found_gradients = torch.autograd.grad(found.square().sum(), list(weights.values()))
        for gradient, other in zip(found_gradients, gradients, strict=True):
            assert (gradient - other).norm() <= 1e-12 * other.norm()


def test_the_first_stage_reads_57_blocks_of_4_px() -> None:
    assert blocks_of(find_recipe("as-run-2012").network) == 57
    assert blocks_of(find_recipe("cifar-18pct").network) == 0  # it moves by one pixel


def test_masks_are_a_published_hash_on_every_device() -> None:
    seed, mask = 2**62 + 12345, 2**64 - 1
    expected = []
    for number in range(100):
        z = seed ^ number
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        expected.append((z ^ (z >> 31)) >> 40)
    assert keyed_bits(torch.tensor(seed), torch.Size((100,))).tolist() == expected
    many = keyed_bits(torch.tensor(seed), torch.Size((1000, 1000))).double() / 2**24
    assert abs(many.mean() - 0.5) < 0.002
    assert abs((many[:-1] * many[1:]).mean() - 0.25) < 0.002  # neighbors are independent


@pytest.mark.parametrize("name", ["sigmoid", "ungrouped", "pad-2", "extra-conv-narrower", "without-fc6-fc7"])
def test_a_variation_is_laid_out_without_changing_its_logits(tiny: Recipe, name: str) -> None:
    model = build(VARIATIONS[name].of(tiny).network, seed=0).double()
    crops = 60 * torch.randn(2, 3, 112, 112, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    fast = FastNetwork(model, PLAIN_NORMS)(crops, None, model.named_kernels())

    torch.testing.assert_close(fast, model(crops), atol=1e-12, rtol=1e-12)  # float64: the order of sums


@pytest.mark.parametrize("name", ["batch-norm", "layer-norm"])
def test_a_network_whose_norm_learns_takes_the_plain_step(tiny: Recipe, name: str) -> None:
    assert can_lay_out(tiny.network)
    assert not can_lay_out(VARIATIONS[name].of(tiny).network)
