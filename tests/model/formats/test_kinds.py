"""What is no file of weights is refused as what it is, whatever it is called."""

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from alexrepro.errors import Exit, UserError
from alexrepro.model import formats
from alexrepro.model.formats.kinds import kind_of


def zipped(*names: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return held.getvalue()


def tarred() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pth"))
    return held.getvalue()


def numpy_bytes() -> bytes:
    held = io.BytesIO()
    np.save(held, {"conv1": [np.ones(2), np.ones(1)]}, allow_pickle=True)  # type: ignore[arg-type]
    return held.getvalue()


BINARY = bytes(range(256)) * 4
FOREIGN = {
    "empty.pth": (b"", "it is empty"),
    "page.pth": (b"<!DOCTYPE html><html>Sign in</html>", "a web page"),
    "page.safetensors": (b"\n<html>", "a web page"),
    "page.caffemodel": (b"<html>not found</html>", "a web page"),
    "denied.pth": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a web page"),
    "pointer.pth": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "a pointer of Git LFS"),
    "answer.pth": (b'{"message": "Not Found"}', "it is a text"),
    "model.safetensors.index.json": (json.dumps({"weight_map": {}}).encode(), "index of weights in several files"),
    "deploy.prototxt": (b'name: "AlexNet"\nlayer {\n}', "describes a network for Caffe"),
    "text.caffemodel": (b'name: "AlexNet"\nlayer {\n}' * 40, "describes a network for Caffe"),
    "weights.pth.gz": (gzip.compress(BINARY), "compressed with gzip"),
    "weights.pth": (gzip.compress(BINARY), "compressed with gzip"),
    "weights.zip": (zipped("a/weights.pth", "b"), "a ZIP archive of 2 files"),
    "weights.tar": (tarred(), "a tar archive"),
    "weights.npz": (zipped("conv1.npy", "conv2.npy"), "holds NumPy arrays"),
    "bvlc_alexnet.npy": (numpy_bytes(), "a NumPy array"),
    "model.h5": (b"\x89HDF\r\n\x1a\n" + BINARY, "an HDF5 file"),
    "model.keras": (zipped("config.json", "model.weights.h5"), "a model of Keras"),
    "model.onnx": (b"\x08\x08\x12\x07" + BINARY, "an ONNX file, which is written here but not read"),
    "graph.pb": (b"\x0a\x10" + BINARY, "a TensorFlow graph"),
    "model.ckpt.index": (BINARY, "the index of a TensorFlow checkpoint"),
    "model.ckpt.data-00000-of-00001": (BINARY, "a part of a TensorFlow checkpoint"),
    "script.pt": (zipped("script/data.pkl", "script/constants.pkl", "script/code/x.py"), "a TorchScript archive"),
    "cut.pth": (b"PK\x03\x04 and no more", "cut off"),
    "noise.pth": (BINARY, "it is damaged, or no checkpoint of torch"),
    "noise.safetensors": (BINARY, "it is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_holds_no_weights_is_refused_as_what_it_is(tmp_path: Path, name: str) -> None:
    content, what = FOREIGN[name]
    (tmp_path / name).write_bytes(content)

    with pytest.raises(UserError, match=what) as caught:
        formats.read(tmp_path / name)

    assert caught.value.exit_code == Exit.BAD_DATA
    assert name in caught.value.what
    assert "weights_only" not in caught.value.what + caught.value.fix


def test_the_content_decides_and_not_the_ending(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(save({"x": torch.ones(1)}))
    torch.save({"x": torch.ones(1)}, tmp_path / "weights")
    torch.save({"x": torch.ones(1)}, tmp_path / "legacy.safetensors", _use_new_zipfile_serialization=False)

    assert kind_of(tmp_path / "weights.pth") == "safetensors"
    assert kind_of(tmp_path / "weights") == "torch"
    assert kind_of(tmp_path / "legacy.safetensors") == "torch"


def test_a_file_of_no_kind_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "weights.dat").write_bytes(BINARY)

    with pytest.raises(UserError, match="is no file of weights") as caught:
        formats.read(tmp_path / "weights.dat")

    assert caught.value.exit_code == Exit.USAGE


ODD_PATHS = [("absent.pth", "There is no file"), (".", "is a folder or a device"), ("x" * 300, "cannot be read")]


@pytest.mark.parametrize(("name", "what"), ODD_PATHS)
def test_a_path_without_a_file_is_missing_input(tmp_path: Path, name: str, what: str) -> None:
    with pytest.raises(UserError, match=what) as caught:
        formats.read(tmp_path / name)

    assert caught.value.exit_code == Exit.MISSING_INPUT


def test_a_folder_cannot_be_written_over(tmp_path: Path) -> None:
    (tmp_path / "out.safetensors").mkdir()
    with pytest.raises(UserError, match="not the name of a file"):
        formats.write(None, tmp_path / "out.safetensors", lrn="op")  # type: ignore[arg-type]
