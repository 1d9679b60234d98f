"""Where the labels of ILSVRC's validation and test photos come from, and how many photos there should be.

Every table is matched by the names of the photos, or by the numbers in them, and never by their place.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alexrepro.data.sources.devkit import ClassTable, Year, truth, truth_file, wrong
from alexrepro.data.sources.folders import ILSVRC_CLASSES
from alexrepro.data.sources.ilsvrc_files import Part, class_above
from alexrepro.data.sources.ilsvrc_splits import COUNTS_2012, NUMBERED, Found
from alexrepro.data.sources.kaggle import TRUTH, val_labels
from alexrepro.data.sources.source import File, Split
from alexrepro.data.sources.tables import labels_in, text_rows
from alexrepro.files import read_text
from alexrepro.progress import say

COUNTS: Mapping[Year, Mapping[str, int]] = {"2012": COUNTS_2012, "2010": {"val": 50_000, "test": 150_000}}  # §2
FLATTEN = "Move the photos out of the class folders, or each into the folder of its class."
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
CAFFE = "val.txt"
CAFFE_PLACES = (CAFFE, f"caffe_ilsvrc12/{CAFFE}")


@dataclass(frozen=True)
class Truth:
    """What says the labels of a source: its devkit, Kaggle's table, Caffe's val.txt, or names and folders with WNIDs.

    images: the folder that the photos are in.
    """

    path: Path
    images: Path
    year: Year
    table: ClassTable | None
    label_of: dict[str, int]

    def ids(self, split: str) -> list[int] | None:
        """The devkit's ids of a split, the first that of the photo with the number 1; None where there are none."""
        if self.table is None:
            return None
        return truth(self.path, truth_file(self.year, split), classes=len(self.table.wnids))

    def labels(self, split: str, part: Part) -> list[int] | None:
        """The label of each photo, or None where nothing says it; then says what would.

        Raises UserError for photos that a table lacks, or that lie in folders of other classes than it says.
        """
        names = [name for name, _ in part.numbered]
        labels = self._in_tables(split, names)
        wnids = [class_above(place.path, self.images) if isinstance(place, File) else "" for _, place in part.numbered]
        by_folder = [self.label_of.get(wnid) for wnid in wnids]
        sure = [place for place, wnid in enumerate(wnids) if wnid]
        if any(by_folder[place] is None or (labels and labels[place] != by_folder[place]) for place in sure):
            raise wrong(part.read[0], "has photos in folders of other classes than their labels say", fix=FLATTEN)
        if labels is None and sure:
            if len(sure) < len(names):
                raise wrong(
                    part.read[0], f"has {len(sure):,} of its {len(names):,} photos in class folders", fix=FLATTEN
                )
            labels = [label for label in by_folder if label is not None]
        if labels is None and (split == "val" or self.year == "2010"):
            say(f"The {len(names):,} photos of {split} have no labels. {self._advice(split)}")
        return labels

    def gaps(self, training: dict[str, Found], splits: Sequence[Split]) -> Iterator[str]:
        """Classes and splits of which there are not as many photos as the devkit or the release counts.

        Test photos of 2012, whose labels were never published, may be missing as a whole, and so may training photos.
        """
        assert self.table is not None
        for wnid, count in zip(self.table.wnids, self.table.train_counts, strict=True) if training else ():
            if len(training[wnid]) != count:
                yield f"{wnid} has {len(training[wnid]):,} of {count:,} training photos"
        counts = {split.name: len(split.photos) for split in splits}
        for name in ("val", "test"):
            if name not in counts and (not training or (name, self.year) == ("test", "2012")):
                continue
            ids = self.ids(name)
            known = COUNTS[self.year][name] if len(self.label_of) == ILSVRC_CLASSES else counts.get(name, 0)
            known = len(ids) if ids is not None else known
            if counts.get(name, 0) != known:
                yield f"{counts.get(name, 0):,} of {known:,} {name} photos"

    def _in_tables(self, split: str, names: Sequence[str]) -> list[int] | None:
        numbered = [match for match in map(NUMBERED.fullmatch, names) if match]
        if len(numbered) < len(names):
            return None  # they have other names, and lie in class folders
        ids = self.ids(split)
        if ids is not None and self.table is not None:
            numbers = [int(match[2]) for match in numbered]
            if not all(1 <= number <= len(ids) for number in numbers):
                raise wrong(self.path, f"has {split} photos with numbers up to {max(numbers):,}, but "
                                       f"{truth_file(self.year, split)} has {len(ids):,} lines")  # fmt: skip
            return [self.label_of[self.table.wnids[ids[number - 1] - 1]] for number in numbers]
        if split == "val" and (self.path / TRUTH).is_file():
            return val_labels(read_text(self.path / TRUTH), names, self.label_of, self.path / TRUTH)
        caffe = next((self.path / name for name in CAFFE_PLACES if (self.path / name).is_file()), None)
        if split == "val" and self.year == "2012" and caffe:
            return labels_in(text_rows(read_text(caffe), caffe), names, self.label_of, caffe)
        if all(match[3] in self.label_of for match in numbered):
            return [self.label_of[match[3]] for match in numbered]
        return None

    def _advice(self, split: str) -> str:
        if self.year == "2010":
            return f"Put {truth_file(self.year, split)} into {self.path} to give them labels."
        for folder in self.path.resolve().parents[:3]:
            if (folder / TRUTH).is_file():
                return f"{TRUTH} gives them labels; it lies in {folder}, so prepare that folder instead."
        return f"Put {DEVKIT} or {TRUTH} into {self.path} to give them labels."
