"""What to type in the place of a path that is not there, is a URL, or is a file."""

import re
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from shlex import quote

from alexrepro.data.sources.folders import is_photo, sorted_names
from alexrepro.data.sources.hints import no_input, packed_file
from alexrepro.data.sources.packed import unpacking
from alexrepro.errors import UserError

URL = re.compile(r"([a-z][a-z0-9+.-]*):/+(.+)", re.IGNORECASE)
COPYING = {"s3": "aws s3 sync", "gs": "gsutil -m rsync -r"}
HUGGING_FACE = re.compile(r"[\w.-]+/[\w.-]+")  # an owner and a data set there
ON_THE_HUB = re.compile(rf"huggingface\.co/datasets/({HUGGING_FACE.pattern})")
WORDS = ("miniature", "cifar10")  # what may be typed in the place of a path


def is_there(path: Path) -> bool:
    """Whether something is at a path; not where its name is too long to be one."""
    try:
        return path.exists()
    except PermissionError:
        raise
    except OSError:
        return False


def missing(path: Path) -> UserError:
    """The refusal of a path at which there is nothing, with the name that may have been meant."""
    if url := URL.fullmatch(str(path)):
        address = f"{url[1]}://{url[2]}"
        command = COPYING.get(url[1].lower(), "wget -r" if url[1].lower().startswith("http") else "rclone copy")
        typed = f"{command} {address} FOLDER"
        if hub := ON_THE_HUB.match(url[2] if url[1] != "hf" else f"huggingface.co/{url[2]}"):
            typed = _hub_download(hub[1])
        return no_input(f"{address} is a URL, and images are read from a local disk.",
                        f"Copy it first, for example with: {typed}")  # fmt: skip
    first = next(place for place in (path, *path.parents) if is_there(place.parent) or place == place.parent)
    names = sorted_names(first.parent) if first.parent.is_dir() else []
    if first == path and path.name in names:
        return no_input(f"{path} is a link to {path.readlink()}, which is not there.", "Mount that disk, or link anew.")
    by_lower = {name.lower(): name for name in reversed(names)}
    meant = [str(first.parent / by_lower[near]) for near in get_close_matches(first.name.lower(), by_lower, n=1)]
    if is_there(absolute := Path("/") / path):
        meant.insert(0, str(absolute))
    meant += get_close_matches(str(path).lower(), WORDS, n=1)
    if meant:
        return no_input(f"{path} is not there.", f"Did you mean: alexrepro prepare {quote(meant[0])}")
    if HUGGING_FACE.fullmatch(str(path)):
        return no_input(
            f"{path} is not there.",
            f"If it is a data set at Hugging Face: {_hub_download(str(path))}",
        )
    holds = f"; {first.parent} holds {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}" if names else ""
    return no_input(f"{path} is not there{holds}.", "Check the name, and that its disk is mounted.")


def not_a_folder(path: Path, fits: Callable[[Path], list[str]]) -> UserError:
    """The refusal of a file that is no source by itself."""
    folder = quote(str(path.parent))
    if fits(path.parent) and not is_photo(path.name):
        return no_input(f"{path} is a file.", f"Name its folder: alexrepro prepare {folder}")
    if unpacking(path) or path.suffix == ".tar":
        return packed_file(path, target=path.parent)
    if is_photo(path.name):
        return no_input(f"{path} is one photo.", f"Name the folder of the class folders: alexrepro prepare {folder}")
    return no_input(f"{path} is not a folder.", f"Name the folder that holds the images, such as: {folder}")


def _hub_download(name: str) -> str:
    return f"hf download {name} --repo-type dataset --local-dir {name.rpartition('/')[2]}"
