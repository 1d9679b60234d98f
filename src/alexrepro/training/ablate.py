"""Ablation: train the base and its variations with the same seeds on the same images, and evaluate them alike.

Complete runs are taken as they are and interrupted ones continue, so the command can be stopped and repeated.
"""

from collections.abc import Sequence
from dataclasses import replace

from alexrepro.data.store.store import Store
from alexrepro.evaluation.evaluate import evaluate
from alexrepro.paper.results import Crops
from alexrepro.progress import say
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.evaluation import Evaluation, EvaluationFiles
from alexrepro.runs.run import Run
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train


def ablate(
    trials: Sequence[tuple[Recipe, Crops]], job: TrainingJob, *, test: Store, seeds: Sequence[int]
) -> list[list[Evaluation]]:
    """For each recipe, one evaluation per seed on the test store with its crops, in the order of the trials.

    job: how to train all of them; its own recipe and seed do not matter. Seeds go outermost, so that an interrupted
    ablation holds complete comparisons for the first seeds.
    Raises UserError as `train` does: a loss that stays at chance ends the ablation unless that is allowed.
    """
    evaluations: list[list[Evaluation]] = [[] for _ in trials]
    number, total = 0, len(trials) * len(seeds)
    for seed in seeds:
        for (recipe, crops), of_trial in zip(trials, evaluations, strict=True):
            number += 1
            say(f"Run {number} of {total}, seed {seed}: {recipe.name}, {recipe.description}.")
            run = train(replace(job, recipe=recipe, seed=seed))
            of_trial.append(_saved(run, test, crops) or evaluate(run, test, crops=crops, device=job.device))
    return evaluations


def _saved(run: Run, store: Store, crops: Crops) -> Evaluation | None:
    """The run's evaluation of its last epoch on this store with these crops; None if it or its predictions are gone."""
    split, digest = store.manifest.full_name, store.manifest.digest
    if not EvaluationFiles(run.folder).predictions(split, crops).exists():
        return None
    wanted = (split, digest, crops, run.recipe.training.epochs)
    return next((e for e in run.evaluations if (e.split, e.store, e.crops, e.epochs) == wanted), None)
