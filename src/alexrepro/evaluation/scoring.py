"""The scores of all images of a store, whose memory does not grow as they are computed."""

from pathlib import Path

import torch

from alexrepro.evaluation.inference import SCORED, EvaluationJob, scored_batches
from alexrepro.evaluation.metrics import Scores, most_probable
from alexrepro.paper.results import Crops
from alexrepro.runs.predictions import About, probabilities_file


def scores_of(job: EvaluationJob, kept: tuple[Path, About] | None = None) -> dict[Crops, Scores]:
    """The scores of every image, in memory that is taken once. kept: a file that gets all probabilities as well.

    Raises UserError if outputs are not finite.
    """
    store, done = job.store, 0
    classes = len(store.manifest.classes)
    device = job.device.torch_device
    scores = {crops: Scores.empty(len(store), classes=classes, device=device) for crops in SCORED[job.crops]}
    probabilities = probabilities_file(*kept, images=len(store)) if kept else None
    for batch in scored_batches(job):
        rows = batch.batch.draws.rows
        if not torch.equal(rows, torch.arange(done, done + len(rows))):
            raise ValueError(f"{store.path}: not every image was evaluated once")
        for crops, outcomes in batch.outcomes.items():
            scores[crops].fill(done, Scores(*most_probable(batch.probabilities[crops]), *outcomes))
        if probabilities is not None:
            probabilities[rows] = batch.probabilities[job.crops].cpu().numpy()
        done += len(rows)
    if done != len(store):
        raise ValueError(f"{store.path}: not every image was evaluated once")
    return scores
