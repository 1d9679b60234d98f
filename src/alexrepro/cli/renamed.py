"""Options that were renamed, or became commands of their own: typed as before, they are answered with what to type now.

Renamed fields of recipes are in recipes/fields.py.
"""

from collections.abc import Sequence
from pathlib import Path

from alexrepro.errors import Exit, UserError

FOLDER = "FOLDER"  # stands for an argument that is a folder
EVERYWHERE = {"--stores": "Use --store.", "--batch": "Use --set training.batch=N."}
OPTIONS = {  # command -> old option -> what to type now
    "prepare": {
        "--check": "Use: alexrepro verify FOLDER --quick",
        "--md5": "Use: alexrepro verify FOLDER",
        "--square": "Use --resize crop, --resize stretch or --resize pad.",
        "--processes": "Use --workers.",
    },
    "train": {
        "--processes": "Use --cpu-ranks.",
        "--init-from": "Use: alexrepro train RECIPE RUN",
        "--continue-from": "Use: alexrepro train RUN",
        "--keep": "Leave it out: the two newest checkpoints are kept.",
        "--resume": "Leave it out: a run continues; to start anew, rename its folder.",
        "--allow-flat-loss": "Leave it out, and type the same command again after the loss was reported.",
    },
    "evaluate": {
        "--compare": "Use: alexrepro compare RUN_A RUN_B",
        "--submission": "Use: alexrepro submit RUN --to FILE",
        "--predictions": "Use: alexrepro score FILE --devkit FOLDER",
        "--devkit": "Use: alexrepro score FILE --devkit FOLDER",
        "--weights": "Use --ensemble-weights.",
        "--breakdown": "Count errors by class in RUN/predictions/*.parquet, which holds every prediction.",
    },
    "doctor": {
        FOLDER: "Use: alexrepro verify STORE",
        "--recipe": "Use: alexrepro doctor RECIPE",
        "--full": "Use: alexrepro verify",
    },
    "bench": {
        "--recipe": "Use: alexrepro bench RECIPE",
        "--parallel": "Compare alexrepro bench on one GPU with the images/s that a training on two prints.",
    },
}


def refuse_renamed(arguments: Sequence[str]) -> Sequence[str]:
    """The arguments of the program. Raises UserError for an option that was renamed or became a command."""
    command, *words = arguments or [""]
    old = OPTIONS.get(command, {}) | EVERYWHERE
    for number, word in enumerate(words):
        option = FOLDER if number == 0 and Path(word).is_dir() else word.partition("=")[0]
        if option in old:
            raise UserError(f"alexrepro {command} has no {option} any more.", fix=old[option], exit_code=Exit.USAGE)
    return arguments
