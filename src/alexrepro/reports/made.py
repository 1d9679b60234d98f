"""A report as made from evidence: its table, its figure, and the commands for what is missing; and its files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from alexrepro.reports.experiment import Experiment, answer, drawn, missing
from alexrepro.reports.figures import plot
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.tables.table import ResultTable


@dataclass(frozen=True)
class Made:
    """One report. missing: commands to type, in order; empty if nothing is missing."""

    experiment: Experiment
    table: ResultTable
    figure: Figure | None
    missing: Sequence[str]

    def save(self, folder: Path) -> list[Path]:
        """Write the table's files and the figure's, each whole or not at all, and return their paths."""
        files = self.table.save(folder)
        return files + (plot.save(self.figure, folder, name=self.table.name) if self.figure else [])


def make(experiment: Experiment, evidence: Evidence) -> Made:
    """The report of an experiment; reads runs and never trains."""
    return Made(experiment, answer(experiment, evidence), drawn(experiment, evidence), missing(experiment, evidence))
