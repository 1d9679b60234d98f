"""CIFAR-10's Python batches: every pixel and label, and nothing that a hostile pickle asks for."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from alexrepro.data.sources import recognize
from alexrepro.data.store.decode import decode
from alexrepro.errors import Exit, UserError

ROWS = 3


@pytest.fixture
def batches(tmp_path: Path) -> Path:
    folder, draws = tmp_path / "cifar-10-batches-py", np.random.default_rng(7)
    folder.mkdir()
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        batch = {
            b"data": draws.integers(0, 256, (ROWS, 3072), dtype=np.uint8),
            b"labels": draws.integers(0, 2, ROWS).tolist(),
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol=3))
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": [b"cat", b"ship"]}, protocol=3))
    return folder


@pytest.mark.parametrize("is_above", [True, False], ids=["the folder", "the folder around it"])
def test_every_pixel_and_label_comes_back(batches: Path, is_above: bool) -> None:
    found = recognize(batches if is_above else batches.parent)

    assert (found.dataset, found.classes) == ("cifar10", ("cat", "ship"))
    assert [len(split.photos) for split in found.splits] == [5 * ROWS, ROWS]
    original = pickle.loads((batches / "data_batch_2").read_bytes())
    for row, photo in enumerate(found.splits[0].photos[ROWS : 2 * ROWS]):
        pixels = original[b"data"][row].reshape(3, 32, 32).transpose(1, 2, 0)
        assert np.array_equal(decode(photo.read()).pixels, pixels)
        assert photo.label == original[b"labels"][row]


class Hostile:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (__import__("os").system, (f"touch {self.canary}",))


def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(batches: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (batches / "data_batch_3").write_bytes(pickle.dumps({b"data": Hostile(canary)}))

    with pytest.raises(UserError, match="asks for") as refused:
        recognize(batches)

    assert refused.value.exit_code is Exit.BAD_DATA
    assert not canary.exists()


def test_a_missing_or_damaged_batch_is_named(batches: Path) -> None:
    (batches / "data_batch_4").unlink()
    with pytest.raises(UserError, match="data_batch_4"):
        recognize(batches)
    (batches / "data_batch_4").write_bytes(b"\x80\x02}q")
    with pytest.raises(UserError, match="data_batch_4"):
        recognize(batches)
