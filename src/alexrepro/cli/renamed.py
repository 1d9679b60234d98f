"""Options that were renamed or became commands: typed as before, they are answered with what to type now.

Fields of recipes that were renamed are listed in recipes/fields.py.
"""

from collections.abc import Sequence

from alexrepro.errors import Exit, UserError

PATH = "PATH"  # in the place of an option: an argument that is not an option
OPTIONS = {  # command -> old option -> what to type now
    "evaluate": {
        "--compare": "alexrepro compare RUN_A RUN_B",
        "--submission": "alexrepro submit RUN --to FILE",
        "--predictions": "alexrepro score FILE --devkit DIR",
        "--devkit": "alexrepro score FILE --devkit DIR",
        "--weights": "--ensemble-weights",
        "--stores": "--store",
    },
    "prepare": {
        "--check": "alexrepro verify FOLDER --quick",
        "--md5": "alexrepro verify FOLDER",
    },
    "doctor": {
        PATH: "alexrepro verify STORE",
        "--full": "alexrepro verify",
        "--stores": "--store",
        "--batch": "--set training.batch=N",
    },
    "train": {"--processes": "--cpu-ranks", "--stores": "--store"},
    "predict": {"--stores": "--store"},
    "features": {"--stores": "--store"},
    "convert": {"--stores": "--store"},
    "ablate": {"--stores": "--store"},
    "bench": {"--stores": "--store"},
}


def refuse_renamed(arguments: Sequence[str]) -> None:
    """Raise UserError for an option that was renamed or became a command."""
    command, *words = arguments or [""]
    known = OPTIONS.get(command, {})
    for number, word in enumerate(words):
        option = word.partition("=")[0] if word.startswith("-") or number else PATH
        if option in known:
            now = known[option]
            verb = "use" if now.startswith("alexrepro") else "it is now"
            what = f"`alexrepro {command} {option}` no longer exists."
            raise UserError(what, fix=f"{verb.capitalize()}: {now}", exit_code=Exit.USAGE)
