"""Evaluation: exact counts of a run, or of an average of runs, on a split, saved with predictions (§2, §4.1, §6)."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from alexrepro.data.loading.crops import windows
from alexrepro.data.loading.loader import Loader
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.inference import (
    SCORED,
    EvaluationJob,
    Model,
    check_compatible,
    load_model,
    order_of,
    scored_batches,
)  # fmt: skip
from alexrepro.evaluation.metrics import Counts, counts_of, total
from alexrepro.evaluation.predict import model_of
from alexrepro.evaluation.recorded_network import recorded
from alexrepro.evaluation.scoring import scores_of
from alexrepro.files import write_whole
from alexrepro.model.alexnet import AlexNet
from alexrepro.model.weights import Weights
from alexrepro.paper.results import Crops
from alexrepro.progress import say
from alexrepro.runs.evaluation import Evaluation, Member, save_evaluation
from alexrepro.runs.paths import ENSEMBLES, RunPaths
from alexrepro.runs.predictions import About, Predictions, write_predictions
from alexrepro.runs.run import Run

RECIPE = "ensemble"  # in an evaluation of several runs
DIGITS = 6  # of a digest, as in the names of recipes


@dataclass(frozen=True)
class OpenedRuns:
    """A run or an ensemble with its networks loaded.

    whole: the run, or the ensemble with its own folder. members: the runs of an ensemble.
    """

    job: EvaluationJob
    whole: Member
    members: tuple[Member, ...] = ()


def evaluate(run: Run, store: Store, *, crops: Crops, device: Device) -> Evaluation:
    """Evaluate the newest checkpoint of a run on a store; saves counts and predictions in its folder.

    Ten crops save the result of the center crop, too. Raises UserError if the run has no checkpoint, the store has no
    labels, or the classes differ.
    """
    return evaluate_runs(open_runs([run], store, crops=crops, device=device, folder=run.folder))[-1]


def open_runs(
    runs: Sequence[Run], store: Store, *, crops: Crops, device: Device, folder: Path, weights: Sequence[float] = ()
) -> OpenedRuns:
    """Load one run, or an ensemble of several, for a store.

    folder: of all runs; an ensemble is saved in its `ensembles/`. weights: one a run, in any proportion; equal by
    default. Raises UserError if a run is named twice, if data sets or classes differ, or if the weights do not fit.
    """
    normalized = _normalized(runs, weights)
    datasets = sorted({run.environment["dataset"] for run in runs})
    if len(datasets) > 1:
        what = f"These runs are of different data sets: {', '.join(datasets)}."
        raise UserError(what, fix="Name runs of one of them only.")
    opened = [_open(run, store, device=device, weight=w) for run, w in zip(runs, normalized, strict=True)]
    opened.sort(key=lambda pair: _identity(pair[1]))  # so the order of the arguments changes no bit
    job = EvaluationJob([model for model, _ in opened], store, crops, device)
    members = tuple(member for _, member in opened)
    if len(members) == 1:
        return OpenedRuns(job, members[0])
    digest = hashlib.sha256(json.dumps([datasets, *map(_identity, members)]).encode()).hexdigest()[:DIGITS]
    epochs = min(member.epochs for member in members)
    return OpenedRuns(job, Member(str(folder / ENSEMBLES / digest), RECIPE, digest, 0, epochs, 1.0), members)


def evaluate_runs(opened: OpenedRuns, *, save_probabilities: bool = False) -> list[Evaluation]:
    """Exact counts on a labeled store, saved with the predictions.

    Returns the evaluation of the center crop, then that of ten crops if the job asks for them.
    """
    _check_labeled(opened.job.store)
    evaluations = []
    for predictions, counts in predict_split(opened, save_probabilities=save_probabilities):
        evaluation = _evaluation(opened, predictions.about.crops, counts)
        save_evaluation(evaluation)
        evaluations.append(evaluation)
    return evaluations


def evaluate_weights(weights: Weights, store: Store, *, crops: Crops, device: Device, path: Path) -> Evaluation:
    """Evaluate the weights of a file, which is at this path, on a labeled store; saves nothing.

    If the file holds no WNIDs, its outputs are in their order, as Caffe's and torchvision's are. Seed and epochs are 0.
    Raises UserError as `evaluate` does, and if the mean image is not known.
    """
    _check_labeled(store)
    recipe, model, wnids = weights.recipe, model_of(weights, device), sorted(store.manifest.classes)
    check_compatible(recipe, store)
    outputs = weights.wnids or (wnids if len(wnids) == recipe.network.classes else range(recipe.network.classes))
    order = order_of(store, map(str, outputs), path=path, device=device)
    job = EvaluationJob([replace(model, order=order)], store, crops, device)
    opened = OpenedRuns(job, Member(str(path), recipe.name, recipe.digest, 0, 0, 1.0))
    return _evaluation(opened, crops, count(job))


def _check_labeled(store: Store) -> None:
    if not store.manifest.labeled:
        raise UserError(
            f"{store.path} has no labels, so errors cannot be counted.",
            fix=store.manifest.labeling
            or "Choose a labeled split with --store, or write a submission: alexrepro submit RUN --to FILE.",
        )


def _evaluation(opened: OpenedRuns, crops: Crops, counts: Counts) -> Evaluation:
    whole, store = opened.whole, opened.job.store
    return Evaluation(
        run=whole.run, recipe=whole.recipe, digest=whole.digest, seed=whole.seed, epochs=whole.epochs,
        dataset=store.manifest.dataset, split=store.manifest.full_name, crops=crops,
        images=counts.images, top1_correct=counts.top1_correct, top5_correct=counts.top5_correct,
        loss=counts.loss_sum / counts.images, tied_images=counts.tied, store=store.manifest.digest,
        preprocessing=preprocessing(opened.job.models, store, crops), classes=len(store.manifest.classes),
        members=opened.members,
    )  # fmt: skip


def predict_split(opened: OpenedRuns, *, save_probabilities: bool = False) -> list[tuple[Predictions, Counts]]:
    """Predict every image of a store, labeled or not, in one pass; saves the predictions of all crops in SCORED.

    Without labels the counts are undefined.
    """
    job, store, manifest = opened.job, opened.job.store, opened.job.store.manifest
    files, found = RunPaths(Path(opened.whole.run)), []
    abouts = {
        crops: About(
            opened.whole.run, opened.whole.epochs, manifest.full_name, crops, store=manifest.digest,
            preprocessing=preprocessing(job.models, store, crops), classes=manifest.classes,
            class_names=manifest.class_names, members=opened.members,
        )
        for crops in SCORED[job.crops]
    }  # fmt: skip
    if save_probabilities:
        path = files.probabilities(manifest.full_name, job.crops)
        scores = write_whole(path, lambda temporary: scores_of(job, (temporary, abouts[job.crops])))
        say(f"Probabilities: {path}, {path.stat().st_size / 1e6:,.0f} MB.")
    else:
        scores = scores_of(job)
    for crops, about in abouts.items():
        top5, probabilities, ranks, log_probs, _ = (column.cpu().numpy() for column in scores[crops])
        predictions = Predictions(about, store.names, store.labels, top5, probabilities, log_probs, ranks)
        write_predictions(predictions, files.predictions(about.split, crops))
        found.append((predictions, scores[crops].counts()))
    return found


def count(
    job: EvaluationJob, *, loader: Loader | None = None, after_batch: Callable[[], None] = lambda: None
) -> Counts:
    """Exact counts on every image of a labeled store, each once; the replicas of the job's group share the images.

    loader: of the images, if it is kept open. after_batch: called after every batch; what it raises ends the count.
    Raises UserError if outputs are not finite.
    """
    images, sums = list[int](), list[Tensor]()
    with closing(scored_batches(job, loader)) as batches:
        for batch in batches:
            images.append(len(batch.batch))
            sums.append(batch.sums)
            after_batch()
    mine = map(counts_of, images, torch.stack(sums).tolist())  # read in one go; added here, in the order of the batches
    counts = total(job.group.all_gather_object(total(mine)))
    if counts.images != len(job.store):
        raise ValueError(f"{job.store.path}: {counts.images:,} of {len(job.store):,} images were counted")
    return counts


def preprocessing(models: Sequence[Model], store: Store, crops: Crops) -> str:
    """A digest of everything between a stored image and the networks: hexadecimal SHA-256.

    It covers the store's images and how they were made, and for each model the crops in their order, what is
    subtracted from them and what they are divided by.
    """
    shown = [
        {
            "crops": windows(crops, store.side_px, store.side_px, model.recipe.network.input_px),
            "crop_px": model.recipe.network.input_px,
            "mean": model.recipe.augmentation.mean,
            "mean_image": hashlib.sha256(model.pixels.mean_image.cpu().numpy().tobytes()).hexdigest(),
            "divided_by": model.recipe.network.input_std,
        }
        for model in models
    ]
    parts = {"store": store.manifest.digest, "rule": store.manifest.rule, "shown": shown}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _open(run: Run, store: Store, *, device: Device, weight: float) -> tuple[Model, Member]:
    model, step = load_model(run, store, device)
    environment, recipe = run.environment, run.recipe
    epochs = step // environment["steps_per_epoch"]
    member = Member(str(run.folder), recipe.name, recipe.digest, environment["seed"], epochs, weight)
    return replace(model, network=recorded(cast(AlexNet, model.network), device), weight=weight), member


def _identity(member: Member) -> tuple[object, ...]:
    """What a member is, wherever its folder lies."""
    return member.recipe, member.digest, member.seed, member.epochs, member.weight


def _normalized(runs: Sequence[Run], weights: Sequence[float]) -> list[float]:
    """The weights divided by their sum."""
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise UserError(
            "A run is named twice.",
            fix="Name it once, and give it twice the weight with --ensemble-weights.",
            exit_code=Exit.USAGE,
        )
    weights = weights or [1.0] * len(runs)
    if len(weights) != len(runs) or not all(0 < weight < float("inf") for weight in weights):
        raise UserError(
            f"The weights {', '.join(f'{weight:g}' for weight in weights)} do not fit {len(runs)} runs.",
            fix="Give each run a number above 0: --ensemble-weights 1,1,0.5.",
            exit_code=Exit.USAGE,
        )
    return [weight / sum(weights) for weight in weights]
