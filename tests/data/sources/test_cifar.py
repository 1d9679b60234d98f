"""CIFAR-10's Python batches: every pixel and label, from files with the published MD5 only."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from alexrepro.data.sources import recognize
from alexrepro.data.store.decode import decode
from alexrepro.errors import Exit, UserError

ROWS = 3


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes()).hexdigest()


@pytest.fixture
def batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder, draws = tmp_path / "cifar-10-batches-py", np.random.default_rng(7)
    folder.mkdir()
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        data, labels = draws.integers(0, 256, (ROWS, 3072), dtype=np.uint8), draws.integers(0, 2, ROWS).tolist()
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": labels}, protocol=2))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["cat", "ship"]}, protocol=2))
    monkeypatch.setattr(CIFAR10, "meta", {"md5": md5(folder / "batches.meta")})
    for files in ("train_list", "test_list"):
        monkeypatch.setattr(CIFAR10, files, [[name, md5(folder / name)] for name, _ in getattr(CIFAR10, files)])
    return folder


@pytest.mark.parametrize("is_above", [True, False], ids=["the folder", "the folder around it"])
def test_every_pixel_and_label_comes_back(batches: Path, is_above: bool) -> None:
    found = recognize(batches if is_above else batches.parent)

    assert (found.dataset, found.classes) == ("cifar10", ("cat", "ship"))
    assert [len(split.images) for split in found.splits] == [5 * ROWS, ROWS]
    original = pickle.loads((batches / "data_batch_2").read_bytes())
    for row, image in enumerate(found.splits[0].images[ROWS : 2 * ROWS]):
        pixels = original["data"][row].reshape(3, 32, 32).transpose(1, 2, 0)
        assert np.array_equal(decode(image.read()).pixels, pixels)
        assert image.label == original["labels"][row]


class Runs:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (__import__("os").system, (f"touch {self.canary}",))


@pytest.mark.parametrize("name", ["data_batch_3", "batches.meta"])
def test_a_batch_of_another_md5_is_refused_before_it_is_unpickled(batches: Path, name: str, tmp_path: Path) -> None:
    (batches / name).write_bytes(pickle.dumps({"data": Runs(tmp_path / "canary")}))

    with pytest.raises(UserError, match=rf"{name} cannot be read: its MD5 is not the official") as refused:
        recognize(batches)

    assert refused.value.exit_code is Exit.BAD_DATA
    assert not (tmp_path / "canary").exists()


def test_a_missing_batch_is_named(batches: Path) -> None:
    (batches / "data_batch_4").unlink()

    with pytest.raises(UserError, match="data_batch_4 cannot be read: it is missing"):
        recognize(batches)
