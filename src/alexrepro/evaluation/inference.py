"""Testing: probabilities averaged over crops (§4.1) and over networks (§6), batch after batch, each image once.

The softmax outputs of the crops are averaged (layer.cu LogregCostLayer), then those of the networks, with weights that
sum to 1 (avg-test.py). The center crop is one of the ten, so that one pass answers for both. B batch, K classes.
"""

import hashlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from alexrepro.data.loading.crops import Pixels, evaluation_crops, places
from alexrepro.data.loading.loader import Batch, feed
from alexrepro.data.loading.sampling import testing_plan
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.metrics import Answers, Counts, answers, joined
from alexrepro.files import write_whole
from alexrepro.paper.results import Crops
from alexrepro.progress import progress, say
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.evaluation import Findings, Member
from alexrepro.runs.predictions import About, Predictions, write_predictions

BATCH = 128  # changes the time only
ALSO_ANSWERED: Mapping[Crops, tuple[Crops, ...]] = {  # what one pass over these crops answers
    "center": ("center",),
    "ten": ("center", "ten"),
    "ten-logits": ("center", "ten", "ten-logits"),
}
COMPILED_FROM_CROPS = 10_000  # 20 s of a core for the compiler; 2 ms and more saved per crop of the full-width network


def is_worth_compiling(images: int, crops: Crops) -> bool:
    """Whether testing so many images over these crops takes longer than the compiler does."""
    return images * len(places(crops, 1, 1, 1)) >= COMPILED_FROM_CROPS


@dataclass(frozen=True)
class Candidate:
    """A trained network with all that testing needs, and its share of an average.

    model: what gives logits (B, K) for crops, a network or its compiled form. order: (K,) which of its outputs stands
    for each class of the store; None where they stand in the same order.
    """

    model: Callable[[Tensor], Tensor]
    recipe: Recipe
    pixels: Pixels
    weight: float = 1.0
    order: Tensor | None = None


@dataclass(frozen=True)
class Tested:
    """A batch with its probabilities, float32 (B, K), and the answers that lie in them, by crops."""

    batch: Batch
    probabilities: Mapping[Crops, Tensor]
    answers: Mapping[Crops, Answers]


def tested_batches(
    candidates: Sequence[Candidate],
    store: Store,
    *,
    crops: Sequence[Crops],
    device: Device,
    title: str,
    share: tuple[int, int] = (0, 1),  # noqa: PT028
    workers: int | None = None,  # noqa: PT028
) -> Generator[Tested, None, None]:
    """Every image of a store once, in stored order, or of one share among several, shown to every candidate.

    workers: of the feed; by default it takes all processors but one.
    Raises UserError if the outputs of a network are not finite.
    """
    correct = seen = 0
    with progress(title, total=len(store) // share[1]) as advance:
        plan = testing_plan(len(store), side_px=store.side_px)
        for batch in feed(
            store, plan, batch=BATCH * share[1], share=share, device=device.torch_device, workers=workers
        ):
            shares = (averages(candidate, batch.crops, crops=crops, device=device) for candidate in candidates)
            mean = reduce(lambda a, b: {asked: a[asked] + b[asked] for asked in crops}, shares)
            tested = Tested(batch, mean, {asked: answers(mean[asked], batch.labels) for asked in crops})
            yield tested
            correct, seen = correct + tested.answers[crops[-1]].counts().top1_correct, seen + len(batch)
            advance(
                len(batch), f"top-1 error so far {1 - correct / max(seen, 1):.1%}" if store.manifest.labeled else ""
            )


@torch.no_grad()
def averages(candidate: Candidate, images: Tensor, *, crops: Sequence[Crops], device: Device) -> dict[Crops, Tensor]:
    """The softmax outputs of a network averaged over crops, times its weight: float32 (B, K) for each of the crops.

    For `ten-logits`, the softmax of the averaged logits. images: uint8 (B, 3, 256, 256) on the machine's device, where
    the crops are cut one after the other.
    """
    side_px = candidate.recipe.network.input_px
    widest: Crops = "center" if set(crops) == {"center"} else "ten"
    shown = evaluation_crops(
        images, crops=widest, side_px=side_px, pixels=candidate.pixels, augmentation=candidate.recipe.augmentation
    )
    (center,) = places("center", images.shape[-2], images.shape[-1], side_px)
    spots = places(widest, images.shape[-2], images.shape[-1], side_px)
    found: dict[Crops, Tensor] = {}
    for place, crop in zip(spots, shown, strict=True):
        with device.autocast(candidate.recipe.training):
            logits = candidate.model(crop).float()
        outputs = logits.softmax(1)
        found["ten"] = found.get("ten", 0) + outputs
        found["ten-logits"] = found.get("ten-logits", 0) + logits
        if place == center:
            found["center"] = outputs
    if not bool(found["ten"].isfinite().all()):
        raise UserError(
            "The network's outputs are not finite: its training diverged.",
            fix="Begin a new run at lower rates: alexrepro train RUN --set training.learning_rate_factor=0.5",
            exit_code=Exit.BAD_DATA,
        )
    found["ten"] = found["ten"] / len(spots)
    found["ten-logits"] = (found["ten-logits"] / len(spots)).softmax(1)
    means = {asked: candidate.weight * found[asked] for asked in crops}
    return means if candidate.order is None else {asked: mean[:, candidate.order] for asked, mean in means.items()}


def answer_all(
    who: Member,
    candidates: Sequence[Candidate],
    store: Store,
    *,
    crops: Crops,
    device: Device,
    members: Sequence[Member] = (),
    save_probabilities: bool = False,
) -> list[tuple[Predictions, Counts]]:
    """What a network or an average of them answers for every image of a store, labeled or not, in one pass.

    Saves the predictions in the folder that `who` names and, where wanted, the probabilities of the crops asked for.
    Returns those of the center crop, then of the ten if they were asked for, then of what else was. Without labels the
    counts say nothing.
    """
    asked = ALSO_ANSWERED[crops]
    manifest, findings, images = store.manifest, Findings(Path(who.run)), len(store)
    parts: dict[Crops, list[Answers]] = {name: [] for name in asked}
    rows: list[NDArray[np.int64]] = []
    kept = torch.empty(images, len(manifest.classes)) if save_probabilities else None
    title = f"{manifest.full_name}, {'center crop' if crops == 'center' else 'ten crops'}"
    for tested in tested_batches(candidates, store, crops=asked, device=device, title=title):
        rows.append(tested.batch.images)
        for name in asked:
            parts[name].append(tested.answers[name].cpu())
        if kept is not None:
            kept[tested.batch.images] = tested.probabilities[crops].cpu()
    if not np.array_equal(np.concatenate(rows), np.arange(images)):
        raise ValueError(f"{store.path}: not every image was tested once")
    found = []
    for name in asked:
        about = About(
            who.run, who.epochs, manifest.full_name, name, store=manifest.digest,
            preprocessing=preprocessing(candidates, store, name), classes=manifest.classes,
            class_names=manifest.class_names, members=tuple(members),
        )  # fmt: skip
        answered = joined(parts[name])
        predictions = _predictions_of(about, answered, store=store)
        write_predictions(predictions, findings.predictions(about.split, name))
        found.append((predictions, answered.counts()))
    if kept is not None:
        _save_probabilities(kept, findings.probabilities(manifest.full_name, crops), found[-1][0].about)
    return found


def preprocessing(candidates: Sequence[Candidate], store: Store, crops: Crops) -> str:
    """A digest of all that stands between a stored image and the networks: hexadecimal SHA-256.

    It covers the store's images and the rule that made them, and of each candidate the crops in their order, what is
    subtracted from them and what they are divided by.
    """
    shown = [
        {
            "crops": places(crops, store.side_px, store.side_px, candidate.recipe.network.input_px),
            "crop_px": candidate.recipe.network.input_px,
            "mean": candidate.recipe.augmentation.mean,
            "mean_image": hashlib.sha256(candidate.pixels.mean_image.cpu().numpy().tobytes()).hexdigest(),
            "divided_by": candidate.recipe.network.input_std,
        }
        for candidate in candidates
    ]
    parts = {"store": store.manifest.digest, "rule": store.manifest.rule, "shown": shown}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _save_probabilities(probabilities: Tensor, path: Path, about: About) -> None:
    facts = {**asdict(about), "classes": ",".join(about.classes)}
    texts = {
        name: str(facts[name]) for name in ("run", "epochs", "split", "crops", "store", "preprocessing", "classes")
    }
    write_whole(path, lambda temporary: save_file({"probabilities": probabilities}, temporary, texts))
    say(f"Probabilities: {path}, {path.stat().st_size / 1e6:,.0f} MB.")


def _predictions_of(about: About, answers: Answers, *, store: Store) -> Predictions:
    """The answers for all images of a store, in stored order, with its names and labels."""
    return Predictions(
        about,
        names=tuple(store.name(row) for row in range(len(store))),
        labels=store.labels,
        guesses=answers.guesses.numpy(),
        chances=answers.chances.numpy(),
        log_chances=answers.log_chances.numpy(),
        ranks=answers.ranks.numpy(),
    )
