import pickle
import resource
from pathlib import Path

import pytest
from PIL import Image

from alexrepro.data.store import preparation
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.data.store.store import FEWEST_FILES, Store, find_stores, newest_store
from alexrepro.errors import UserError

from .folders import write_images, write_shard


def source(folder: Path) -> Path:
    """Two splits whose images have the stored size, so that they are copied."""
    for split in ("train", "val"):
        write_images(folder / split, height=256, width=256)
    return folder


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    prepare(source(tmp_path / "shapes"), out=tmp_path / "stores", workers=1, options=Options(encoding="raw"))
    return tmp_path / "stores"


def pixels(store: Store, image: int) -> bytes:
    return store.pixels(image).tobytes()


def original(folder: Path, split: str, number: int) -> bytes:
    with Image.open(folder / "shapes" / split / "ab"[number // 3] / f"{number % 3}.png") as image:
        return image.tobytes()


def test_raw_images_labels_and_names_come_back(stores: Path) -> None:
    store = newest_store(stores, split="train", dataset="shapes")

    assert [pixels(store, k) for k in range(6)] == [original(stores.parent, "train", k) for k in range(6)]
    assert store.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert store.name(4).endswith("1.png")
    assert (len(store), store.manifest.classes, store.path.parent) == (6, ("a", "b"), stores)


def flip(path: Path, location: int) -> None:
    data = bytearray(path.read_bytes())
    data[location] ^= 1
    path.write_bytes(data)


def read_all(store: Store) -> None:
    assert len(store.labels) == len([pixels(store, image) for image in range(len(store))])
    store.mean_image(), store.color_axes()


@pytest.mark.parametrize("file", ["shard-00000.arrow", "mean.npy", "color_axes.json"])
def test_a_flipped_bit_is_noticed_and_its_file_named(stores: Path, file: str) -> None:
    path = newest_store(stores, split="train").path
    flip(path / file, (path / file).stat().st_size // 2)  # of the shard, an image

    with pytest.raises(UserError, match=file):
        read_all(Store.open(path))


def test_a_flipped_bit_in_a_label_is_noticed(stores: Path) -> None:
    store = newest_store(stores, split="train")
    shard = store.path / "shard-00000.arrow"
    flip(shard, shard.read_bytes().index(store.labels.astype("<i8").tobytes()))

    with pytest.raises(UserError, match="labels"):
        read_all(Store.open(store.path))


@pytest.mark.parametrize("file", ["manifest.json", "shard-00000.arrow"])
def test_a_store_that_lacks_a_file_is_refused(stores: Path, file: str) -> None:
    path = newest_store(stores, split="val").path
    (path / file).unlink()

    with pytest.raises(UserError, match=file):
        Store.open(path)


@pytest.mark.parametrize("text", ["", "[1, 2]", "[" * 100_000, '{"format": 3}', '{"format": ' + "9" * 100_000 + "}"])
def test_a_damaged_manifest_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)

    with pytest.raises(UserError, match=r"manifest\.json cannot be read"):
        Store.open(tmp_path)


def test_another_format_is_refused(stores: Path) -> None:
    path = newest_store(stores, split="val").path
    manifest = (path / "manifest.json").read_text()
    (path / "manifest.json").write_text(manifest.replace('"format": 3', '"format": 4'))

    with pytest.raises(UserError, match="has the format 4; this version reads format 3") as refused:
        Store.open(path)
    assert "Prepare it again" in refused.value.fix


def test_only_a_training_store_has_statistics(stores: Path) -> None:
    assert newest_store(stores, split="train").mean_image().shape == (3, 256, 256)
    with pytest.raises(UserError):
        newest_store(stores, split="val").color_axes()


def test_the_newest_fitting_store_is_found(stores: Path) -> None:
    assert [store.manifest.split for store in find_stores(stores)] == ["val", "train"]
    with pytest.raises(UserError, match="shapes-val"):
        newest_store(stores, split="test")
    with pytest.raises(UserError):
        newest_store(stores / "nowhere")


def test_a_pickled_store_does_not_grow_with_what_was_read(stores: Path) -> None:
    store = newest_store(stores, split="train")
    unread = pickle.dumps(store)
    read_all(store)

    assert pickle.dumps(store) == unread


def test_a_stored_file_that_is_no_jpeg_is_named(tmp_path: Path) -> None:
    store = prepare(source(tmp_path / "shapes"), out=tmp_path / "stores", workers=1)["val"]
    write_shard(store.path / "shard-00000.arrow", [b"no image"] * 6, [0] * 6, ["name"] * 6)

    with pytest.raises(UserError, match=r"shard-00000\.arrow, row 4"):
        pixels(Store.open(store.path), 4)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files below /proc")
def test_few_files_are_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "SHARD_IMAGES", 1)
    source = write_images(tmp_path / "images", each=FEWEST_FILES)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (FEWEST_FILES, FEWEST_FILES))
    store = prepare(source, out=tmp_path / "stores", workers=1)["train"]
    before = len(list(Path("/proc/self/fd").iterdir()))

    once, again = ([pixels(store, row) for row in range(len(store))] for _ in range(2))

    assert once == again
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= FEWEST_FILES
