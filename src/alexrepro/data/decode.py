"""Bytes of an image file -> RGB pixels -> the 256×256 square that is stored (§2), and back from a stored JPEG.

What a file is shows in its first bytes, never in its name: ImageNet has CMYK, PNG and gzip files named .JPEG.
EXIF rotation and color profiles are ignored, as in 2012. Nothing is put in the place of a file that is broken.
"""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
import PIL
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image

from alexrepro.paper.training import STORED_PX

JPEG_QUALITY = 95  # cuda-convnet2 make-data.py stores OpenCV's default, which also means chroma 4:2:0
CHROMA = "420"
MOST_PIXELS = 100_000_000  # 300 MB as RGB; the largest ImageNet photos have about a tenth
MOST_UNZIPPED_BYTES = 64 * 2**20
MOST_ELONGATED = 16  # long side over short side; 3.4 is the greatest in a sample of 1000 photos

RESIZE_RULE = (
    f"short side {STORED_PX} px, long side rounded half up; torch uint8 antialias, bilinear to shrink and bicubic to "
    f"enlarge; central {STORED_PX}x{STORED_PX}, offsets rounded down"
)
END_OF_JPEG = b"\xff\xd9"
BEGINNINGS = (
    (b"\xff\xd8", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"),
    (b"BM", "BMP"), (b"\x1f\x8b", "gzip"),
)  # fmt: skip

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Decoded:
    """RGB pixels, uint8 (H, W, 3), and in a few words what was odd about the file, or None."""

    pixels: Pixels
    oddity: str | None


class Unreadable(Exception):
    """The file holds no picture that can be trusted; the message is the reason."""


def decode(data: bytes) -> Decoded:
    """The pixels of an image file, at its own size.

    Grey is ordinary: 2 % of ImageNet is. Raises Unreadable for truncated, corrupt and animated images, for 16 bits per
    channel, for more than 100 million pixels, and for anything that is no image.
    """
    kind = _kind(data)
    if kind == "gzip":
        inner = _unzip(data)
        if _kind(inner) == "gzip":
            raise Unreadable("gzip within gzip")
        found = decode(inner)
        return Decoded(found.pixels, f"gzip-wrapped {found.oddity or 'JPEG'}")
    return _decode_jpeg(data) if kind == "JPEG" else _decode_other(data, kind)


def square(pixels: Pixels, side_px: int = STORED_PX) -> Pixels:
    """The central square of the image after its short side is brought to side_px (§2): uint8 (S, S, 3), a new array.

    pixels: uint8 (H, W, 3). Bilinear when shrinking and bicubic when enlarging, both antialiased: nearest to area and
    cubic in the author's later tool (cuda-convnet2 make-data.py), whose sizes are rounded and offsets rounded down.
    """
    pixels = _without_far_ends(pixels)
    height, width = pixels.shape[:2]
    short = min(height, width)
    size = tuple((2 * side * side_px + short) // (2 * short) for side in (height, width))
    top, left = (size[0] - side_px) // 2, (size[1] - side_px) // 2
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[None]  # (H, W, 3) -> (1, 3, H, W), channels last
    if size != (height, width):
        mode = "bicubic" if short < side_px else "bilinear"
        planes = torch.nn.functional.interpolate(planes, size, mode=mode, antialias=True, align_corners=False)
    out = np.empty((side_px, side_px, 3), dtype=np.uint8)
    for channel, plane in enumerate(planes[0].numpy()):  # by planes: a third of the time of one transposing copy
        out[:, :, channel] = plane[top : top + side_px, left : left + side_px]
    return out


def encode(pixels: Pixels) -> bytes:
    """A baseline JPEG of quality 95, chroma 4:2:0, with the standard Huffman tables, which decode no slower.

    pixels: uint8 (H, W, 3), contiguous. simplejpeg cannot optimise the tables; that would save 3-5 % of the bytes.
    """
    encoded: bytes = simplejpeg.encode_jpeg(pixels, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling=CHROMA)
    return encoded


def decode_square(data: bytes | memoryview, out: Pixels) -> None:
    """Fill `out`, uint8 (256, 256, 3) and contiguous, from a stored JPEG; ValueError if it is damaged."""
    shape = simplejpeg.decode_jpeg(data, "RGB", buffer=out).shape
    if shape != out.shape:
        raise ValueError(f"a stored image is {shape[0]}x{shape[1]}, not {out.shape[0]}x{out.shape[1]}")


def codec_versions() -> dict[str, str]:
    """Which decoders are at work; pillow-simd, where it is swapped in, shows in its version."""
    return {"pillow": PIL.__version__, "simplejpeg": simplejpeg.__version__}


def _kind(data: bytes) -> str:
    for beginning, kind in BEGINNINGS:
        if data.startswith(beginning):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if not data:
        raise Unreadable("empty file")
    if data[:512].lstrip().startswith(b"<"):
        raise Unreadable("an HTML or XML page, not an image")
    raise Unreadable(f"no image format that is read here (begins with {data[:4].hex(' ')})")


def _decode_jpeg(data: bytes) -> Decoded:
    """Simplejpeg is strict: it reports bytes that do not add up, where Pillow silently shows a wrong picture."""
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        if "subsampling" not in str(error):
            raise Unreadable(f"corrupt JPEG: {error}") from error
        return _decode_other(data, "JPEG", oddity="JPEG of unusual chroma subsampling")  # Pillow reads some of these
    _check_size(height, width)
    is_four_color = colorspace in {"CMYK", "YCCK"}
    try:
        pixels = simplejpeg.decode_jpeg(data, "CMYK" if is_four_color else "RGB")
    except ValueError as error:
        reason = "truncated JPEG" if "Premature end" in str(error) else "corrupt JPEG"
        raise Unreadable(f"{reason}: {error}") from error
    if is_four_color:  # Pillow's conversion to RGB is the more exact one: 1.0 grey levels off, against 1.3
        return _decode_other(data, "JPEG", oddity="CMYK JPEG")
    oddities = []
    if not data.endswith(END_OF_JPEG):
        oddities.append("bytes after the end")
    if _has_broken_exif(data):
        oddities.append("broken EXIF")
    return Decoded(pixels, ", ".join(oddities) or None)


def _decode_other(data: bytes, kind: str, *, oddity: str | None = None) -> Decoded:
    """What Pillow makes of it, as the one format that its first bytes announce."""
    if kind == "PNG" and data[24:25] == b"\x10":  # IHDR: width, height, then bits per channel
        raise Unreadable("PNG of 16 bits per channel")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about EXIF and palettes; what matters raises
        try:
            with Image.open(io.BytesIO(data), formats=[kind]) as image:
                _check_size(image.height, image.width)
                if getattr(image, "n_frames", 1) > 1:
                    raise Unreadable(f"animated {kind} of {image.n_frames} frames")  # type: ignore[attr-defined]
                has_alpha = image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info
                pixels = np.array(image.convert("RGB"))
        except Unreadable:
            raise
        except Exception as error:  # hostile bytes make Pillow raise anything from OSError to struct.error
            raise Unreadable(f"corrupt {kind}: {_one_line(error)}") from error
    return Decoded(pixels, oddity or kind + (", alpha dropped" if has_alpha else ""))


def _check_size(height: int, width: int) -> None:
    if not 0 < height * width <= MOST_PIXELS:
        raise Unreadable(f"{width}x{height} pixels; at most {MOST_PIXELS:,} are read")


def _unzip(data: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=31)  # 31: gzip with its header and checksum
    try:
        inner = stream.decompress(data, MOST_UNZIPPED_BYTES)
    except zlib.error as error:
        raise Unreadable(f"corrupt gzip: {error}") from error
    if not stream.eof:
        size = "more than 64 MiB" if stream.unconsumed_tail else "truncated"
        raise Unreadable(f"gzip-wrapped file, {size}")
    return inner


def _without_far_ends(pixels: Pixels) -> Pixels:
    """At most 16 times as long as wide, so that enlarging a line of pixels does not fill the memory."""
    height, width = pixels.shape[:2]
    longest = MOST_ELONGATED * min(height, width)
    top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
    return pixels[top : top + longest, left : left + longest]


def _has_broken_exif(data: bytes) -> bool:
    """Whether the first directory of an EXIF block promises more entries than the block holds."""
    position = 2
    while data[position : position + 1] == b"\xff" and position + 4 <= len(data):
        marker, length = struct.unpack_from(">BH", data, position + 1)
        segment = data[position + 4 : position + 2 + length]
        if marker == 0xDA:  # start of scan: no more metadata
            return False
        if marker == 0xE1 and segment.startswith(b"Exif\0\0"):
            return not _first_directory_fits(segment[6:])
        position += 2 + length
    return False


def _first_directory_fits(tiff: bytes) -> bool:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return False
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    if start + 2 > len(tiff):
        return False
    (entries,) = struct.unpack_from(f"{order}H", tiff, start)
    fits: bool = start + 2 + 12 * entries <= len(tiff)  # TIFF 6.0: 12 bytes per entry
    return fits


def _one_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
