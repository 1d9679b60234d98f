"""One split on its way to a store: its shards, then statistics, defects and manifest, then the folder's name (§2)."""

import hashlib
import io
import json
import runpy
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from alexrepro.data.sources.source import UNLABELED, ImageFile, Source, Split
from alexrepro.data.store import manifest as files
from alexrepro.data.store.decode import codec_versions
from alexrepro.data.store.manifest import Form, Manifest, read_manifest, sha256_of
from alexrepro.data.store.resize import description
from alexrepro.data.store.shards import Job, make_shards, read_summary
from alexrepro.data.store.statistics import Moments
from alexrepro.data.store.store import Store
from alexrepro.data.store.torch_kernel import torch_folder
from alexrepro.errors import Exit, UserError
from alexrepro.files import csv_text, make_folder, sync, write_bytes, write_text
from alexrepro.progress import progress, say

SHARD_IMAGES = 1024  # as many as a batch file of 2012 held (convdata_jpeg.py)


@dataclass
class Preparation:
    """A split on its way to a store: the folder where its shards are made, or the store if it is already there.

    unlabeled: the store of the same images without labels, which the store replaces.
    """

    source: Source
    split: Split
    form: Form
    out: Path
    name: str  # of the source, for the manifest
    store: Store | None = None
    unlabeled: Store | None = None

    @property
    def listing(self) -> str:
        """A digest of what is prepared and how: paths, sizes, labels, classes, rule, encoding."""
        return self._listings[0]

    @cached_property
    def _listings(self) -> tuple[str, str]:
        """The listing, and that of the same images without labels."""
        rule = description(self.form.side_px, self.form.resize)
        how = [self.source.dataset, self.split.name, self.source.classes, rule, self.form.encoding]
        known = hashlib.sha256(json.dumps(how).encode())
        unknown = known.copy()
        for image in self.split.images:
            file = f"{image.path}\0{image.size()}\0"
            known.update(f"{file}{image.label}\n".encode())
            unknown.update(f"{file}{UNLABELED}\n".encode())
        return known.hexdigest(), unknown.hexdigest()

    @property
    def title(self) -> str:
        """What people are shown of this work."""
        return f"prepare {self.source.dataset}-{self.split.name}"

    @property
    def folder(self) -> Path:
        """Where the shards are made."""
        return self.out / f".preparing-{self.source.dataset}-{self.split.name}-{self.listing[:12]}"

    @cached_property
    def jobs(self) -> list[Job]:
        """The shards of the split."""
        count, is_train = len(self.split.images), self.split.name == "train"
        return [
            Job(number, min(count - first, SHARD_IMAGES), self.folder, self.form, is_train, self.unlabeled)
            for number, first in enumerate(range(0, count, SHARD_IMAGES))
        ]

    def lacks(self, stores: Mapping[str, Store]) -> bool:
        """Whether none of the stores, by their listings, is that of this work with all that the source knows."""
        found = stores.get(self.listing)
        return found is None or self._described(found.manifest) != found.manifest

    def find(self, stores: Mapping[str, Store]) -> None:
        """Take the store of this work if it is among these; its manifest gets names and ids that the source has now."""
        self.store, (known, unknown) = stores.get(self.listing), self._listings
        self.unlabeled = stores.get(unknown) if known != unknown else None
        if self.store is None:
            return
        path, manifest = self.store.path, self._described(self.store.manifest)
        if manifest == self.store.manifest:
            say(f"{path} is already prepared from these files.")
            return
        write_text(path / files.MANIFEST, manifest.text())
        self.store = Store(path, manifest)
        say(f"{path} is already prepared from these files; names and ids of its classes were added.")

    def _described(self, manifest: Manifest) -> Manifest:
        """A manifest with the names and ids of the classes, where the source has them."""
        source = self.source
        names = manifest.class_names if source.class_names == source.classes else source.class_names
        return replace(manifest, class_names=names, ilsvrc_ids=source.ilsvrc_ids or manifest.ilsvrc_ids)

    def images_of(self, job: Job) -> list[ImageFile]:
        """The images of a shard."""
        first = job.number * SHARD_IMAGES
        return self.split.images[first : first + job.images]

    @cached_property
    def manifest(self) -> Manifest | None:
        """The manifest, if nothing is left but to give the folder its name."""
        with suppress(UserError):
            return read_manifest(self.folder)
        return None

    @cached_property
    def waiting(self) -> Sequence[Job]:
        """The shards to make: unfinished, or with images that the system could not read."""
        if self.store or self.manifest:
            return ()
        return [job for job in self.jobs if (found := read_summary(job)) is None or found.unreached]

    def run(self, workers: int) -> None:
        """Make the shards that are not there yet."""
        if not self.waiting:
            return
        total = len(self.split.images)
        done = total - sum(job.images for job in self.waiting)
        if self.unlabeled:
            say(f"{self.title}: the images are those of {self.unlabeled.path}, which get their labels.")
        if done:
            say(f"{self.title}: continuing after {done:,} of {total:,} images.")
        make_folder(self.folder)
        with progress(self.title, total=total, done=done) as advance:
            workers = min(workers, len(self.waiting))
            for job in make_shards(self.waiting, self.images_of, self.source.classes, workers=workers):
                advance(job.images)

    @cached_property
    def finished(self) -> "Finished":
        """What the summaries of all finished shards hold; asked for when no shard is left to make."""
        found = Finished()
        for job in self.jobs:
            if summary := read_summary(job):
                found.shards += [summary.shard] * bool(summary.shard.images)
                found.defects += summary.defects
                found.labels.update(np.array(summary.labels, dtype="<i8").tobytes())
        return found

    def finish(self) -> Store:
        """Write the manifest, last of all; remove what only the work needed, and give the folder its name.

        Raises UserError if no image of the split could be read.
        """
        store = self.store or self._finished()
        with suppress(OSError):  # another process may have done it, or the disk is read-only
            if self.unlabeled:  # under another name first: a kill leaves no store in part
                self.unlabeled.path.rename(self.folder)
            shutil.rmtree(self.folder)
        return store

    def _finished(self) -> Store:
        manifest = self.manifest or self._write_manifest()
        kept = {shard.file for shard in manifest.shards}
        for path in self.folder.glob("shard-*"):
            if path.name not in kept:  # an Arrow file that is not kept has no image
                path.unlink()
        final = self.out / f"{manifest.full_name}-{manifest.digest[:6]}"
        if final.exists():
            say(f"{final} is already there with the same images.")
            return Store.open(final)
        self.folder.rename(final)
        sync(self.out)
        return Store(final, manifest)

    def _write_manifest(self) -> Manifest:
        source, split, form, found = self.source, self.split, self.form, self.finished
        if not found.shards:
            raise UserError(
                f"None of the {len(split.images):,} files of {split.name} can be read.",
                fix="Check that the source holds images.",
                exit_code=Exit.BAD_DATA,
            )
        statistics = self._statistics() if split.name == "train" else {}
        for file, content in statistics.items():
            write_bytes(self.folder / file, content)
        if found.defects:
            write_text(self.folder / files.DEFECTS, csv_text(found.defects))
        manifest = Manifest(
            dataset=source.dataset, split=split.name, images=sum(shard.images for shard in found.shards),
            classes=source.classes, class_names=source.class_names, ilsvrc_ids=source.ilsvrc_ids,
            labeled=split.labeled, rule=description(form.side_px, form.resize), source=self.name, listing=self.listing,
            libraries=self.unlabeled.manifest.libraries if self.unlabeled else
            {"torch": _torch_version(), **codec_versions()}, shards=tuple(found.shards),
            defects=tuple(found.defects), labels_sha256=found.labels.hexdigest(),
            sha256={file: sha256_of(content) for file, content in statistics.items()}, **asdict(form),
        )  # fmt: skip
        write_text(self.folder / files.MANIFEST, manifest.text())
        return manifest

    def _statistics(self) -> dict[str, bytes]:
        """The mean image and the color axes, as files."""
        moments = Moments.none(self.form.side_px)
        for job in self.jobs:
            moments.merge(Moments.load(job.file("moments.npz")))
        axes = {name: value.tolist() for name, value in asdict(moments.color_axes()).items()}
        mean = io.BytesIO()
        np.save(mean, moments.mean_image(), allow_pickle=False)
        return {files.MEAN: mean.getvalue(), files.COLOR_AXES: (json.dumps(axes, indent=1) + "\n").encode()}


@dataclass
class Finished:
    """The shards that have images, the odd or unreadable files, and the SHA-256 of the labels, of a whole split."""

    shards: list[files.Shard] = field(default_factory=list)
    defects: list[dict[str, str]] = field(default_factory=list)
    labels: "hashlib._Hash" = field(default_factory=hashlib.sha256)


def _torch_version() -> str:
    """As `torch.__version__`, from the file that it is read from there."""
    return str(runpy.run_path(str(torch_folder() / "version.py"))["__version__"])
