"""Every layout of ILSVRC gives the same images under the same classes as plain class folders do.

The photos and WNIDs are real; the layouts are written by datasets, webdataset, tarfile, scipy and csv.
"""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexrepro.data.sources import labels, recognize
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.data.store.store import Store
from alexrepro.errors import UserError
from alexrepro.paper.results import IMAGES

from .. import layouts
from ..layouts import PICTURES, TEST, WNIDS, WORDS, Pictures, by_class, by_label
from ..sources import parquets

pytestmark = pytest.mark.shared

LAYOUTS: dict[str, Callable[[Path, Pictures], None]] = {
    "official tars": layouts.official_tars,
    "split tars": layouts.split_tars,
    "half extracted": layouts.half_extracted,
    "flat val with devkit": layouts.flat_val,
    "sorted val with devkit": layouts.sorted_val,
    "Kaggle tree": layouts.kaggle,
    "Kaggle zip": layouts.kaggle_zip,
    "Caffe's val.txt": layouts.caffe,
    "imagenet-1k in Parquet": parquets.imagenet_1k,
    "imagenet-1k in tars": layouts.hub_tars,
}


@pytest.fixture(scope="module")
def pictures(shared_data: Path) -> Pictures:
    """The sample has one photo of each class, so others stand in for more."""
    return layouts.deal(photo.read_bytes() for photo in sorted((shared_data / "photos").iterdir())[:PICTURES])


@pytest.fixture(scope="module")
def expected(pictures: Pictures, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    root = tmp_path_factory.mktemp("folders")
    layouts.class_folders(root, pictures)
    return prepare(root, out=tmp_path_factory.mktemp("expected"), workers=1)


WITHOUT_DEVKIT = ("Kaggle tree", "Kaggle zip", "Caffe's val.txt")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_gives_the_images_and_classes_of_class_folders(
    layout: str, pictures: Pictures, expected: dict[str, Store], tmp_path: Path
) -> None:
    LAYOUTS[layout](tmp_path / "source", pictures)

    # Three classes are not the thousand of 2012, which is known without a devkit, too.
    found = prepare(
        tmp_path / "source", out=tmp_path / "stores", workers=1, options=Options(allow_partial=layout in WITHOUT_DEVKIT)
    )

    assert by_class(found["train"]) == by_class(expected["train"])
    assert by_class(found["val"]) == by_class(expected["val"])
    assert np.array_equal(found["train"].mean_image(), expected["train"].mean_image())


def test_the_tars_of_2010_are_labeled_by_id(shared_data: Path, tmp_path: Path) -> None:
    photos = sorted((shared_data / "photos").iterdir())[:PICTURES]
    pictures = layouts.deal((photo.read_bytes() for photo in photos), "2010")
    layouts.tars_of_2010(tmp_path / "tars", pictures)
    layouts.class_folders(tmp_path / "folders", pictures)

    found = prepare(tmp_path / "tars", out=tmp_path / "stores", workers=1)
    expected = prepare(tmp_path / "folders", out=tmp_path / "stores", workers=1)

    assert found["train"].manifest.classes == WNIDS  # the order of the ids
    assert by_class(found["train"]) == by_class(expected["train"])
    assert by_class(found["val"]) == by_class(expected["val"])
    assert found["test"].manifest.labeled
    assert len(found["test"]) == TEST * len(WNIDS)


def test_webdataset_shards_have_the_labels_of_the_sorted_wnids(
    pictures: Pictures, expected: dict[str, Store], tmp_path: Path
) -> None:
    layouts.shards(tmp_path / "source", pictures)

    found = prepare(tmp_path / "source", out=tmp_path / "stores", workers=1)

    assert found["train"].manifest.dataset == "photos"
    assert [by_label(found[split]) for split in ("train", "val")] == [
        by_label(expected[split]) for split in ("train", "val")
    ]


def test_a_shard_that_is_listed_and_not_there_is_missed(pictures: Pictures, tmp_path: Path) -> None:
    layouts.shards(tmp_path, pictures)
    (tmp_path / "photos-train-0001.tar").unlink()

    assert recognize(tmp_path).gaps == ("photos-train-0001.tar has 0 of 4 samples",)


def test_parquet_of_resized_photos_is_labeled_by_the_names_in_its_metadata(pictures: Pictures, tmp_path: Path) -> None:
    small: Pictures = {
        split: {wnid: [(name, with_short_side_256(data)) for name, data in items] for wnid, items in classes.items()}
        for split, classes in pictures.items()
    }
    parquets.resized(tmp_path / "parquet", small)
    layouts.class_folders(tmp_path / "folders", small)

    found = prepare(tmp_path / "parquet", out=tmp_path / "stores", workers=1)
    expected = prepare(tmp_path / "folders", out=tmp_path / "stores", workers=1)

    assert found["val"].manifest.classes == tuple(WORDS[wnid] for wnid in sorted(WNIDS))
    assert [by_label(found[split]) for split in ("train", "val")] == [
        by_label(expected[split]) for split in ("train", "val")
    ]


def with_short_side_256(data: bytes) -> bytes:
    stream = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        scale = 256 / min(image.size)
        image.resize((round(image.width * scale), round(image.height * scale))).save(stream, "JPEG", quality=90)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("write", "names"),
    [
        (parquets.imagenet_1k, tuple(WORDS[wnid] for wnid in sorted(WNIDS))),
        (parquets.tiny_imagenet, tuple(sorted(WNIDS))),
    ],
)
def test_parquet_in_the_order_of_the_ids_is_brought_to_that_of_the_wnids(
    write: Callable[..., None], names: tuple[str, ...], pictures: Pictures, expected: dict[str, Store], tmp_path: Path
) -> None:
    write(tmp_path / "source", pictures, order=WNIDS)

    found = prepare(tmp_path / "source", out=tmp_path / "stores", workers=1)

    for split in ("train", "val"):
        assert found[split].manifest.classes == tuple(sorted(WNIDS))
        assert found[split].manifest.class_names == names
        assert by_class(found[split]) == by_class(expected[split])


def test_parquet_whose_labels_are_not_those_of_its_names_is_refused(pictures: Pictures, tmp_path: Path) -> None:
    rows = [
        parquets.Example(name, data, WNIDS.index(wnid))
        for name, wnid, data in layouts.in_name_order(pictures["train"])
    ]  # fmt: skip
    parquets.to_parquet(tmp_path, "train", rows, names=sorted(WNIDS))

    with pytest.raises(UserError, match="labels do not agree with the WNIDs"):
        recognize(tmp_path)


def test_parquet_of_all_of_ilsvrc_2012_is_named_so_as_its_folders_are(
    pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wnids = [labels.FIRST_OF_2012, *(f"n0200{number:04d}" for number in range(998)), labels.LAST_OF_2012]
    rows = [parquets.Example(f"{wnid}_1_{wnid}.JPEG", b"", label) for label, wnid in enumerate(wnids)]
    parquets.to_parquet(tmp_path / "parquet", "train", rows, names=wnids, group=len(rows))
    for wnid in wnids:
        layouts.write(tmp_path / "folders/train" / wnid / f"{wnid}_1.JPEG", b"")
    monkeypatch.setitem(IMAGES, "ilsvrc2012-train", len(rows))  # one photo of each class instead of 1,281,167

    for source in (recognize(tmp_path / "parquet"), recognize(tmp_path / "folders")):
        assert (source.dataset, source.classes) == ("ilsvrc2012", tuple(wnids))
        assert (source.class_names[0], source.class_names[-1]) == ("tench", "toilet tissue")


def test_another_thousand_wnids_get_no_names_of_2012() -> None:
    others = tuple(f"n0200{number:04d}" for number in range(1000))

    assert labels.words_of(others) == others
