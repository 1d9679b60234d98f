"""One row of the fidelity ledger: what a source says, what was run in 2012, and what pins our treatment of it."""

from dataclasses import dataclass
from typing import Literal

Status = Literal[
    "as printed",  # as-printed does what the paper says
    "as run",  # as-run-2012 does what the released code did
    "silent, chosen",  # no source says; the note tells what was chosen
    "departs",  # this code does otherwise; the note gives the reason
    "measured",  # this code has measured it; the note says what came of it
    "not run",  # this code can measure it and has not
    "not reproducible here",  # it needs what cannot be had; the note says what
    "no test can pin it",  # nothing in this code could show it to be right or wrong; the note says why
]


@dataclass(frozen=True)
class Statement:
    """A statement of the paper (P) or a trait of the released code (S), in our words.

    source: section of the paper or file of the released code. in_2012: what was run, with its file, where the paper's
    statement does not say it all. fields: dotted paths of a recipe that hold the choice; their values stand in the
    recipes only, and `network.<stage>` means every stage. pins: what fails when something that is said changes, or
    measures it: `tests/<file>.py::<test>`, `experiment <name>`, or `recipe <name>` of a recipe or a variation.
    """

    id: str
    source: str
    says: str
    status: Status
    pins: tuple[str, ...]
    in_2012: str = ""
    fields: tuple[str, ...] = ()
    note: str = ""
