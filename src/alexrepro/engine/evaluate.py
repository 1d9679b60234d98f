"""Testing: probabilities averaged over views, and exact counts of right answers (§4.1, §2).

The softmax outputs of the views are averaged, and loss, top-1 and top-5 come from the average
(layer.cu LogregCostLayer). Among equal probabilities the lower class number counts as larger, so that a network that
says the same of every class earns nothing.
"""

from dataclasses import dataclass

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from alexrepro.data.feed import feed
from alexrepro.data.plan import testing_plan
from alexrepro.data.store import Store
from alexrepro.data.views import Pixels, testing_views
from alexrepro.engine import checkpoint
from alexrepro.engine.machine import Machine
from alexrepro.engine.run import Evaluation, Run
from alexrepro.errors import Exit, Refusal
from alexrepro.model.alexnet import AlexNet
from alexrepro.paper.results import Views
from alexrepro.progress import progress
from alexrepro.recipes.recipe import Recipe

BATCH = 128  # changes the time only


@dataclass(frozen=True)
class Counts:
    """Right answers among so many images, and the sum of -log p of the true classes."""

    images: int
    top1_correct: int
    top5_correct: int
    loss_sum: float


def ranks(probabilities: Tensor, labels: Tensor) -> Tensor:
    """How many classes come before the true one, (B,): 0 is a right top-1 answer, below 5 a right top-5 answer."""
    true = probabilities.gather(1, labels[:, None])
    classes = torch.arange(probabilities.shape[1], device=labels.device)
    ahead = (probabilities > true) | ((probabilities == true) & (classes < labels[:, None]))
    return ahead.sum(1)


@torch.no_grad()
def count(
    model: AlexNet, store: Store, *, recipe: Recipe, pixels: Pixels, views: Views, machine: Machine, title: str
) -> Counts:
    """Exact counts of a network on every image of a labelled store, each image once.

    Raises Refusal if the network's outputs are not finite.
    """
    top1 = top5 = 0
    loss_sum = 0.0
    with progress(title, total=len(store)) as advance:
        for batch in feed(store, testing_plan(len(store)), batch=BATCH):
            moved = batch.to(machine.device)
            probabilities = _probabilities(
                model, moved.crops, recipe=recipe, pixels=pixels, views=views, machine=machine
            )
            rank = ranks(probabilities, moved.labels)
            true = probabilities.gather(1, moved.labels[:, None]).double()
            top1 += int((rank < 1).sum())
            top5 += int((rank < 5).sum())
            loss_sum -= float(true.clamp_min(torch.finfo(torch.float32).tiny).log().sum())
            advance(len(batch), f"top-1 error so far {1 - top1 / (batch.number * BATCH + len(batch)):.1%}")
    return Counts(len(store), top1, top5, loss_sum)


def evaluate(run: Run, store: Store, *, views: Views, machine: Machine) -> Evaluation:
    """Test the newest checkpoint of a run on a store and save the counts in its folder.

    Raises Refusal if the run has no checkpoint, the store has no labels, or the classes differ.
    """
    recipe, environment = run.recipe, run.environment
    _check(run, store)
    model, step = load_network(run, machine)
    split = store.manifest.full_name
    counts = count(
        model, store, recipe=recipe, pixels=load_pixels(run, machine), views=views, machine=machine,
        title=f"{split}, {views} views" if views == "ten" else f"{split}, centre view",
    )  # fmt: skip
    evaluation = Evaluation(
        run=str(run.folder), recipe=recipe.name, digest=recipe.digest, seed=environment["seed"],
        epochs=step // environment["updates_per_epoch"], dataset=store.manifest.dataset, split=split, views=views,
        images=counts.images, top1_correct=counts.top1_correct, top5_correct=counts.top5_correct,
        loss=counts.loss_sum / counts.images,
    )  # fmt: skip
    run.save_evaluation(evaluation)
    return evaluation


def load_network(run: Run, machine: Machine) -> tuple[AlexNet, int]:
    """The network of a run's newest checkpoint and its number of updates; raises Refusal if there is none."""
    saved = checkpoint.newest(run.checkpoints)
    if saved is None:
        raise Refusal(
            f"{run.folder} has no checkpoint.", fix="Train it first: alexrepro train.", exit_code=Exit.MISSING_INPUT
        )
    model = AlexNet(run.recipe.network)
    load_weights(model, saved)
    return model.to(machine.device, memory_format=torch.channels_last), saved.step  # type: ignore[call-overload]


def load_weights(model: AlexNet, saved: checkpoint.Checkpoint) -> None:
    """Put the weights of a checkpoint into a network of the same recipe."""
    with torch.no_grad():
        for name, parameter in model.named_kernels().items():
            parameter.copy_(saved.weights[name])


def save_pixels(run: Run, store: Store) -> Pixels:
    """Keep the training store's mean image and color axes with the run, which testing needs too."""
    axes = store.color_axes()
    pixels = Pixels(
        torch.from_numpy(store.mean_image()),
        torch.tensor(axes.eigenvalues, dtype=torch.float32),
        torch.tensor(axes.eigenvectors, dtype=torch.float32),
    )
    save_file({name: getattr(pixels, name).contiguous() for name in Pixels.__dataclass_fields__}, run.pixels_file)
    return pixels


def load_pixels(run: Run, machine: Machine) -> Pixels:
    """The mean image and color axes that the run was trained with."""
    return Pixels(**load_file(run.pixels_file)).to(machine.device)


def _probabilities(
    model: AlexNet, images: Tensor, *, recipe: Recipe, pixels: Pixels, views: Views, machine: Machine
) -> Tensor:
    """Softmax outputs averaged over the views: (B, K), float32."""
    total, shown = torch.zeros(()), 0
    side_px = recipe.network.input_px
    for view in testing_views(images, views=views, side_px=side_px, pixels=pixels, augmentation=recipe.augmentation):
        with machine.arithmetic(recipe.training):
            logits = model(view)
        total, shown = total.to(logits.device) + logits.float().softmax(1), shown + 1
    if not bool(total.isfinite().all()):
        raise Refusal(
            "The network's outputs are not finite.", fix="Its training diverged; see metrics.csv in the run folder.",
            exit_code=Exit.BAD_DATA,
        )  # fmt: skip
    return total / shown


def _check(run: Run, store: Store) -> None:
    if not store.manifest.labelled:
        raise Refusal(
            f"{store.path} has no labels, so errors cannot be counted.", fix="Choose a labelled split with --store."
        )
    classes = run.environment["classes"]
    if list(store.manifest.classes) != classes:
        raise Refusal(
            f"{store.path} has {len(store.manifest.classes)} classes that are not the {len(classes)} of {run.folder}.",
            fix="Choose a store of the same data set with --store, or another run.",
        )
