"""Ablation: train the base and its variations with the same seeds on the same images, and test them alike.

Finished runs are taken as they are and interrupted ones continue, so the whole can be stopped and repeated.
"""

from collections.abc import Sequence
from dataclasses import replace

from alexrepro.data.store.store import Store
from alexrepro.evaluation.evaluate import evaluate
from alexrepro.paper.results import Crops
from alexrepro.progress import say
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.evaluation import EvaluationFiles
from alexrepro.runs.run import Evaluation, Run
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train


def ablate(
    trials: Sequence[tuple[Recipe, Crops]], job: TrainingJob, *, test: Store, seeds: Sequence[int]
) -> list[list[Evaluation]]:
    """For each recipe and the crops to test it over, one evaluation per seed on the test store, in their order.

    job: says how to train all of them, whatever its own recipe and seed. Seeds go outermost, so that an interrupted
    ablation holds complete comparisons for the first seeds.
    Raises UserError as `train` does: a network whose loss stays at chance ends it all, unless that is allowed.
    """
    found: list[list[Evaluation]] = [[] for _ in trials]
    number, total = 0, len(trials) * len(seeds)
    for seed in seeds:
        for (recipe, crops), evaluations in zip(trials, found, strict=True):
            number += 1
            say(f"Run {number} of {total}, seed {seed}: {recipe.name}, {recipe.description}.")
            run = train(replace(job, recipe=recipe, seed=seed))
            evaluations.append(_saved(run, test, crops) or evaluate(run, test, crops=crops, device=job.device))
    return found


def _saved(run: Run, store: Store, crops: Crops) -> Evaluation | None:
    """The evaluation on this very store with these crops that the run has of its last epoch, with its predictions."""
    split, digest = store.manifest.full_name, store.manifest.digest
    if not EvaluationFiles(run.folder).predictions(split, crops).exists():
        return None
    asked = (split, digest, crops, run.recipe.training.epochs)
    return next((e for e in run.evaluations if (e.split, e.store, e.crops, e.epochs) == asked), None)
