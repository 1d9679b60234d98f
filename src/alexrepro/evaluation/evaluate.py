"""Evaluation: exact counts of a run or of an ensemble on a split, saved with the answer for every image (§4.1, §2)."""

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import reduce
from operator import add
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from alexrepro.data.loading.crops import Pixels
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.distributed.process_group import ProcessGroup
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.compatible import check_images
from alexrepro.evaluation.inference import Candidate, answer_all, tested_batches
from alexrepro.evaluation.metrics import Counts
from alexrepro.files import write_bytes
from alexrepro.model.alexnet import AlexNet
from alexrepro.paper.results import Crops
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs import checkpoint
from alexrepro.runs.evaluation import Evaluation, Findings, Member
from alexrepro.runs.run import Run

__all__ = [
    "candidate_of", "count", "evaluate", "load_network", "load_pixels", "load_weights", "measure",
    "pixels_of", "save_pixels",
]  # fmt: skip


def count(
    model: AlexNet,
    store: Store,
    *,
    recipe: Recipe,
    pixels: Pixels,
    crops: Crops,
    device: Device,
    title: str,
    group: ProcessGroup | None = None,
    after_batch: Callable[[], None] = lambda: None,
) -> Counts:
    """Exact counts of a network on every image of a labeled store, each image once; replicas share the images.

    after_batch: called after every batch; what it raises ends the count. Raises UserError if the network's outputs are
    not finite.
    """
    group = group or ProcessGroup()
    candidate = Candidate(model, recipe, pixels)
    mine: list[Counts] = []
    with closing(
        tested_batches(
            [candidate],
            store,
            crops=(crops,),
            device=device,
            title=title,
            share=group.shard,
            workers=group.loader_workers,
        )
    ) as batches:
        for tested in batches:
            mine.append(tested.answers[crops].counts())
            after_batch()
    return _complete(reduce(add, group.all_gather_object(reduce(add, mine))), store)


def evaluate(run: Run, store: Store, *, crops: Crops, device: Device, save_probabilities: bool = False) -> Evaluation:
    """Test the newest checkpoint of a run on a store; saves counts and predictions in its folder.

    Ten crops save the center crop's results, too. Raises UserError if the run has no checkpoint, the store has no
    labels, or the classes differ.
    """
    candidate, who = candidate_of(run, store, device=device)
    return measure(who, [candidate], store, crops=crops, device=device, save_probabilities=save_probabilities)[-1]


def measure(
    who: Member,
    candidates: Sequence[Candidate],
    store: Store,
    *,
    crops: Crops,
    device: Device,
    members: Sequence[Member] = (),
    save_probabilities: bool = False,
) -> list[Evaluation]:
    """Counts of a network or of an average of networks on a labeled store, saved with predictions.

    who: the run or the ensemble, with its folder. Returns the evaluation of the center crop, then of the ten if they
    were asked for.
    """
    if not store.manifest.labeled:
        raise UserError(
            f"{store.path} has no labels, so errors cannot be counted.",
            fix="Choose a labeled split with --store, or write the contest's file with --submission FILE.",
        )
    found = answer_all(
        who, candidates, store, crops=crops, device=device, members=members, save_probabilities=save_probabilities
    )
    evaluations = [
        Evaluation(
            run=who.run, recipe=who.recipe, digest=who.digest, seed=who.seed, epochs=who.epochs,
            dataset=store.manifest.dataset, split=about.split, crops=about.crops,
            images=counts.images, top1_correct=counts.top1_correct, top5_correct=counts.top5_correct,
            loss=counts.loss_sum / counts.images,
            tied_images=counts.tied, store=about.store, preprocessing=about.preprocessing, classes=len(about.classes),
            members=tuple(members),
        )
        for about, counts in ((predictions.about, _complete(counts, store)) for predictions, counts in found)
    ]  # fmt: skip
    for evaluation in evaluations:
        Findings(Path(who.run)).save(evaluation)
    return evaluations


def candidate_of(run: Run, store: Store, *, device: Device, weight: float = 1.0) -> tuple[Candidate, Member]:
    """The network of a run's newest checkpoint, ready to be tested on a store, and what is told of it.

    Classes are matched by their names, in ILSVRC WNIDs. Raises UserError if there is no checkpoint or the classes
    differ.
    """
    check_images(run.recipe, store)
    environment, wanted = run.environment, list(store.manifest.classes)
    classes = environment["classes"]
    if sorted(wanted) != sorted(classes):
        raise UserError(
            f"{store.path} has {len(wanted)} classes that are not the {len(classes)} of {run.folder}.",
            fix="Choose a store of the same data set with --store, or another run.",
        )
    places = {name: place for place, name in enumerate(classes)}
    order = torch.tensor([places[name] for name in wanted], device=device.torch_device) if wanted != classes else None
    model, step = load_network(run, device)
    recipe, epochs = run.recipe, step // environment["updates_per_epoch"]
    who = Member(str(run.folder), recipe.name, recipe.digest, environment["seed"], epochs, weight)
    return Candidate(device.compiled(model), recipe, load_pixels(run, device), weight, order), who


def load_network(run: Run, device: Device) -> tuple[AlexNet, int]:
    """The network of a run's newest checkpoint and its number of updates; raises UserError if there is none."""
    saved = checkpoint.newest(run.checkpoints)
    if saved is None:
        raise UserError(
            f"{run.folder} has no checkpoint.", fix="Train it first: alexrepro train.", exit_code=Exit.MISSING_INPUT
        )
    model = AlexNet(run.recipe.network)
    load_weights(model, saved)
    return model.to(device.torch_device, memory_format=torch.channels_last), saved.step  # type: ignore[call-overload]


def load_weights(model: AlexNet, saved: checkpoint.Checkpoint) -> None:
    """Put the weights of a checkpoint into a network of the same recipe."""
    with torch.no_grad():
        for name, parameter in model.named_kernels().items():
            parameter.copy_(saved.weights[name])


def pixels_of(store: Store) -> Pixels:
    """Mean image and color axes of a training store."""
    axes = store.color_axes()
    return Pixels(
        torch.from_numpy(store.mean_image()),
        torch.tensor(axes.eigenvalues, dtype=torch.float32),
        torch.tensor(axes.eigenvectors, dtype=torch.float32),
    )


def save_pixels(run: Run, store: Store) -> Pixels:
    """Keep the training store's mean image and color axes with the run, which testing needs too."""
    pixels = pixels_of(store)
    content = save({name: getattr(pixels, name).contiguous() for name in Pixels.__dataclass_fields__})
    write_bytes(run.pixels_file, content)
    return pixels


def load_pixels(run: Run, device: Device) -> Pixels:
    """The mean image and color axes that the run was trained with. Raises UserError if missing or damaged."""
    try:
        return Pixels(**load_file(run.pixels_file)).to(device.torch_device)
    except (FileNotFoundError, SafetensorError, TypeError):
        raise UserError(
            f"{run.pixels_file} is missing or damaged: it holds the mean image and color axes that {run.folder} needs.",
            fix="Bring back a copy of it: other runs on the same training store have the same file.",
            exit_code=Exit.BAD_DATA,
        ) from None


def _complete(counts: Counts, store: Store) -> Counts:
    """The counts, once they are known to be those of every image."""
    if counts.images != len(store):
        raise ValueError(f"{store.path}: {counts.images:,} images were counted of {len(store):,}")
    return counts
