"""Every evaluation of every run and of every average of runs, whatever its recipe and data set (§2)."""

from alexrepro.paper.citation import Citation
from alexrepro.reports.experiments import Evidence, Experiment
from alexrepro.reports.tables.evaluations import NAME, TITLE, evaluation_table


def _lacks(evidence: Evidence) -> list[str]:
    train = [] if evidence.runs else ["alexrepro prepare miniature", "alexrepro train tiny"]
    return [] if evidence.evaluations or evidence.ensembles else [*train, "alexrepro evaluate --ten-crop"]


EVALUATIONS = Experiment(
    NAME, TITLE, Citation("§2", "top-1 and top-5 error rates"), lacks=_lacks,
    summarize=lambda evidence: evaluation_table([*evidence.evaluations, *evidence.ensembles]).rows,
)  # fmt: skip
