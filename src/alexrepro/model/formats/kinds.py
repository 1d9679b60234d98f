"""What a file of weights is, told by its first bytes; its ending counts only where these say nothing."""

import zipfile
from pathlib import Path
from typing import Literal

from alexrepro.errors import Exit, UserError
from alexrepro.model.weights import damaged

Kind = Literal["safetensors", "torch", "caffe"]

ENDINGS: dict[str, Kind] = {
    ".safetensors": "safetensors", ".caffemodel": "caffe",
    ".pth": "torch", ".pt": "torch", ".bin": "torch", ".ckpt": "torch", ".tar": "torch",
}  # fmt: skip
UNPACK = "Unpack it first, and name the file in it."
AS_STATE_DICT = "Where it can be loaded, save its tensors alone: torch.save(model.state_dict(), 'weights.pth')."
ELSEWHERE = "Fetch the same network as .safetensors, as .pth of torchvision's alexnet, or as .caffemodel."
FOREIGN = (  # first bytes, what such a file is, what to do
    (b"\x1f\x8b", "it is compressed with gzip", UNPACK),
    (b"BZh", "it is compressed with bzip2", UNPACK),
    (b"\xfd7zXZ", "it is compressed with xz", UNPACK),
    (b"\x28\xb5\x2f\xfd", "it is compressed with Zstandard", UNPACK),
    (b"7z\xbc\xaf", "it is a 7z archive", UNPACK),
    (b"Rar!", "it is a RAR archive", UNPACK),
    (b"\x89HDF", "it is an HDF5 file, such as Keras writes", ELSEWHERE),
    (b"\x93NUMPY", "it is a NumPy array", ELSEWHERE),
    (b"GGUF", "it is a GGUF file", ELSEWHERE),
    (b"version https://git-lfs", "it is a pointer of Git LFS, not the file itself", "Fetch the file: git lfs pull."),
)
FOREIGN_ENDINGS = {  # of files whose first bytes say little
    ".onnx": "it is an ONNX file, which is written here but not read",
    ".tflite": "it is a TensorFlow Lite file",
    ".pb": "it is a TensorFlow graph",
    ".index": "it is the index of a TensorFlow checkpoint",
    ".prototxt": "it describes a network for Caffe and holds no weights",
    ".mat": "it is a MATLAB file",
    ".mlmodel": "it is a Core ML model",
    ".engine": "it is a TensorRT engine",
    ".npz": "it holds NumPy arrays",
}  # fmt: skip
HEAD_BYTES = 512
MOST_HEADER_BYTES = 100_000_000  # of safetensors


def kind_of(path: Path) -> Kind:
    """The kind of a file of weights. Raises UserError saying what it is, if it is of no kind that can be read."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise damaged(path, "it is empty")
    for start, what, fix in FOREIGN:
        if head.startswith(start):
            raise damaged(path, what, fix=fix)
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path)
    if head[257:262] == b"ustar":
        raise damaged(path, "it is a tar archive", fix=UNPACK)
    if head[4:8] == b"TFL3":
        raise damaged(path, FOREIGN_ENDINGS[".tflite"], fix=ELSEWHERE)
    _refuse_text(path, head)
    ending = path.suffix.lower()
    if ending in FOREIGN_ENDINGS:
        raise damaged(path, FOREIGN_ENDINGS[ending], fix=ELSEWHERE)
    if ".data-0000" in path.name:
        raise damaged(path, "it is a part of a TensorFlow checkpoint", fix=ELSEWHERE)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < MOST_HEADER_BYTES:
        return "safetensors"
    if head.startswith(b"\x80"):  # a pickle, as torch wrote before 2020
        return "torch"
    if ending not in ENDINGS:
        raise UserError(
            f"{path.name} is no file of weights, by its first bytes, nor has it one of the endings "
            f"{', '.join(ENDINGS)}.",
            fix="Name a file of one of these kinds; see: alexrepro convert --help.",
            exit_code=Exit.USAGE,
        )
    return ENDINGS[ending]


def _kind_of_zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise damaged(path, "it is incomplete, like a download that was cut off") from None
    last = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in last:
        raise damaged(path, "it is a TorchScript archive, which holds code", fix=AS_STATE_DICT)
    if "data.pkl" in last:
        return "torch"
    if "model.weights.h5" in last:
        raise damaged(path, "it is a model of Keras", fix=ELSEWHERE)
    if names and all(name.endswith(".npy") for name in names):
        raise damaged(path, FOREIGN_ENDINGS[".npz"], fix=ELSEWHERE)
    raise damaged(path, f"it is a ZIP archive of {len(names):,} files", fix=UNPACK)


def _refuse_text(path: Path, head: bytes) -> None:
    """Raise UserError if the file is a text: no weights are."""
    try:
        text = head[:-4].decode() if len(head) == HEAD_BYTES else head.decode()  # a character may be cut
    except UnicodeDecodeError:
        return
    start = text.lstrip("\ufeff \t\r\n").lower()
    if not all(sign.isprintable() or sign in "\r\n\t" for sign in start):
        return
    if start.startswith(("<!doctype html", "<html", "<?xml", "<head")):
        raise damaged(
            path,
            "it is a web page",
            fix="Download the file itself; the page may say why it was not sent.",
        )
    if start.startswith("{") and path.name.endswith(".index.json"):
        raise damaged(path, "it is the index of weights in several files", fix="Save them as one file first.")
    if path.suffix in {".prototxt", ".caffemodel"} and ("layer" in start or start.startswith("name:")):
        raise damaged(path, FOREIGN_ENDINGS[".prototxt"], fix="Name the .caffemodel that belongs to it.")
    raise damaged(path, f"it is a text ({start[:20].strip()!r}...)", fix=ELSEWHERE)
