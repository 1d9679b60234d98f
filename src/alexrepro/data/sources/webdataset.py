"""Tars of samples: WebDataset shards (timm/imagenet-1k-wds) and the older archives of imagenet-1k at Hugging Face.

In a shard files of one stem are one sample, with a picture and `.cls`. Shards are named by split and number, such as
imagenet1k-train-0000.tar, train-000000.tar or train/000000.tar, and may be counted in _info.json. In the older
train_images_0.tar, val_images.tar and test_images.tar each photo is a sample, and its name ends in its WNID.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from alexrepro.data.sources.beside import beside
from alexrepro.data.sources.devkit import wrong
from alexrepro.data.sources.folders import ENDS_IN_WNID, SPLITS, dataset_of, is_photo, sorted_names, spoken, words_of
from alexrepro.data.sources.labels import refuse_missing, without_training
from alexrepro.data.sources.packed import compressed
from alexrepro.data.sources.sequences import missing_files
from alexrepro.data.sources.source import MOST_CLASSES, UNLABELED, Photo, Place, Source, Split
from alexrepro.data.sources.tar_images import Listing, listing
from alexrepro.errors import Exit, UserError

SHARD = re.compile(
    r"(?:(?P<dataset>.+?)[-_])?(?P<split>(?!of-)[a-z]+)[-_](?P<number>\d+)(?:-of-\d+)?\.tar", re.IGNORECASE
)
NUMBER_ONLY = re.compile(r"(?:.*[-_])?\d+(?:-of-\d+)?\.tar")  # of a shard in a folder named after a split
PHOTOS = re.compile(r"(?P<split>train|val|test)_images(_\d+)?\.tar")
INFO = "_info.json"
MOST_LABEL_BYTES = 32  # a decimal number
Tars = dict[str, list[Path]]  # by split, in order


def fits(path: Path) -> bool:
    """Whether tars named after a split lie where they are looked for, also if they are compressed."""
    return bool(_tars(path, shards=True) or _tars(path, shards=False) or _compressed(path))


def read(path: Path) -> Source:
    """The samples of every tar.

    Raises UserError for compressed tars, for a sample without label or picture, and for an _info.json that is none.
    """
    if packed := _compressed(path):
        raise compressed(packed[0], others=len(packed) - 1)
    shards = _tars(path, shards=True)
    with listing(str(path)) as found:
        return _read_shards(path, shards, found) if shards else _read_photos(path, _tars(path, shards=False), found)


def _places(path: Path) -> Iterator[Path]:
    """The files in the folder, in its folder `data`, and in folders below them that are named after splits."""
    for top in (path, path / "data"):
        for name in sorted_names(top) if top.is_dir() else []:
            yield top / name
            if name.lower() in SPLITS and (top / name).is_dir():
                yield from (top / name / inner for inner in sorted_names(top / name))


def _compressed(path: Path) -> list[Path]:
    """The compressed tars that do not lie there unpacked, too."""
    packed = [(file, file.with_name(file.name.removesuffix(".gz"))) for file in _places(path) if file.suffix == ".gz"]
    named = [(file, tar) for file, tar in packed if _shard_split(tar) or PHOTOS.fullmatch(tar.name)]
    return [file for file, tar in named if not tar.is_file()]


def _tars(path: Path, *, shards: bool) -> Tars:
    found: Tars = {}
    for file in _places(path):
        named = PHOTOS.fullmatch(file.name)
        if split := _shard_split(file) if shards else named and named["split"]:
            found.setdefault(split, []).append(file)
    return {split: found[split] for split in ("train", "val", "test") if split in found}


def _shard_split(file: Path) -> str | None:
    """The split of a shard by its name or else by its folder; None if it is not named like a shard."""
    if (named := SHARD.fullmatch(file.name)) and named["split"].lower() in SPLITS:
        return SPLITS[named["split"].lower()]
    return SPLITS.get(file.parent.name.lower()) if NUMBER_ONLY.fullmatch(file.name) else None


def _read_shards(path: Path, shards: Tars, found: Listing) -> Source:
    files = [file for tars in shards.values() for file in tars]
    named = {match["dataset"] for file in files if (match := SHARD.fullmatch(file.name))}
    if len(named) > 1:
        sets = ", ".join(sorted(name or "train, val" for name in named))
        raise UserError(f"{path} holds shards of several data sets: {sets}.",
                      fix="Put each into a folder of its own.", exit_code=Exit.BAD_DATA)  # fmt: skip
    samples = {file: list(_samples(file, found)) for file in files}
    splits = []
    for split, tars in shards.items():
        photos = [photo for file in tars for photo in samples[file]]
        missing = [photo.path for photo in photos if photo.label == UNLABELED]
        refuse_missing(
            split, [f"sample {Path(name).stem} of {Path(name).parent}" for name in missing], photos=len(photos)
        )
        splits.append(Split(split, photos, labeled=not missing))
    largest = max((photo.label for split in splits for photo in split.photos), default=UNLABELED)
    if largest == UNLABELED:
        raise wrong(files[0], "and the other shards hold no sample with a label")
    classes = tuple(f"class-{number:04d}" for number in range(largest + 1))
    info = files[0].with_name(INFO)
    counts = {file.name: len(photos) for file, photos in samples.items()}
    gaps = (*(_gaps(info, counts) if info.is_file() else missing_files(files)), *without_training(classes, splits))
    dataset = next(iter(named), None)
    skipped = tuple(beside(path, {*files, info}))
    return Source(dataset.lower() if dataset else dataset_of(path, classes, splits), classes, classes,
                  tuple(splits), gaps=gaps, skipped=skipped)  # fmt: skip


def _gaps(info: Path, counts: dict[str, int]) -> Iterator[str]:
    """Shards with more or fewer samples than _info.json says, in every split of which there are any."""
    try:
        splits = json.loads(info.read_text(encoding="utf-8"))["splits"].values()
        known = [dict(zip(split["filenames"], split["shard_lengths"], strict=True)) for split in splits]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise wrong(info, f"does not list the shards: {error}") from None
    for lengths in known:
        if not counts.keys().isdisjoint(lengths):
            for name, length in lengths.items():
                if counts.get(name, 0) != length:
                    yield f"{name} has {counts.get(name, 0):,} of {length:,} samples"


def _samples(shard: Path, found: Listing) -> Iterator[Photo]:
    """The samples of a shard in its order; each is complete when another stem or the same suffix comes."""
    stem, parts = "", dict[str, Place]()
    for path, place in found.files(shard):
        folder, _, name = path.rpartition("/")
        first, _, suffix = name.partition(".")
        if not suffix:
            found.skip(path, "not part of a sample, as it has no suffix")
            continue
        key = f"{folder}/{first}"
        if parts and (key != stem or suffix.lower() in parts):
            yield _sample(shard, stem, parts)
            found.count()
            parts = {}
        stem = key
        parts[suffix.lower()] = place
    if parts:
        yield _sample(shard, stem, parts)


def _sample(shard: Path, key: str, parts: dict[str, Place]) -> Photo:
    """A sample; its label is -1 where it has no `.cls` or a negative number there."""
    pictures = [suffix for suffix in parts if is_photo(f"x.{suffix}")]
    label = parts["cls"].read() if "cls" in parts and parts["cls"].size() <= MOST_LABEL_BYTES else b""
    is_number = bool(re.fullmatch(rb"-?\d+", label.strip())) and int(label) < MOST_CLASSES
    stem = key.rpartition("/")[2]
    if len(pictures) != 1 or ("cls" in parts and not is_number):
        said = spoken(Path(f"{stem} has {', '.join(sorted(parts))}"))
        raise UserError(
            f"{shard}: the sample {said}; it needs one picture and a number below {MOST_CLASSES:,} in .cls.",
            fix="Check that the shard is whole and meant for classification.",
            exit_code=Exit.BAD_DATA,
        )
    known = max(int(label), UNLABELED) if is_number else UNLABELED
    return Photo(f"{shard.name}/{spoken(Path(stem))}.{pictures[0]}", known, parts[pictures[0]])


def _read_photos(path: Path, tars: Tars, listed: Listing) -> Source:
    found = {
        split: [(file, name, place) for file in files for name, place in listed.photos(file)]
        for split, files in tars.items()
    }
    endings = {name: ENDS_IN_WNID.fullmatch(name) for photos in found.values() for _, name, _ in photos}
    wnids = tuple(sorted({ending[1] for ending in endings.values() if ending}))
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    labels = {name: label_of[ending[1]] if ending else UNLABELED for name, ending in endings.items()}
    if UNLABELED in (labels[name] for split in ("train", "val") for _, name, _ in found.get(split, [])):
        raise wrong(path, "has photos for training or validation whose names do not end in a WNID")
    splits = tuple(
        Split(split, [Photo(f"{file.name}/{name}", labels[name], place) for file, name, place in photos],
              labeled=all(labels[name] >= 0 for _, name, _ in photos))
        for split, photos in found.items()
    )  # fmt: skip
    read = [file for files in tars.values() for file in files]
    skipped = tuple(beside(path, set(read)))
    gaps = tuple(missing_files(read))
    return Source(dataset_of(path, wnids, splits), wnids, words_of(wnids), splits, gaps=gaps, skipped=skipped)
