"""What `prepare` would read at a path, of whatever layout, and what is missing there; nothing is prepared."""

from collections.abc import Iterator
from pathlib import Path

from alexrepro.data.sources import recognize
from alexrepro.data.sources.official_files import check
from alexrepro.data.sources.walk import names_in
from alexrepro.errors import Exit


def survey(path: Path, *, md5: bool) -> Iterator[tuple[str, str, Exit]]:
    """Part, finding and exit code of each split at a path and of what is missing or not read.

    Official archives are compared with what was published, and read only with md5; where archives hold the images,
    and in an empty folder, each official one is listed, there or not. Raises UserError if nothing is recognized.
    """
    checked = check(path, md5=md5) if path.is_dir() else []
    if any(one.is_there and one.archive.file.endswith(".tar") for one in checked) or (checked and not names_in(path)):
        for one in checked:
            wrong = Exit.MISSING_INPUT if one.finding == "missing" else Exit.BAD_DATA
            yield one.archive.part, f"{one.finding}: {one.description}", wrong if one.is_wrong else Exit.OK
        return
    source = recognize(path)
    for split in source.splits:
        labels = "" if split.labeled else ", without labels"
        yield split.name, f"{len(split.images):,} images of {len(source.classes):,} classes{labels}", Exit.OK
    for one in (one for one in checked if one.is_there):
        yield one.archive.part, f"{one.finding}: {one.description}", Exit.BAD_DATA if one.is_wrong else Exit.OK
    for gap in source.gaps:
        yield source.dataset, f"not complete: {gap}", Exit.MISSING_INPUT
    for item in (item for item in source.skipped if item.is_loss):
        yield item.path, f"not read: {item.reason}", Exit.BAD_DATA
