"""Copies the pages for `make site` to a folder; links that leave docs/ become text, since a site has no checkout."""

import re
import shutil
import sys
from functools import partial
from pathlib import Path

DOCS = Path(__file__).resolve().parent
LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)[^)]*\)")


def copy_to(folder: Path) -> None:
    """Write the pages, and the files that they link, to a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__", "stores", "runs"))
    for page in folder.rglob("*.md"):
        kept = partial(_kept, (DOCS / page.relative_to(folder)).parent)
        page.write_text(LINK.sub(kept, page.read_text(encoding="utf-8")), encoding="utf-8")


def _kept(here: Path, link: re.Match[str]) -> str:
    """A link as it is if it leads to another host or stays within docs/; otherwise its text."""
    stays = ":" in link[2] or (here / link[2]).resolve().is_relative_to(DOCS)
    return link[0] if stays else link[1]


if __name__ == "__main__":
    copy_to(Path(sys.argv[1]))
