"""From a source to stores: the shards of every split, their exact statistics, and the manifest last (§2).

Work is kept by shard, so an interrupted preparation continues; the result is the same bytes for any number of workers.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from alexrepro.data.sources import recognize
from alexrepro.data.sources.labels import refuse_wrong_labels
from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.sources.small_sets import fetch
from alexrepro.data.sources.source import Source
from alexrepro.data.store.fingerprint import fingerprint, keep, prepared_with
from alexrepro.data.store.manifest import LEFT_OUT, Encoding, Form
from alexrepro.data.store.preparation import Preparation
from alexrepro.data.store.prepared import write_prepared
from alexrepro.data.store.shards import Job
from alexrepro.data.store.store import Store, find_stores
from alexrepro.errors import Exit, UserError
from alexrepro.files import csv_text, writable, write_text
from alexrepro.locks import locked, waiting_for
from alexrepro.paper.training import STORED_PX, ResizeRule
from alexrepro.processors import usable_processors
from alexrepro.progress import first_few, say

SIDE_STEP = 32  # sums over pixels are made in blocks of 1,024
SMALL_PX = 64  # sides for which a second JPEG would cost more than it saves
BYTES_AN_IMAGE = {"jpeg": 33_000, "raw": 197_000, "planes": 98_700}  # measured means, with names and labels
BYTES_OF_SUMS = 790_000  # of a shard, until its split is done; the mean image has as many
UNREADABLE = "unreadable.csv"  # next to the stores, if more files are unreadable than allowed
MADE_OR_FETCHED: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "miniature": (write_miniature, "ilsvrc2010-miniature-source"),
    "cifar10": (fetch, "cifar10-source"),
}


@dataclass(frozen=True)
class Options:
    """How images are stored and what may be left out.

    encoding: by default JPEG, or raw up to 64 px. side_px: a multiple of 32, by default that of the source: 256 (§2),
    or 32 for CIFAR-10. max_bad: unreadable files that may be left out. layout: of the source, by default recognized.
    read_again: list a source anew whose files have the names, sizes and times of a prepared one.
    """

    encoding: Encoding | None = None
    side_px: int | None = None
    resize: ResizeRule = "crop"
    max_bad: int = 0
    allow_partial: bool = False
    layout: str | None = None
    read_again: bool = False

    def form(self, source: Source) -> Form:
        """How the images of a source are stored. Raises UserError for a side that cannot be."""
        side_px = source.side_px if self.side_px is None else self.side_px
        if not 0 < side_px <= STORED_PX or side_px % SIDE_STEP:
            raise UserError(
                f"A side of {side_px} px cannot be stored.",
                fix=f"Choose a multiple of {SIDE_STEP} up to {STORED_PX}.",
                exit_code=Exit.USAGE,
            )
        return Form(self.encoding or ("raw" if side_px <= SMALL_PX else "jpeg"), side_px, self.resize)


def prepare(
    source: str | Path, *, out: Path, workers: int | None = None, options: Options | None = None
) -> dict[str, Store]:
    """Write one store per split of a source below `out` and return them by split name.

    source: a folder or file, or the word "miniature" or "cifar10". A split that is already there is not made again, but
    gets the labels, names and ids that its source has now. Also writes prepared.csv, the table of all stores there.
    Raises UserError if files are unreadable, if nothing in a split can be read, if the disk is too full, or if images
    are missing or would be left out, unless the options allow it. The work is kept, and a second call continues.
    """
    options = options or Options()
    if str(source) in MADE_OR_FETCHED and not Path(source).exists():
        make, folder = MADE_OR_FETCHED[str(source)]
        source = out / folder
        with locked(out / f".{folder}.lock", busy=waiting_for(f"prepare {folder}")):
            make(source)
    source = Path(source)
    mark = _fingerprint(source, out, options)
    stores = prepared_with(mark, find_stores(out)) if mark and not options.read_again else None
    for store in (stores or {}).values():
        say(f"{store.path} is already prepared from these files, by their names, sizes and times.")
    if stores is None:
        stores = _prepared_anew(source, out, workers or usable_processors(), options)
    if mark:
        keep(mark, stores)
    write_prepared(out)
    for split, store in stores.items():
        if advice := store.manifest.labeling:
            say(f"The {len(store):,} images of {split} have no labels, so no error can be measured on them. {advice}")
    return stores


def _prepared_anew(source: Path, out: Path, workers: int, options: Options) -> dict[str, Store]:
    found = recognize(source, layout=options.layout)
    refuse_wrong_labels(source, found)
    _list_skipped(found, out / f"{found.dataset}-skipped.csv")
    _refuse_if_incomplete(found, source, allow_partial=options.allow_partial)
    form = options.form(found)
    name = writable(source.resolve().name)
    works = [Preparation(found, split, form, out, name) for split in found.splits]
    with ExitStack() as locks:
        _find_prepared(works, out, locks)
        _refuse_if_too_full(out, [job for work in works for job in work.waiting], form)
        for work in works:
            work.run(workers)
        _refuse_if_bad(works, max(options.max_bad, found.known_bad), table=out / UNREADABLE)
        return {work.split.name: work.finish() for work in works}


def _fingerprint(source: Path, out: Path, options: Options) -> str:
    """The fingerprint of a source, or none if it cannot be listed; whoever reads it reports the error."""
    how = {**asdict(options), "max_bad": None, "read_again": None}
    try:
        return fingerprint(source, out, how)
    except OSError:
        return ""


def _find_prepared(works: Sequence[Preparation], out: Path, locks: ExitStack) -> None:
    """Give the stores that are there to their works, and keep other processes from the works without one."""
    stores = _prepared(out)
    missing = [work for work in works if work.lacks(stores)]
    for work in missing:  # a finished store needs no lock, and its disk may be read-only
        locks.enter_context(locked(out / f"{work.folder.name}.lock", busy=waiting_for(work.title)))
    if missing:
        stores = _prepared(out)  # another process may have made them meanwhile
    for work in works:
        work.find(stores)


def _prepared(out: Path) -> dict[str, Store]:
    """The stores that are there, by the listing of their source; the newest of each."""
    return {store.manifest.listing: store for store in reversed(find_stores(out))}


def _list_skipped(source: Source, table: Path) -> None:
    """List the files and folders of a source that are not read, and say how many there are."""
    if not source.skipped:
        if table.exists():  # on a read-only disk no file can be removed, not even one that is missing
            table.unlink()
        return
    text = csv_text([{"path": item.path, "reason": item.reason} for item in source.skipped])
    if not table.exists() or table.read_text(encoding="utf-8") != text:  # the disk may be read-only
        write_text(table, text)
    reasons = Counter(item.reason for item in source.skipped).most_common()
    counts = first_few([f"{count:,} {reason}" for reason, count in reasons], between="; ")
    say(f"Skipped files and folders: {len(source.skipped):,} ({counts}). All are listed in {table}.")


def _refuse_if_incomplete(source: Source, path: Path, *, allow_partial: bool) -> None:
    """Raise UserError, or say with `allow_partial`, which images are missing or are not read."""
    lost = [f"{item.path} ({item.reason})" for item in source.skipped if item.is_loss]
    problems = (
        ("holds images or classes that are left out", lost, "Move or repair them"),
        ("is not complete", source.gaps, "Fetch what is missing"),
    )
    for what, items, fix in problems:
        problem = f"{path} {what}: {first_few(items, between='; ')}."
        if items and not allow_partial:
            advice = f"{fix}, or prepare the rest with: --allow-partial."
            raise UserError(problem, fix=advice, exit_code=Exit.BAD_DATA)
        if items:
            say(problem)
    for split in source.splits:
        if not split.images:
            raise UserError(
                f"{path} has no image for {split.name}.", fix="Check that it holds images.", exit_code=Exit.BAD_DATA
            )


def _refuse_if_too_full(out: Path, waiting: Sequence[Job], form: Form) -> None:
    """Raise UserError unless the disk can hold the shards that are to be made, by the mean size of an image."""
    sums = sum(job.needs_moments for job in waiting)
    need = sum(job.images for job in waiting) * BYTES_AN_IMAGE[form.encoding]
    need += (sums + bool(sums)) * BYTES_OF_SUMS
    need = int(need * (form.side_px / STORED_PX) ** 2)
    if need and need > (have := shutil.disk_usage(out).free):
        raise UserError(
            f"The stores need about {need / 1e6:,.0f} MB more, and {out} has {have / 1e6:,.0f} MB free.",
            fix="Free some space, or choose another disk with --out.",
            exit_code=Exit.IO_ERROR,
        )


def _refuse_if_bad(works: Sequence[Preparation], most: int, *, table: Path) -> None:
    """After every file was tried, so that all bad ones are known at once; the finished shards stay."""
    if all(work.store for work in works):  # perhaps on a disk that is read-only
        return
    table.unlink(missing_ok=True)
    bad = [d for work in works if not work.store for d in work.finished.defects if d["action"] == LEFT_OUT]
    if len(bad) <= most:
        return
    write_text(table, csv_text(bad))
    first = first_few([f"{defect['path']}: {defect['reason']}" for defect in bad], between="; ")
    raise UserError(
        f"{len(bad):,} files could not be read; at most {most:,} are allowed. All are listed in {table}. "
        f"The first: {first}.",
        fix=f"Fetch them again, or leave them out with: --max-bad {len(bad)}; that continues the work on the others.",
        exit_code=Exit.BAD_DATA,
    )
