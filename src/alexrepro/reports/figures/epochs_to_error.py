"""When trainings first reach the training error that Figure 1 compares them at (§3.1)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from alexrepro.paper.pictures import FIGURE_1_TRAINING_ERROR
from alexrepro.reports.figures.curves import by_epoch
from alexrepro.runs.run import Run


def crossing(found: pd.DataFrame) -> float | None:
    """The epoch at which the training error falls to the printed one, by a straight line; None where it does not.

    found: of `by_epoch`. Before the first epoch nothing is known, so an error that begins below gives that epoch.
    """
    below = found[found["training_error"] <= FIGURE_1_TRAINING_ERROR]
    if below.empty:
        return None
    place = found.index.get_loc(below.index[0])
    assert isinstance(place, int)
    epoch, error = found["epoch"].iloc[place], found["training_error"].iloc[place]
    if place == 0:
        return float(epoch)
    epoch_before, error_before = found["epoch"].iloc[place - 1], found["training_error"].iloc[place - 1]
    share = (error_before - FIGURE_1_TRAINING_ERROR) / (error_before - error)
    return float(epoch_before + share * (epoch - epoch_before))


@dataclass(frozen=True)
class Curve:
    """A run and its epochs that are complete."""

    run: Run
    epochs: pd.DataFrame

    @property
    def seed(self) -> int:
        """What the run was drawn from."""
        return int(self.run.environment["seed"])

    @cached_property
    def crossing(self) -> float | None:
        """The epoch at which it reaches the printed error, if it does."""
        return crossing(self.epochs)


def curves(runs: Iterable[Run]) -> list[Curve]:
    """Those of the runs whose metrics tell the training error, by recipe and seed."""
    found = [Curve(run, _whole_epochs(run)) for run in runs]
    told = [curve for curve in found if curve.epochs["training_error"].notna().any()]
    return sorted(
        told, key=lambda curve: (curve.run.recipe.training.learning_rate, curve.seed, curve.run.recipe.digest)
    )


def _whole_epochs(run: Run) -> pd.DataFrame:
    epochs = by_epoch(run)
    return epochs.loc[epochs["updates"].eq(run.environment["steps_per_epoch"])]


def times_sooner(ones: Sequence[Curve], others: Sequence[Curve]) -> list[float]:
    """How many times sooner the first cross than the others, for each seed that both have and at which both do."""
    first = {curve.seed: curve.crossing for curve in ones}
    pairs = [(first.get(curve.seed), curve.crossing) for curve in others]
    return [late / soon for soon, late in pairs if soon and late]
