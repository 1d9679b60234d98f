"""What the paper leaves out, measured on real images: padding, norms, color shift, shared crops, mean, ties.

python benchmarks/leftovers.py STORE [--run RUN]   (RUN: a trained network, for its norms, mean image and ties)
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

import torch
import torch.nn.functional as F
from signals import SEEDS, first_crops
from torch import Tensor, nn

from alexrepro.data.loading.crops import Pixels, center_crop, color_shift
from alexrepro.data.loading.loader import Loader
from alexrepro.data.loading.sampling import evaluation_plan
from alexrepro.data.store.store import Store
from alexrepro.device import find_device
from alexrepro.evaluation.inference import load_network, load_pixels, pixels_of
from alexrepro.model.alexnet import AlexNet, build
from alexrepro.model.normalization import ResponseNorm
from alexrepro.paper.network import Network
from alexrepro.paper.training import STORED_PX, ColorShift
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012
from alexrepro.runs.run import open_run

IMAGES = 128
DRAWS = 12  # of the crops of one batch


@dataclass(frozen=True)
class Subject:
    """A network and the center crops of some images, minus its mean image."""

    name: str
    model: AlexNet
    crops: Tensor


def images_of(store: Store) -> Tensor:
    """The first stored images, uncropped, float32 (B, 3, 256, 256)."""
    with Loader(store, batch=IMAGES, side_px=store.side_px) as loader:
        return next(loader.batches(evaluation_plan(len(store)))).crops.float()


def heading(title: str, columns: str) -> None:
    print(f"\n## {title}\n\n| {columns} |\n|{' --- |' * (columns.count('|') + 1)}")


def rms(values: Tensor) -> float:
    return values.square().mean().sqrt().item()


def during_pass(module: nn.Module, subject: Subject) -> tuple[Tensor, Tensor, Tensor]:
    """Input and output of a module when the network is given its crops, and the logits."""
    found: list[tuple[Tensor, Tensor]] = []
    handle = module.register_forward_hook(lambda _module, inputs, output: found.append((inputs[0], output)))
    with torch.no_grad():
        logits = subject.model(subject.crops)
    handle.remove()
    return *found[0], logits


def input_of(subject: Subject, stage: str, operation: str) -> Tensor:
    """The input of an operation of a stage."""
    return during_pass(subject.model.stages[stage].operations[operation], subject)[0]


def padding(store: Store) -> None:
    """conv1's activations and the logits for other ways to get 55 positions, compared with that of 2012."""
    mean = pixels_of(store).mean_image
    wide = center_crop(images_of(store) - mean, 227)
    narrow = wide[..., :224, :224]
    wider = AS_RUN_2012.but({"network.input_px": 227, "augmentation.last_offset_px": 29}).network
    heading("Padding", "input | conv1: positions that differ | conv1: rms difference | logits: rms difference")
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in SEEDS:
        conv, logits = _conv1_and_logits(AS_RUN_2012.network, narrow, seed=seed)
        # Two zeros on each side and 55 positions: the last zero on the right and below is never read.
        others = {"a real crop of 227": wide, "two zeros on every side": F.pad(narrow, (2, 1, 2, 1))}
        for name, crops in others.items():
            other, other_logits = _conv1_and_logits(wider, crops, seed=seed)
            row = (
                ((other - conv).abs() > 1e-3).float().mean().item(),
                rms(other - conv) / rms(conv),
                rms(other_logits - logits) / logits.std(0).mean().item(),
            )
            found.setdefault(name, []).append(row)
    for name, rows in found.items():
        print(f"| {name} | {' | '.join(f'{fmean(column):.1%}' for column in zip(*rows, strict=True))} |")
    print("\nRelative to conv1's rms, and to the logits' deviation over the images; mean of three seeds.")


def _conv1_and_logits(network: Network, crops: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
    model = build(network, seed=seed)
    return during_pass(model.stages["conv1"].kernels, Subject("", model, crops))[1:]


def norm_factors(subjects: list[Subject]) -> None:
    """The factor by which norms multiply an activation, apart from the constant k^-β."""
    heading("Norms: the factor of an activation, apart from k^-β", "network | norm | 1 % | median | 99 % | mean")
    for subject in subjects:
        known = subject.model.network.norm
        for stage in ("conv1", "conv2"):
            into = input_of(subject, stage, "norm")
            for divided in (False, True):
                norm = ResponseNorm(replace(known, divide_alpha_by_n=divided), maps=into.shape[1], groups=2)
                name = f"{subject.name} | {stage}, alpha{' / n' if divided else ''}"
                _print_factors(name, norm, into, known.k**-known.beta)
        after = subject.model.stages["conv2"].operations
        if "same_map_norm" in after:
            into = input_of(subject, "conv2", "same_map_norm")
            _print_factors(f"{subject.name} | conv2, same map", after["same_map_norm"], into, 1.0)


def _print_factors(name: str, norm: nn.Module, into: Tensor, constant: float) -> None:
    factors = norm(into)[into != 0] / into[into != 0] / constant
    low, median, high = (
        factors.kthvalue(max(1, round(fraction * len(factors)))).values for fraction in (0.01, 0.5, 0.99)
    )
    print(f"| {name} | {low:.3f} | {median:.3f} | {high:.3f} | {factors.mean():.3f} |")


def color_shifts(store: Store) -> None:
    """Standard deviation of the color shift under each reading of λ, in gray levels."""
    pixels = pixels_of(store)
    heading("Color shift, gray levels", "reading | along p1 | p2 | p3 | red | green | blue")
    for reading in ("deviation", "unit_variance", "variance"):
        along = color_shift(torch.eye(3), pixels=pixels, settings=ColorShift(reading=reading))  # one row an axis
        cells = [*along.norm(dim=1).tolist(), *along.norm(dim=0).tolist()]
        print(f"| {reading} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")
    print("\nTraining crops: " + ", ".join(
        f"{name} {first_crops(store, AS_RUN_2012.but(but), seed=0)[0].std():.1f}"
        for name, but in (("as run", {}), ("shift off", {"augmentation.color_shift": None}))
    ) + " gray levels (deviation of all values of a batch).")  # fmt: skip


def shared_crops(store: Store) -> None:
    """Variance of one batch's gradient over draws of its crops, with one crop per image and one for 32 images."""
    heading(
        "Shared crops: deviation of a gradient over draws of the crops, relative to its length",
        "stage | 128 crops | 4 crops | ratio of variances",
    )
    model = build(AS_RUN_2012.network, seed=0).to(memory_format=torch.channels_last)
    weights = {name: w for name, w in model.named_kernels().items() if name.endswith("weight") and "fc" not in name}
    found = {count: _spread(store, model, list(weights.values()), count) for count in (1, 32)}
    for name, alone, shared in zip(weights, found[1], found[32], strict=True):
        ratio = (shared / alone) ** 2
        print(f"| {name.partition('.')[0]} | {alone:.3f} | {shared:.3f} | {ratio:.2f} |")


def _spread(store: Store, model: AlexNet, weights: list[nn.Parameter], images_per_crop: int) -> list[float]:
    drawn: list[tuple[Tensor, ...]] = []
    recipe = AS_RUN_2012.but({"augmentation.images_per_crop": images_per_crop, "augmentation.color_shift": None})
    for epoch in range(1, DRAWS + 1):
        crops, labels = first_crops(store, recipe, seed=0, epoch=epoch)
        loss = F.cross_entropy(model(crops.contiguous(memory_format=torch.channels_last)), labels)
        drawn.append(torch.autograd.grad(loss, weights))
    stacked = [torch.stack(gradients) for gradients in zip(*drawn, strict=True)]
    return [(g.var(0).sum().sqrt() / g.mean(0).norm()).item() for g in stacked]


def means(pixels: dict[str, Pixels]) -> None:
    """The central part of a mean image compared with the part under each crop, in gray levels."""
    heading("Mean image, gray levels", "data | deviation | central − aligned, rms | worst crop | worst pixel")
    for name, known in pixels.items():
        _central_and_aligned(name, known.mean_image)


def _central_and_aligned(name: str, mean: Tensor) -> None:
    center, last = center_crop(mean, 224), STORED_PX - 224
    squares, largest = [], 0.0
    for y in range(last + 1):
        for x in range(last + 1):
            here = mean[:, y : y + 224, x : x + 224]
            for aligned in (here, here.flip(2)):
                squares.append((aligned - center).square().mean().item())
                largest = max(largest, (aligned - center).abs().max().item())
    print(f"| {name} | {mean.std():.1f} | {fmean(squares) ** 0.5:.2f} | {max(squares) ** 0.5:.2f} | {largest:.1f} |")


def ties(subjects: list[Subject]) -> None:
    """Pooling windows with several maxima, and images whose fifth and sixth class have equal probabilities."""
    heading("Ties", "network | conv1 windows: all zero | several positive maxima | fifth = sixth class")
    for subject in subjects:
        into = input_of(subject, "conv1", "pool")[:32]
        windows = F.unfold(into.flatten(0, 1)[:, None], 3, stride=2)  # (B · C, 9, windows)
        top = windows.amax(1, keepdim=True)
        zero = (windows == 0).all(1).float().mean()
        several = (((windows == top).sum(1) > 1) & (top[:, 0] > 0)).float().mean()
        with torch.no_grad():
            best = subject.model(subject.crops).softmax(1).topk(6).values
        equal = int((best[:, 4] == best[:, 5]).sum())
        print(f"| {subject.name} | {zero:.2%} | {several:.3%} | {equal} of {len(best)} |")


def arithmetic(network: Network) -> None:
    """The neurons in Figure 2's caption and those of the network."""
    first = network.layers()[0]
    slip = 55 * 48 * 96
    print(f"\n## Figure 2\n\nconv1: {first.neurons:,} neurons, {first.output}; 55·48·96 = {slip:,}")
    print(f"all stages: {network.neurons:,}; with the caption's number {network.neurons - first.neurons + slip:,}")


def before_pooling(crops: Tensor) -> None:
    """conv5's activation before pooling: its mean, and its deviation over the images."""
    heading("conv5 before pooling", "recipe | mean | deviation over the images")
    for recipe in (AS_PRINTED, AS_RUN_2012):
        into = [input_of(Subject("", build(recipe.network, seed=s), crops), "conv5", "pool").relu() for s in SEEDS]
        cells = [[x.mean().item() for x in into], [x.std(0).mean().item() for x in into]]
        print(f"| {recipe.name} | {' | '.join(f'{fmean(c):.2g} ± {stdev(c):.1g}' for c in cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    store = Store.open(asked.store)
    pixels: dict[str, Pixels] = {store.manifest.dataset: pixels_of(store)}
    whole = images_of(store)
    crops = center_crop(whole - pixels[store.manifest.dataset].mean_image, 224)
    subjects = [Subject(f"{r.name}, untrained", build(r.network, seed=0), crops) for r in (AS_PRINTED, AS_RUN_2012)]
    if asked.run:
        run, device = open_run(asked.run), find_device("cpu")
        model, step = load_network(run, device)
        pixels[run.environment["dataset"]] = own = load_pixels(run, device)
        own_crops = center_crop(whole - own.mean_image, 224)
        subjects.append(Subject(f"{run.recipe.name}, {step:,} steps", model, own_crops))
    arithmetic(AS_PRINTED.network)
    color_shifts(store)
    means(pixels)
    ties(subjects)
    before_pooling(crops)
    norm_factors(subjects)
    padding(store)
    shared_crops(store)


if __name__ == "__main__":
    main()
