"""Results noted in the released 2012 code, by parameter file (`layers/layer-params-<config>.cfg`).

Errors are fractions at the precision of the notes; the epochs of the schedules are in `recipes/catalogue.py`.
"""

from dataclasses import dataclass

from alexrepro.paper.citation import Citation
from alexrepro.paper.results import TEST_2010, VAL_2012, Views


@dataclass(frozen=True)
class Logged:
    """One evaluation noted at the end of a parameter file; loss is -log p of the true class, in nats."""

    config: str
    split: str
    views: Views
    loss: float
    top1_error: float
    top5_error: float

    @property
    def cites(self) -> Citation:
        """The file that holds the note."""
        return Citation(f"layer-params-{self.config}.cfg")


LOGGED = (
    Logged("145", VAL_2012, "ten", 1.7415, 0.40664, 0.18210),
    Logged("145-2010", TEST_2010, "ten", 1.6147, 0.374727, 0.169987),
    Logged("145-2010", TEST_2010, "centre", 1.7060, 0.390247, 0.182953),
    Logged("145-half", TEST_2010, "ten", 1.7028, 0.3917, 0.1823),
    Logged("147", VAL_2012, "ten", 1.7576, 0.4106, 0.1851),
    Logged("148", VAL_2012, "ten", 1.8224, 0.4203, 0.1936),
    Logged("150", VAL_2012, "ten", 1.8112, 0.4183, 0.1933),
)


def logged(config: str, *, views: Views = "ten") -> Logged:
    """The noted result of a configuration. Raises KeyError if the notes hold none."""
    return {(entry.config, entry.views): entry for entry in LOGGED}[config, views]
