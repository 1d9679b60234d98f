"""Ensembles: the probabilities of several runs averaged (§6), each first over its crops, as in 2012 (avg-test.py)."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.evaluate import candidate_of, measure
from alexrepro.evaluation.inference import Candidate
from alexrepro.paper.results import Crops
from alexrepro.runs.evaluation import ENSEMBLES, Evaluation, Member
from alexrepro.runs.run import Run

RECIPE = "ensemble"  # what evaluations of ensembles say in the place of a recipe
DIGITS = 6  # of a digest, as in the names of recipes


@dataclass(frozen=True)
class Opened:
    """What is told of a run or of an ensemble as a whole, its networks, and of an ensemble what is told of each."""

    who: Member
    candidates: Sequence[Candidate]
    members: Sequence[Member] = ()


def evaluate_runs(
    runs: Sequence[Run],
    store: Store,
    *,
    crops: Crops,
    device: Device,
    folder: Path,
    weights: Sequence[float] = (),
    save_probabilities: bool = False,
) -> list[Evaluation]:
    """Test a run, or the average of several, on a store in one pass: the center crop, then the ten if asked for.

    folder: that of all runs; an average is saved in its `ensembles/`. weights: one for each of several runs, of which
    only the proportions count; equal without any.
    Raises UserError if a run is named twice, if their data sets or classes differ, or if the weights do not fit.
    """
    found = open_runs(runs, store, weights=weights, device=device, folder=folder)
    return measure(
        found.who, found.candidates, store, crops=crops, device=device, members=found.members,
        save_probabilities=save_probabilities,
    )  # fmt: skip


def open_runs(runs: Sequence[Run], store: Store, *, weights: Sequence[float], device: Device, folder: Path) -> Opened:
    """One run or an ensemble of several, ready to be tested on a store."""
    shares = _shares(runs, weights)
    datasets = sorted({run.environment["dataset"] for run in runs})
    if len(datasets) > 1:
        raise UserError(
            f"These runs are of different data sets: {', '.join(datasets)}.", fix="Name runs of one of them only."
        )
    opened = [candidate_of(run, store, device=device, weight=w) for run, w in zip(runs, shares, strict=True)]
    opened.sort(key=lambda pair: _identity(pair[1]))  # the order in which they are named changes no bit
    candidates, members = [candidate for candidate, _ in opened], [member for _, member in opened]
    if len(members) == 1:
        return Opened(members[0], candidates)
    identity = json.dumps([datasets, *map(_identity, members)])
    digest = hashlib.sha256(identity.encode()).hexdigest()[:DIGITS]
    epochs = min(member.epochs for member in members)
    return Opened(Member(str(folder / ENSEMBLES / digest), RECIPE, digest, 0, epochs, 1.0), candidates, members)


def _identity(member: Member) -> tuple[object, ...]:
    """What a member is, wherever its folder lies."""
    return member.recipe, member.digest, member.seed, member.epochs, member.weight


def _shares(runs: Sequence[Run], weights: Sequence[float]) -> list[float]:
    """The weights divided by their sum."""
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise UserError(
            "A run is named twice.", fix="Name it once, and count it twice with --weights.", exit_code=Exit.USAGE
        )
    weights = weights or [1.0] * len(runs)
    if len(weights) != len(runs) or not all(0 < weight < float("inf") for weight in weights):
        raise UserError(
            f"The weights {', '.join(f'{weight:g}' for weight in weights)} do not fit {len(runs)} runs.",
            fix="Give each run a number above 0: --weights 1,1,0.5.",
            exit_code=Exit.USAGE,
        )
    return [weight / sum(weights) for weight in weights]
