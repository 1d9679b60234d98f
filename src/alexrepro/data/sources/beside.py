"""What lies beside the tables or shards of a source and is not read."""

from collections.abc import Collection, Iterator
from pathlib import Path

from alexrepro.data.sources.source import Skipped
from alexrepro.data.sources.walk import below, contents, entries, is_folder, why_ignored

OTHER_FILE = "not one of the files that are read"


def beside(path: Path, read: Collection[Path]) -> Iterator[Skipped]:
    """Every file and folder at a path that is neither read nor above a file that is, with the reason."""
    above = {folder for file in read for folder in file.parents}
    waiting = [path]
    while waiting:
        here = waiting.pop()
        for entry in entries(here):
            place = here / entry.name
            if place in above:
                waiting.append(place)
            elif place not in read:
                reason = why_ignored(entry.name)
                what = contents(place) if not reason and is_folder(entry) else None
                yield Skipped(below(path, place), reason or (f"{what} beside the files read" if what else OTHER_FILE))
