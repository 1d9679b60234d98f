"""One training step and one ten-crop batch of the full-width network, and of the same network with other norms.

python benchmarks/step.py [--recipe as-run-2012] [--precision bf16] [--batch 128] [--rounds 9] [--device cpu]

Every round runs every variant once: forward, backward and update rule; medians of seconds, and of ratios within a
round. On a CPU in one thread, in CPU-seconds, so that other programs count little.
"""

import argparse
import platform
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from alexrepro.device import Device, find_device
from alexrepro.model.alexnet import AlexNet, build
from alexrepro.model.compiled import Compiled
from alexrepro.model.normalization import ResponseNorm, SameMap
from alexrepro.paper.network import Norm, SameMapNorm
from alexrepro.recipes.catalog import catalog
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.optimizer import Momentum

WITHOUT_NORMS = {"network.norm": None, "network.same_map_norm": None}
TEN_CROPS = 10
Step = Callable[[], None]


class TorchNorm(nn.Module):
    """Response normalization as torch has it: an average over a padded third dimension, and a power."""

    def __init__(self, norm: Norm, groups: int) -> None:
        super().__init__()
        self.norm, self.groups = norm, groups

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm
        alpha = norm.coefficient * norm.n  # torch divides by n
        towers = [
            F.local_response_norm(tower, norm.n, alpha=alpha, beta=norm.beta, k=norm.k)
            for tower in x.chunk(self.groups, dim=1)
        ]
        return torch.cat(towers, dim=1)


class TorchSameMap(nn.Module):
    """The norm within a map as its formula: torch has none."""

    def __init__(self, norm: SameMapNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm
        sums = F.avg_pool2d(x.square(), norm.size_px, stride=1, padding=norm.size_px // 2, divisor_override=1)
        return x / (norm.k + norm.coefficient * sums).pow(norm.beta)


def with_torch_norms(model: AlexNet) -> AlexNet:
    for parent in list(model.modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, ResponseNorm):
                setattr(parent, name, TorchNorm(module.norm, module.groups))
            elif isinstance(module, SameMap):
                setattr(parent, name, TorchSameMap(module.norm))
    return model


def network_of(recipe: Recipe, device: Device, *, torch_norms: bool = False) -> AlexNet:
    model = build(recipe.network, seed=0)
    if torch_norms:
        with_torch_norms(model)
    return model.to(device.torch_device, memory_format=torch.channels_last)


def crops_of(recipe: Recipe, device: Device) -> Tensor:
    side = recipe.network.input_px
    crops = torch.randn(recipe.training.batch, 3, side, side, device=device.torch_device) * 60
    return crops.contiguous(memory_format=torch.channels_last)


def ours(recipe: Recipe, device: Device, *, torch_norms: bool = False, whole: bool = False) -> Step:
    """A plain step as in a run; whole: with the network compiled as one function."""
    model, training = network_of(recipe, device, torch_norms=torch_norms), recipe.training
    momentum = Momentum(model, training, compiles=device.compiles)
    rates = training.rates(recipe.network.stages, epoch=1)
    crops, forward = crops_of(recipe, device), device.with_fast_norms(model)
    if whole:
        forward = Compiled(model)
    labels = torch.arange(training.batch, device=device.torch_device) % recipe.network.classes

    def step() -> None:
        masks = model.draw_masks(training.batch, key_of_step=0)
        with device.autocast(training):
            logits = forward(crops, masks)
        F.cross_entropy(logits.float(), labels).backward()
        momentum.step(rates)

    return step


def torchvisions(recipe: Recipe, device: Device) -> Step:
    """A step of torchvision's AlexNet, which has no towers, no norms and fewer maps, with torch's SGD."""
    model = torchvision.models.alexnet().to(device.torch_device, memory_format=torch.channels_last)
    sgd = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9, weight_decay=0.0005)
    crops = crops_of(recipe, device)
    labels = torch.arange(len(crops), device=device.torch_device) % recipe.network.classes

    def step() -> None:
        with device.autocast(recipe.training):
            logits = model(crops)
        F.cross_entropy(logits.float(), labels).backward()
        sgd.step()
        sgd.zero_grad(set_to_none=True)

    return step


def ten_crops(recipe: Recipe, device: Device, *, torch_norms: bool = False) -> Step:
    """Ten crops of every image of a batch, one crop after the other, as in evaluation."""
    model = network_of(recipe, device, torch_norms=torch_norms)
    device.with_fast_norms(model)
    crops = crops_of(recipe, device)

    @torch.no_grad()
    def step() -> None:
        for _ in range(TEN_CROPS):
            with device.autocast(recipe.training):
                model(crops).float().softmax(1)

    return step


def steps_of(recipe: Recipe, device: str, *, whole: bool) -> dict[str, Step]:
    compiled, plain = find_device(device, compiles=True), find_device(device)
    bare = recipe.but(WITHOUT_NORMS)
    steps = {
        "ours": ours(recipe, compiled),
        "ours, without norms": ours(bare, compiled),
        "ours, --no-compile": ours(recipe, plain),
        "ours, --no-compile, without norms": ours(bare, plain),
        "torch's norms, --no-compile": ours(recipe, plain, torch_norms=True),
        "torchvision's AlexNet": torchvisions(recipe, plain),
    }
    return steps | ({"ours, whole network compiled": ours(recipe, compiled, whole=True)} if whole else {})


def evaluations_of(recipe: Recipe, device: str) -> dict[str, Step]:
    compiled, plain = find_device(device, compiles=True), find_device(device)
    return {
        "ours": ten_crops(recipe, compiled),
        "ours, without norms": ten_crops(recipe.but(WITHOUT_NORMS), compiled),
        "ours, --no-compile": ten_crops(recipe, plain),
        "torch's norms, --no-compile": ten_crops(recipe, plain, torch_norms=True),
    }


def seconds(step: Step, device: Device) -> float:
    clock = time.process_time if device.torch_device.type == "cpu" else time.perf_counter
    started = clock()
    step()
    device.synchronize()
    return clock() - started


def alternated(steps: dict[str, Step], device: Device, rounds: int) -> dict[str, list[float]]:
    for step in steps.values():
        seconds(step, device), seconds(step, device)  # warms up compilers, threads and caches
    found: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds):
        for name in list(steps) if number % 2 else reversed(steps):
            found[name].append(seconds(steps[name], device))
    return found


def table(found: dict[str, list[float]], images: int) -> str:
    lines = ["| variant | seconds | images/s | time / ours | time / without norms |", "| --- | --- | --- | --- | --- |"]
    for name, values in found.items():
        ratios = [
            median(a / b for a, b in zip(values, found[other], strict=True))
            for other in ("ours", "ours, without norms")
        ]
        middle = median(values)
        lines.append(f"| {name} | {middle:.2f} | {images / middle:,.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    return "\n".join(lines)


def main(asked: argparse.Namespace) -> None:
    recipe = catalog()[asked.recipe].recipe.but({"training.precision": asked.precision, "training.batch": asked.batch})
    torch.set_num_threads(1)
    device = find_device(asked.device)
    parts = {
        "step": (partial(steps_of, whole=asked.whole), asked.batch),
        "ten crops": (evaluations_of, asked.batch),
    }
    for part in asked.parts:
        steps_for, images = parts[part]
        print(f"\n## {part}\n\n{table(alternated(steps_for(recipe, asked.device), device, asked.rounds), images)}")
    print(
        f"\n{recipe.name}, {asked.precision}, batch {asked.batch}, {asked.rounds} rounds; "
        f"torch {torch.__version__}, torchvision {torchvision.__version__}, Python {platform.python_version()}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="as-run-2012")
    parser.add_argument("--precision", default="bf16", choices=("float32", "tf32", "bf16"))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--parts", nargs="+", default=["step", "ten crops"], choices=("step", "ten crops"))
    parser.add_argument("--whole", action="store_true", help="also compile the network as a whole")
    main(parser.parse_args())
