"""From a source to stores: every split's shards, their exact statistics, and the manifest last (§2).

Work is kept by shard, so that an interrupted preparation continues, and the result is the same bytes for any number
of processes.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from alexrepro.data.sources import recognize
from alexrepro.data.sources.cifar import fetch
from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.sources.source import Source, Split, in_utf8
from alexrepro.data.store.disk_space import refuse_if_too_full
from alexrepro.data.store.finalize import defect_table, finish, write_manifest
from alexrepro.data.store.manifest import LEFT_OUT, Encoding, Form, read_manifest
from alexrepro.data.store.resize import description
from alexrepro.data.store.shard_writer import Job, Note, make_shards, read_note
from alexrepro.data.store.skipped import account_for
from alexrepro.data.store.store import Store, find_stores
from alexrepro.errors import Exit, UserError
from alexrepro.files import make_folder, writable, write_text
from alexrepro.locks import locked, waiting_for
from alexrepro.paper.training import STORED_PX, ResizeRule
from alexrepro.processors import usable_processors
from alexrepro.progress import first_few, progress, say

SHARD_IMAGES = 1024  # as many as a batch file of 2012 held (convdata_jpeg.py)
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
    resize: ResizeRule = "crop",
    workers: int | None = None,
    max_bad: int = 0,
    allow_partial: bool = False,
    layout: str | None = None,
) -> dict[str, Store]:
    """Write one store per split of a source below `out` and return them by split name.

    source: a folder or file whose layout is recognized or named, or the word "miniature" or "cifar10". side_px: a
    multiple of 32; 256 (§2), or 32 for CIFAR-10 as it is. encoding: JPEG, or raw for such small images. At most
    `max_bad` unreadable files are left out and listed; a split that is already there is not made again. Raises
    UserError
    if more files are unreadable, if nothing in a split can be read, if the disk is too full, or if photos are missing
    or would be left out and a part is not allowed. The work is kept then, and a second call goes on from it.
    """
    if str(source) in MADE_OR_FETCHED and not Path(source).exists():
        make, folder = MADE_OR_FETCHED[str(source)]
        source = out / folder
        with locked(out / f".{folder}.lock", busy=waiting_for(f"prepare {folder}")):
            make(source)
    found = in_utf8(recognize(Path(source), layout=layout))
    account_for(found, Path(source), out=out, allow_partial=allow_partial)
    if found.gaps and not allow_partial:
        raise _incomplete(Path(source), found.gaps)
    for split in found.splits:
        if not split.images:
            raise UserError(
                f"{source} has no photo for {split.name}.", fix="Check that it holds images.", exit_code=Exit.BAD_DATA
            )
    form = _form(found, encoding, side_px, resize)
    with ExitStack() as locks:
        works = _works(found, out=out, form=form, locks=locks)
        refuse_if_too_full(out, [job for work in works for job in work.waiting], form)
        for work in works:
            work.run(workers or usable_processors())
        _refuse_if_bad(works, max(max_bad, found.known_bad), table=out / UNREADABLE)
        name = writable(Path(source).resolve().name)
        return {work.split.name: work.finish(found, out=out, name=name) for work in works}


def _works(source: Source, *, out: Path, form: Form, locks: ExitStack) -> list["_Work"]:
    """What is to do for each split, while other processes are kept from those that are not prepared yet."""
    listings = [_listing(source, split, form) for split in source.splits]
    names = [f"{source.dataset}-{split.name}" for split in source.splits]
    folders = [out / f".preparing-{name}-{listing[:12]}" for name, listing in zip(names, listings, strict=True)]
    stores = _prepared(out)
    if not stores.keys() >= set(listings):  # a finished store needs no lock, and its disk may be read-only
        for name, listing, folder in zip(names, listings, folders, strict=True):
            if listing not in stores:
                locks.enter_context(locked(out / f"{folder.name}.lock", busy=waiting_for(f"prepare {name}")))
        stores = _prepared(out)  # another process may have made them meanwhile
    works = []
    for split, name, listing, folder in zip(source.splits, names, listings, folders, strict=True):
        store = stores.get(listing)
        if store is not None:
            say(f"{store.path} is already prepared from these files.")
        jobs = () if store else _jobs(source, split, folder, form)
        works.append(_Work(split, listing, folder, jobs, f"prepare {name}", store))
    return works


def _prepared(out: Path) -> dict[str, Store]:
    """The stores that are there, by the listing of their source; the newest of each."""
    return {store.manifest.listing: store for store in reversed(find_stores(out))}


def _jobs(source: Source, split: Split, folder: Path, form: Form) -> list[Job]:
    return [
        Job(number, split.images[first : first + SHARD_IMAGES], source.classes, folder, form,
            needs_moments=split.name == "train")
        for number, first in enumerate(range(0, len(split.images), SHARD_IMAGES))
    ]  # fmt: skip


@dataclass(frozen=True)
class _Work:
    """A split on its way to a store: the folder where its shards are made, or the store if it is already there."""

    split: Split
    listing: str
    folder: Path
    jobs: Sequence[Job]
    title: str
    store: Store | None

    @cached_property
    def is_written(self) -> bool:
        """Whether nothing is left but to give the folder its name."""
        with suppress(UserError):
            return self.store is not None or bool(read_manifest(self.folder))
        return False

    @cached_property
    def waiting(self) -> Sequence[Job]:
        """The shards that are to be made at the start: unfinished, or with photos that the system could not read."""
        if self.is_written:
            return ()
        notes = [read_note(job) for job in self.jobs]
        return [job for job, note in zip(self.jobs, notes, strict=True) if note is None or note.unreached]

    def run(self, processes: int) -> None:
        """Make the shards that are not there yet."""
        if self.is_written:
            return
        total = len(self.split.images)
        done = total - sum(len(job.photos) for job in self.waiting)
        if done:
            say(f"{self.title}: continuing after {done:,} of {total:,} images.")
        make_folder(self.folder)
        with (
            progress(self.title, total=total, done=done) as advance,
            closing(make_shards(self.waiting, processes=min(processes, len(self.waiting)))) as made,
        ):
            for job in made:
                advance(len(job.photos), "")
        _refuse_if_empty(self.split, self.notes())

    def notes(self) -> list[Note]:
        """What is known of the finished shards."""
        return [note for job in self.jobs if (note := read_note(job)) is not None]

    def finish(self, source: Source, *, out: Path, name: str) -> Store:
        """Write the manifest, last of all, and give the folder its name."""
        if self.store is not None:
            return self.store
        if not self.is_written:
            write_manifest(source, self.split, jobs=self.jobs, notes=self.notes(), name=name, listing=self.listing)
        return finish(self.folder, out)


def _form(source: Source, encoding: Encoding | None, side_px: int | None, resize: ResizeRule) -> Form:
    side_px = source.side_px if side_px is None else side_px
    if not 0 < side_px <= STORED_PX or side_px % SIDE_STEP:
        raise UserError(
            f"A side of {side_px} px cannot be stored.", fix=f"Choose a multiple of {SIDE_STEP} up to {STORED_PX}.",
            exit_code=Exit.USAGE,
        )  # fmt: skip
    return Form(encoding or ("raw" if side_px <= SMALL_PX else "jpeg"), side_px, resize)


def _incomplete(path: Path, gaps: Sequence[str]) -> UserError:
    return UserError(
        f"{path} is not complete: {first_few(gaps, SHOWN_GAPS, between='; ')}.",
        fix="Fetch what is missing, or prepare what is there with: --allow-partial.",
        exit_code=Exit.BAD_DATA,
    )


def _refuse_if_bad(works: Sequence[_Work], most: int, *, table: Path) -> None:
    """After every file was tried, so that all bad ones are known at once; the finished shards stay."""
    if all(work.store is not None for work in works):  # perhaps on a disk that is read-only
        return
    table.unlink(missing_ok=True)
    bad = [defect for work in works for note in work.notes() for defect in note.defects if defect["action"] == LEFT_OUT]
    if len(bad) <= most:
        return
    write_text(table, defect_table(bad))
    first = "; ".join(f"{defect['path']}: {defect['reason']}" for defect in bad[:SHOWN_GAPS])
    raise UserError(
        f"{len(bad):,} files cannot be read; {most:,} may be. All are listed in {table}. The first: {first}.",
        fix=f"Fetch them again, or leave them out with: --max-bad {len(bad)}; that continues the work on the others.",
        exit_code=Exit.BAD_DATA,
    )


def _refuse_if_empty(split: Split, notes: Sequence[Note]) -> None:
    if not any(note.shard.images for note in notes):
        reason = next((f" The first: {note.defects[0]['reason']}." for note in notes if note.defects), "")
        raise UserError(
            f"None of the {len(split.images):,} files of {split.name} can be read.{reason}",
            fix="Check that the source holds images.",
            exit_code=Exit.BAD_DATA,
        )


def _listing(source: Source, split: Split, form: Form) -> str:
    """A digest of what would be prepared and how: paths, sizes, labels, classes, rule, encoding."""
    how = [source.dataset, split.name, source.classes, description(form.side_px, form.resize), form.encoding]
    digest = hashlib.sha256(json.dumps(how).encode())
    for photo in split.images:
        digest.update(f"{photo.path}\0{photo.size()}\0{photo.label}\n".encode())
    return digest.hexdigest()
