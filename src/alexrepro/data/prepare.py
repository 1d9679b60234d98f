"""From a source to stores: every split's shards, their exact statistics, and the manifest last (§2).

Work is kept by shard, so that an interrupted preparation continues, and the result is the same bytes for any number
of processes.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from alexrepro.data import manifest as files
from alexrepro.data.commit import defect_table, finish, write_manifest
from alexrepro.data.manifest import LEFT_OUT, Encoding, Form
from alexrepro.data.shards import Job, Note, make_shards, read_note
from alexrepro.data.skipped import account_for
from alexrepro.data.sources import recognise
from alexrepro.data.sources.cifar import fetch
from alexrepro.data.sources.folders import spoken
from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.sources.source import Source, Split
from alexrepro.data.squares import rule
from alexrepro.data.store import Store, find_stores
from alexrepro.errors import Exit, Refusal
from alexrepro.files import write_text
from alexrepro.paper.training import STORED_PX, Fit
from alexrepro.processors import usable_processors
from alexrepro.progress import progress, say

SHARD_IMAGES = 1024  # as many as a batch file of 2012 held (convdata_jpeg.py)
BYTES_AN_IMAGE = {"jpeg": 33_000, "raw": 197_000}  # measured means, with their names and labels
BYTES_OF_SUMS = 790_000  # of a shard, until its split is done; the mean image has as many
SIDE_STEP = 32  # sums over pixels are made in blocks of 1,024
SMALL_PX = 64  # sides for which a second JPEG would cost more than it saves
SHOWN_GAPS = 5
UNREADABLE = "unreadable.csv"  # beside the stores, when there are more of them than allowed
MADE_OR_FETCHED: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "miniature": (write_miniature, "ilsvrc2010-miniature-source"),
    "cifar10": (fetch, "cifar10-source"),
}


def prepare(
    source: str | Path,
    *,
    out: Path,
    encoding: Encoding | None = None,
    side_px: int | None = None,
    square: Fit = "cropped",
    processes: int | None = None,
    max_bad: int = 0,
    allow_partial: bool = False,
    layout: str | None = None,
) -> dict[str, Store]:
    """Write one store per split of a source below `out` and return them by split name.

    source: a folder or file whose layout is recognised or named, or the word "miniature" or "cifar10". side_px: a
    multiple of 32; 256 (§2), or 32 for CIFAR-10 as it is. encoding: JPEG, or raw for such small images. At most
    `max_bad` unreadable files are left out and listed; a split that is already there is not made again. Raises Refusal
    if more files are unreadable, if nothing in a split can be read, if the disk is too full, or if photos are missing
    or would be left out and a part is not allowed. The work is kept then, and a second call goes on from it.
    """
    if str(source) in MADE_OR_FETCHED and not Path(source).exists():
        make, folder = MADE_OR_FETCHED[str(source)]
        source = out / folder
        make(source)
    found = recognise(Path(source), layout=layout)
    account_for(found, Path(source), out=out, allow_partial=allow_partial)
    if found.gaps and not allow_partial:
        raise _incomplete(Path(source), found.gaps)
    for split in found.splits:
        if not split.photos:
            raise Refusal(
                f"{source} has no photo for {split.name}.", fix="Check that it holds images.", exit_code=Exit.BAD_DATA
            )
    form = _form(found, encoding, side_px, square)
    _refuse_if_too_full(out, found, form)
    name = spoken(Path(Path(source).resolve().name))
    with ExitStack() as locks:
        works = [_Work.at(found, split, out=out, form=form, locks=locks) for split in found.splits]
        for work in works:
            work.run(processes or usable_processors())
        _refuse_if_bad(works, max(max_bad, found.known_bad), table=out / UNREADABLE)
        return {work.split.name: work.finish(found, out=out, name=name) for work in works}


@dataclass(frozen=True)
class _Work:
    """A split on its way to a store: the folder where its shards are made, or the store if it is already there."""

    split: Split
    listing: str
    folder: Path
    jobs: Sequence[Job]
    title: str
    store: Store | None = None

    @classmethod
    def at(cls, source: Source, split: Split, *, out: Path, form: Form, locks: ExitStack) -> "_Work":
        """Find what is there of a split and keep others from it."""
        listing, title = _listing(source, split, form), f"prepare {source.dataset}-{split.name}"
        folder = out / f".preparing-{source.dataset}-{split.name}-{listing[:12]}"
        locks.enter_context(FileLock(out / f"{folder.name}.lock"))
        for store in find_stores(out):
            if store.manifest.listing == listing:
                say(f"{store.path} is already prepared from these files.")
                return cls(split, listing, folder, (), title, store)
        folder.mkdir(parents=True, exist_ok=True)
        jobs = [
            Job(number, split.photos[first : first + SHARD_IMAGES], source.classes, folder, form,
                needs_moments=split.name == "train")
            for number, first in enumerate(range(0, len(split.photos), SHARD_IMAGES))
        ]  # fmt: skip
        return cls(split, listing, folder, jobs, title)

    def run(self, processes: int) -> None:
        """Make the shards that are not there yet."""
        if not (self.folder / files.MANIFEST).exists():
            _run(self.jobs, title=self.title, workers=processes)
            if self.jobs:
                _refuse_if_empty(self.split, self.notes())

    def notes(self) -> list[Note]:
        """What is known of the finished shards."""
        return [read_note(job) for job in self.jobs if job.note.exists()]

    def finish(self, source: Source, *, out: Path, name: str) -> Store:
        """Write the manifest, last of all, and give the folder its name."""
        if self.store is not None:
            return self.store
        if not (self.folder / files.MANIFEST).exists():
            write_manifest(source, self.split, jobs=self.jobs, notes=self.notes(), name=name, listing=self.listing)
        return finish(self.folder, out)


def _run(jobs: Sequence[Job], *, title: str, workers: int) -> None:
    """Make the shards that are not there yet."""
    waiting = [job for job in jobs if not job.note.exists()]
    total = sum(len(job.photos) for job in jobs)
    done = total - sum(len(job.photos) for job in waiting)
    if done:
        say(f"{title}: continuing after {done:,} of {total:,} images.")
    with progress(title, total=total, done=done) as advance:
        for job in make_shards(waiting, processes=min(workers, len(waiting))):
            advance(len(job.photos), "")


def _form(source: Source, encoding: Encoding | None, side_px: int | None, square: Fit) -> Form:
    side_px = source.side_px if side_px is None else side_px
    if not 0 < side_px <= STORED_PX or side_px % SIDE_STEP:
        raise Refusal(
            f"A side of {side_px} px cannot be stored.", fix=f"Choose a multiple of {SIDE_STEP} up to {STORED_PX}.",
            exit_code=Exit.USAGE,
        )  # fmt: skip
    return Form(encoding or ("raw" if side_px <= SMALL_PX else "jpeg"), side_px, square)


def _incomplete(path: Path, gaps: Sequence[str]) -> Refusal:
    more = f" and {len(gaps) - SHOWN_GAPS:,} more" if len(gaps) > SHOWN_GAPS else ""
    return Refusal(
        f"{path} is not complete: {'; '.join(gaps[:SHOWN_GAPS])}{more}.",
        fix="Fetch what is missing, or prepare what is there with: --allow-partial.",
        exit_code=Exit.BAD_DATA,
    )


def _refuse_if_too_full(out: Path, source: Source, form: Form) -> None:
    """Before the start, not after hours: room for every image of the source."""
    out.mkdir(parents=True, exist_ok=True)
    counts = {split.name: len(split.photos) for split in source.splits}
    shards = -(-counts.get("train", 0) // SHARD_IMAGES)
    need = sum(counts.values()) * BYTES_AN_IMAGE[form.encoding] + (shards + 1) * BYTES_OF_SUMS
    need = int(need * (form.side_px / STORED_PX) ** 2)
    have = shutil.disk_usage(out).free
    if need > have:
        raise Refusal(
            f"The stores need about {need / 1e6:,.0f} MB, and {out} has {have / 1e6:,.0f} MB free.",
            fix="Free some space, or choose another disk with --out.",
            exit_code=Exit.IO_ERROR,
        )


def _refuse_if_bad(works: Sequence[_Work], most: int, *, table: Path) -> None:
    """After every file was tried, so that all bad ones are known at once; the finished shards stay."""
    table.unlink(missing_ok=True)
    bad = [defect for work in works for note in work.notes() for defect in note.defects if defect["action"] == LEFT_OUT]
    if len(bad) <= most:
        return
    write_text(table, defect_table(bad))
    first = "; ".join(f"{defect['path']}: {defect['reason']}" for defect in bad[:SHOWN_GAPS])
    raise Refusal(
        f"{len(bad):,} files cannot be read; {most:,} may be. All are listed in {table}. The first: {first}.",
        fix=f"Fetch them again, or leave them out with: --max-bad {len(bad)}. The work on the others is kept.",
        exit_code=Exit.BAD_DATA,
    )


def _refuse_if_empty(split: Split, notes: Sequence[Note]) -> None:
    if not any(note.shard.images for note in notes):
        reason = next((f" The first: {note.defects[0]['reason']}." for note in notes if note.defects), "")
        raise Refusal(
            f"None of the {len(split.photos):,} files of {split.name} can be read.{reason}",
            fix="Check that the source holds images.",
            exit_code=Exit.BAD_DATA,
        )


def _listing(source: Source, split: Split, form: Form) -> str:
    """A digest of what would be prepared and how: paths, sizes, labels, classes, rule, encoding."""
    how = [source.dataset, split.name, source.classes, rule(form.side_px, form.square), form.encoding]
    digest = hashlib.sha256(json.dumps(how).encode())
    for photo in split.photos:
        digest.update(f"{photo.path}\0{photo.place.size()}\0{photo.label}\n".encode())
    return digest.hexdigest()
