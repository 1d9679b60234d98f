"""Tars of samples: WebDataset shards (timm/imagenet-1k-wds) and the older archives of imagenet-1k at Hugging Face.

In a shard files of one stem are one sample, with a picture and `.cls`; shards are named by split, such as
imagenet1k-train-0000.tar, and counted in _info.json. In the older train_images_0.tar, val_images.tar and
test_images.tar each photo is a sample, and its name ends in its WNID. All are read where they lie.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from alexrepro.data.sources.archives import archive, members
from alexrepro.data.sources.devkit import wrong
from alexrepro.data.sources.folders import ENDS_IN_WNID, SPLITS, dataset_of, is_photo, sorted_names, spoken, words_of
from alexrepro.data.sources.source import MOST_CLASSES, UNLABELLED, Photo, Place, Source, Split
from alexrepro.errors import Exit, Refusal

SHARD = re.compile(r"(?P<dataset>.+?)[-_](?P<split>[a-z]+)[-_](?P<number>\d+)\.tar", re.IGNORECASE)
PHOTOS = re.compile(r"(?P<split>train|val|test)_images(_\d+)?\.tar")
INFO = "_info.json"
MOST_LABEL_BYTES = 32  # a decimal number
Tars = dict[str, list[Path]]  # by split, in order


def fits(path: Path) -> bool:
    """Whether tars named after a split lie in the folder or in its folder `data`, also if they are compressed."""
    return bool(_tars(path, SHARD) or _tars(path, PHOTOS) or _compressed(path))


def read(path: Path) -> Source:
    """The samples of every tar.

    Raises Refusal for compressed tars, for a sample without label or picture, and for an _info.json that is none.
    """
    if compressed := _compressed(path):
        raise Refusal(
            f"{compressed[0]} is compressed, so that no photo can be read without all before it.",
            fix=f"Unpack it to a plain tar: gunzip {compressed[0].name}; so all {len(compressed)} of them.",
            exit_code=Exit.BAD_DATA,
        )
    shards = _tars(path, SHARD)
    return _read_shards(shards) if shards else _read_photos(path, _tars(path, PHOTOS))


def _places(path: Path) -> list[Path]:
    return [folder / name for folder in (path, path / "data") if folder.is_dir() for name in sorted_names(folder)]


def _compressed(path: Path) -> list[Path]:
    """The compressed tars that do not lie there unpacked, too."""
    packed = [(file, file.name.removesuffix(".gz")) for file in _places(path) if file.suffix == ".gz"]
    named = [(file, name) for file, name in packed if _split_of(name, SHARD) or _split_of(name, PHOTOS)]
    return [file for file, name in named if not file.with_name(name).is_file()]


def _tars(path: Path, pattern: re.Pattern[str]) -> Tars:
    found: Tars = {}
    for file in _places(path):
        if split := _split_of(file.name, pattern):
            found.setdefault(split, []).append(file)
    return {split: found[split] for split in ("train", "val", "test") if split in found}


def _split_of(name: str, pattern: re.Pattern[str]) -> str | None:
    found = pattern.fullmatch(name)
    return SPLITS.get(found["split"].lower()) if found else None


def _read_shards(shards: Tars) -> Source:
    samples = {file.name: list(_samples(file)) for files in shards.values() for file in files}
    splits = tuple(
        Split(split, [photo for file in files for photo in samples[file.name]]) for split, files in shards.items()
    )
    largest = max((photo.label for split in splits for photo in split.photos), default=None)
    if largest is None:
        raise wrong(next(iter(shards.values()))[0], "and the other shards hold no sample")
    classes = tuple(f"class-{number:04d}" for number in range(largest + 1))
    first = next(iter(shards.values()))[0]
    named = SHARD.fullmatch(first.name)
    assert named is not None
    counts = {name: len(photos) for name, photos in samples.items()}
    gaps = tuple(_gaps(first.with_name(INFO), counts))
    return Source(named["dataset"].lower(), classes, classes, splits, gaps=gaps)


def _gaps(info: Path, counts: dict[str, int]) -> Iterator[str]:
    """Shards with more or fewer samples than _info.json says, in every split of which there are any."""
    if not info.is_file():
        return
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


def _samples(shard: Path) -> Iterator[Photo]:
    """The samples of a shard in its order; each is complete when another stem or the same suffix comes."""
    stem, parts = "", dict[str, Place]()
    for name, place in members(archive(shard)):
        first, _, suffix = name.partition(".")
        if parts and (first != stem or suffix.lower() in parts):
            yield _sample(shard, stem, parts)
            parts = {}
        stem = first
        parts[suffix.lower()] = place
    if parts:
        yield _sample(shard, stem, parts)


def _sample(shard: Path, stem: str, parts: dict[str, Place]) -> Photo:
    pictures = [suffix for suffix in parts if is_photo(f"x.{suffix}")]
    label = parts["cls"].read() if "cls" in parts and parts["cls"].size() <= MOST_LABEL_BYTES else b""
    is_number = label.strip().isdigit() and int(label) < MOST_CLASSES
    if len(pictures) != 1 or not is_number:
        said = spoken(Path(f"{stem} has {', '.join(sorted(parts))}"))
        raise Refusal(
            f"{shard}: the sample {said}; it needs one picture and a number below {MOST_CLASSES:,} in .cls.",
            fix="Check that the shard is whole and meant for classification.",
            exit_code=Exit.BAD_DATA,
        )
    return Photo(f"{shard.name}/{spoken(Path(stem))}.{pictures[0]}", int(label), parts[pictures[0]])


def _read_photos(path: Path, tars: Tars) -> Source:
    found = {
        split: [(file, name, place) for file in files for name, place in members(archive(file)) if is_photo(name)]
        for split, files in tars.items()
    }
    endings = {name: ENDS_IN_WNID.fullmatch(name) for photos in found.values() for _, name, _ in photos}
    wnids = tuple(sorted({ending[1] for ending in endings.values() if ending}))
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    labels = {name: label_of[ending[1]] if ending else UNLABELLED for name, ending in endings.items()}
    if UNLABELLED in (labels[name] for split in ("train", "val") for _, name, _ in found.get(split, [])):
        raise wrong(path, "has photos for training or validation whose names do not end in a WNID")
    splits = tuple(
        Split(split, [Photo(f"{file.name}/{name}", labels[name], place) for file, name, place in photos],
              labelled=all(labels[name] >= 0 for _, name, _ in photos))
        for split, photos in found.items()
    )  # fmt: skip
    return Source(dataset_of(path, wnids, splits), wnids, words_of(wnids), splits)
