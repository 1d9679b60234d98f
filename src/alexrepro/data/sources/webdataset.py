"""Tars of samples: WebDataset shards (timm/imagenet-1k-wds) and the older archives of imagenet-1k at Hugging Face.

In a shard the files of one stem are one sample, with an image and `.cls`. Shards are named by split and number, such as
imagenet1k-train-0000.tar, train-000000.tar or train/000000.tar, and may be counted in _info.json. In the older
train_images_0.tar, val_images.tar and test_images.tar each image is a sample, and its name ends in its WNID.
"""

import json
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from alexrepro.data.sources.archives import archive
from alexrepro.data.sources.images import Images, Packed, without_training
from alexrepro.data.sources.labels import dataset_of, words_of
from alexrepro.data.sources.source import (
    MOST_CLASSES,
    UNLABELED,
    Location,
    Source,
    Split,
    bad_data,
    escaped,
    missing_files,
    refuse_missing_labels,
)
from alexrepro.data.sources.walk import ORDER, SPLITS, Listing, is_image, listing, split_files, wnid_in

SHARD = re.compile(
    r"(?:(?P<dataset>.+?)[-_])?(?P<split>(?!of-)[a-z]+)[-_](?P<number>\d+)(?:-of-\d+)?\.tar", re.IGNORECASE
)
NUMBER_ONLY = re.compile(r"(?:.*[-_])?\d+(?:-of-\d+)?\.tar")  # of a shard in a folder named after a split
HUB = re.compile(r"(train|val|test)_images(_\d+)?\.tar")
INFO = "_info.json"
MOST_LABEL_BYTES = 32  # a decimal number
Tars = dict[str, list[Path]]  # by split, in order


def fits(path: Path) -> bool:
    """Whether tars named after a split lie where they are looked for, even if they are compressed."""
    return bool(_tars(path, _shard_split) or _tars(path, _hub_split))


def read(path: Path) -> Source:
    """The samples of every tar.

    Raises UserError for compressed tars, for a sample without label or image, and for a wrong _info.json.
    """
    shards = _tars(path, _shard_split)
    with listing(path) as found:
        return _read_shards(path, shards, found) if shards else _read_hub(path, _tars(path, _hub_split), found)


def _tars(path: Path, split_of: Callable[[Path], str | None]) -> Tars:
    """The tars in the folder, in its folder `data`, and in folders below them that are named after splits.

    One that is compressed, too, unless it is there unpacked; reading refuses it.
    """
    found: Tars = {}
    for file in split_files(path, ("", "data")):
        tar = file.with_suffix("") if file.suffix == ".gz" else file
        if (split := split_of(tar)) and (tar == file or not tar.is_file()):
            found.setdefault(split, []).append(file)
    return {split: found[split] for split in ORDER if split in found}


def _shard_split(file: Path) -> str | None:
    """The split of a shard by its name or else by its folder; None if it is not named like a shard."""
    if (named := SHARD.fullmatch(file.name)) and named["split"].lower() in SPLITS:
        return SPLITS[named["split"].lower()]
    return SPLITS.get(file.parent.name.lower()) if NUMBER_ONLY.fullmatch(file.name) else None


def _hub_split(file: Path) -> str | None:
    return named[1] if (named := HUB.fullmatch(file.name)) else None


def _read_shards(path: Path, shards: Tars, found: Listing) -> Source:
    files = [file for tars in shards.values() for file in tars]
    named = {match["dataset"] for file in files if (match := SHARD.fullmatch(file.name))}
    if len(named) > 1:
        sets = ", ".join(sorted(name or "train, val" for name in named))
        raise bad_data(f"{path} holds shards of several data sets: {sets}.", "Put each into a folder of its own.")
    samples = {file: _part(file, found) for file in files}
    splits = []
    for split, tars in shards.items():
        images = Images(samples[file] for file in tars)
        missing = (
            [Path(image.path) for image in images if image.label == UNLABELED] if UNLABELED in images.labels else []
        )
        refuse_missing_labels(split, [f"sample {at.stem} of {at.parent}" for at in missing], images=len(images))
        splits.append(Split(split, images, labeled=not missing))
    largest = max((label for split in splits for label in split.images.labels), default=UNLABELED)
    if largest == UNLABELED:
        raise bad_data(f"{files[0]} and the other shards hold no sample with a label.")
    classes = tuple(f"class-{number:04d}" for number in range(largest + 1))
    info = files[0].with_name(INFO)
    found.read.add(info)
    counts = {file.name: len(images) for file, (_, images, _) in samples.items()}
    gaps = (*(_gaps(info, counts) if info.is_file() else missing_files(files)), *without_training(classes, splits))
    dataset = next(iter(named), None)
    return Source(dataset.lower() if dataset else dataset_of(path, classes, splits), classes, classes, tuple(splits),
                  gaps=gaps, skipped=found.all_skipped())  # fmt: skip


def _gaps(info: Path, counts: dict[str, int]) -> Iterator[str]:
    """Shards with more or fewer samples than _info.json counts, in every split that has some."""
    try:
        splits = json.loads(info.read_text(encoding="utf-8"))["splits"].values()
        known = [dict(zip(split["filenames"], split["shard_lengths"], strict=True)) for split in splits]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise bad_data(f"{info} does not list the shards: {error}.") from None
    for lengths in known:
        if not counts.keys().isdisjoint(lengths):
            for name, length in lengths.items():
                if counts.get(name, 0) != length:
                    yield f"{name} has {counts.get(name, 0):,} of {length:,} samples"


def _part(shard: Path, found: Listing) -> tuple[str, Packed, Sequence[int]]:
    """The samples of a shard, as `Images` takes them."""
    labels = array("i")

    def rows() -> Iterator[tuple[str, Location]]:
        for name, location, label in _samples(shard, found):
            labels.append(label)
            yield name, location

    return f"{shard.name}/", Packed(rows()), labels


def _samples(shard: Path, found: Listing) -> Iterator[tuple[str, Location, int]]:
    """The samples of a shard in its order; each is complete when another stem or the same suffix comes."""
    key, parts = "", dict[str, Location]()
    for path, location in found.members(archive(shard)):
        folder, _, name = path.rpartition("/")
        first, _, suffix = name.partition(".")
        if not suffix:
            found.skip(shard, "not part of a sample, because it has no suffix", within=path)
            continue
        if parts and (key != f"{folder}/{first}" or suffix.lower() in parts):
            yield _sample(shard, key, parts)
            found.count()
            parts = {}
        key = f"{folder}/{first}"
        parts[suffix.lower()] = location
    if parts:
        yield _sample(shard, key, parts)


def _sample(shard: Path, key: str, parts: dict[str, Location]) -> tuple[str, Location, int]:
    """A sample's image and label, which is -1 if it has no `.cls` or a negative number there."""
    images = [suffix for suffix in parts if is_image(f"x.{suffix}")]
    label = parts["cls"].read() if "cls" in parts and parts["cls"].size() <= MOST_LABEL_BYTES else b""
    is_number = bool(re.fullmatch(rb"-?\d+", label.strip())) and int(label) < MOST_CLASSES
    stem = key.rpartition("/")[2]
    if len(images) != 1 or ("cls" in parts and not is_number):
        held = escaped(f"{stem} has {', '.join(sorted(parts))}")
        raise bad_data(
            f"{shard}: the sample {held}; it needs one image and a number below {MOST_CLASSES:,} in .cls.",
            "Check that the shard is whole and meant for classification.",
        )
    known = max(int(label), UNLABELED) if is_number else UNLABELED
    return f"{stem}.{images[0]}", parts[images[0]], known


def _read_hub(path: Path, tars: Tars, found: Listing) -> Source:
    images = {file: found.tar(archive(file)) for files in tars.values() for file in files}
    wnids = tuple(sorted({wnid for items in images.values() for name, _ in items if (wnid := wnid_in(name))}))
    label_of: dict[str | None, int] = {wnid: label for label, wnid in enumerate(wnids)} | {None: UNLABELED}
    of_split = {
        split: Images(
            (f"{file.name}/", images[file], array("i", [label_of[wnid_in(name)] for name, _ in images[file]]))
            for file in files
        )
        for split, files in tars.items()
    }
    splits = tuple(Split(split, items, labeled=UNLABELED not in items.labels) for split, items in of_split.items())
    if not all(split.labeled for split in splits if split.name != "test"):
        raise bad_data(f"{path} has images for training or validation whose names do not end in a WNID.")
    gaps = missing_files([file for files in tars.values() for file in files])
    return Source(dataset_of(path, wnids, splits), wnids, words_of(wnids), splits, gaps=tuple(gaps),
                  skipped=found.all_skipped())  # fmt: skip
