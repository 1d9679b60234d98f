"""Bytes of an image file -> RGB pixels, and a stored image to a JPEG and back.

The first bytes of a file decide its format, not its name: ImageNet has CMYK, PNG and gzip files named .JPEG.
EXIF rotation and color profiles are ignored, as in 2012. Nothing replaces a file that is broken.
"""

import io
import warnings
import zlib
from contextlib import suppress

import numpy as np
import PIL
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError, features

from alexrepro.errors import Unreadable

JPEG_QUALITY = 95  # cuda-convnet2 make-data.py stores OpenCV's default, which also means chroma 4:2:0
CHROMA = "420"
MOST_PIXELS = 64_000_000  # of a JPEG: 192 MB as RGB
MOST_COSTLY_PIXELS = 14_000_000  # of a progressive JPEG, 9 bytes each, or of what Pillow reads, up to 14
MOST_SCANS = 64  # of a progressive JPEG; each passes over all pixels, and 31 bytes are enough for one
MOST_UNZIPPED_BYTES = 64 * 2**20

DEEP_MODES = ("I", "F", "I;16", "I;16B")  # Pillow cuts their values off at 255
BITS_PER_SAMPLE = 258  # the tag of TIFF 6.0

END_OF_JPEG = b"\xff\xd9"
SCAN_OF_MANY, START_OF_SCAN = b"\xff\xc2", b"\xff\xda"  # markers; coded data never hold them
BEGINNINGS = (
    (b"\xff\xd8", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"),
    (b"BM", "BMP"), (b"\x1f\x8b", "gzip"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"),
    *((b"P%d%c" % (number, blank), "PPM") for number in range(1, 7) for blank in b" \t\r\n"),
)  # fmt: skip

Pixels = NDArray[np.uint8]


def decode(data: bytes) -> tuple[Pixels, str | None]:
    """The pixels of an image file at its own size, uint8 (H, W, 3), and what is odd about the file, or None.

    Gray is not odd: 2 % of ImageNet is. Raises Unreadable for truncated, corrupt and animated images, for 16 bits per
    channel, for too many pixels or scans, and for anything that is not an image.
    """
    kind = _kind(data)
    if kind == "gzip":
        inner = _unzip(data)
        if _kind(inner) == "gzip":
            raise Unreadable("gzip within gzip")
        pixels, oddity = decode(inner)
        return pixels, f"gzip-wrapped {oddity or 'JPEG'}"
    return _decode_jpeg(data) if kind == "JPEG" else _decode_other(data, kind)


def begins_like_image(data: bytes) -> bool:
    """Whether the first bytes of a file are those of an image format; 16 bytes are enough."""
    try:
        return _kind(data) != "gzip"
    except Unreadable:
        return False


def encode(pixels: Pixels) -> bytes:
    """A baseline JPEG of quality 95, chroma 4:2:0, with the standard Huffman tables, which decode no slower.

    pixels: uint8 (H, W, 3), contiguous. simplejpeg cannot optimize the tables; that would save 3-5 % of the bytes.
    """
    return bytes(simplejpeg.encode_jpeg(pixels, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling=CHROMA))


def decode_stored(data: bytes | memoryview, out: Pixels) -> None:
    """Fill `out`, uint8 (S, S, 3) and contiguous, from a stored JPEG; ValueError if it is damaged."""
    shape = simplejpeg.decode_jpeg(data, "RGB", buffer=out).shape
    if shape != out.shape:
        raise ValueError(f"a stored image is {shape[0]}x{shape[1]}, not {out.shape[0]}x{out.shape[1]}")


def codec_versions() -> dict[str, str]:
    """The versions of the decoders; pillow-simd, where it is installed, shows in its version."""
    return {"pillow": PIL.__version__, "simplejpeg": simplejpeg.__version__}


def pillow_at_work() -> str:
    """`Pillow 13.0.0`, or `pillow-simd 12.1.1.post0`: its releases have the number of a Pillow, and .post."""
    return f"{'pillow-simd' if '.post' in PIL.__version__ else 'Pillow'} {PIL.__version__}"


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


def _decode_jpeg(data: bytes) -> tuple[Pixels, str | None]:
    """Simplejpeg is strict: it reports bytes that do not add up, where Pillow silently shows a wrong image."""
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        if "subsampling" not in str(error):
            raise Unreadable(f"corrupt JPEG: {error}") from error
        return _decode_other(data, "JPEG", oddity="JPEG of unusual chroma subsampling")  # Pillow reads some of these
    is_progressive, is_four_color = SCAN_OF_MANY in data, colorspace in {"CMYK", "YCCK"}
    if is_progressive and data.count(START_OF_SCAN) > MOST_SCANS:
        raise Unreadable(f"JPEG of more than {MOST_SCANS} scans")
    _check_size(height, width, most=MOST_COSTLY_PIXELS if is_progressive else MOST_PIXELS)
    try:
        pixels = simplejpeg.decode_jpeg(data, "CMYK" if is_four_color else "RGB")
    except ValueError as error:
        reason = "truncated" if "Premature end" in str(error) else "corrupt"
        raise Unreadable(f"{reason} JPEG: {error}") from error
    if is_four_color:  # Pillow's conversion to RGB is the more exact one: 1.0 gray levels off, against 1.3
        return _decode_other(data, "JPEG", oddity="CMYK JPEG")
    return pixels, None if data.endswith(END_OF_JPEG) else "bytes after the end"


def _decode_other(data: bytes, kind: str, *, oddity: str | None = None) -> tuple[Pixels, str]:
    """An image read by Pillow, as the format of its first bytes."""
    if kind == "PNG" and data[24:25] == b"\x10":  # IHDR: width, height, then bits per channel
        raise Unreadable("PNG of 16 bits per channel")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about EXIF and palettes; what matters raises
        try:
            with Image.open(io.BytesIO(data), formats=[kind]) as image:
                _check_size(image.height, image.width, most=MOST_COSTLY_PIXELS)
                if kind == "TIFF":
                    _check_tiff(image)
                elif image.mode in DEEP_MODES:
                    raise Unreadable(f"{kind} of 16 bits per channel")
                elif getattr(image, "n_frames", 1) > 1:
                    raise Unreadable(f"animated {kind} of {image.n_frames} frames")  # type: ignore[attr-defined]
                has_alpha = image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info
                pixels = np.array(image.convert("RGB"))
        except Unreadable:
            raise
        except UnidentifiedImageError as error:  # its own text names a memory address
            if kind == "WEBP" and not features.check("webp"):
                raise Unreadable(f"WEBP, which {pillow_at_work()} was built without") from error
            raise Unreadable(f"corrupt {kind}: Pillow does not recognize it") from error
        except Exception as error:  # hostile bytes make Pillow raise anything from OSError to struct.error
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise Unreadable(f"corrupt {kind}: {reason}") from error
    return pixels, oddity or kind + (", alpha dropped" if has_alpha else "")


def _check_tiff(image: Image.Image) -> None:
    """Looks one page ahead only, since a small file can claim millions of them."""
    bits = image.tag_v2.get(BITS_PER_SAMPLE, (1,))  # type: ignore[attr-defined]
    if max(bits) > 8:
        raise Unreadable(f"TIFF of {max(bits)} bits per channel")
    with suppress(EOFError):
        image.seek(1)
        raise Unreadable("TIFF of more than one page")
    image.seek(0)


def _check_size(height: int, width: int, *, most: int) -> None:
    if not 0 < height * width <= most:
        raise Unreadable(f"{width}x{height} pixels; at most {most:,} are read of such a file")


def _unzip(data: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=31)  # 31: gzip with its header and checksum
    try:
        inner = stream.decompress(data, MOST_UNZIPPED_BYTES)
    except zlib.error as error:
        raise Unreadable(f"corrupt gzip: {error}") from error
    if not stream.eof:
        raise Unreadable(f"gzip-wrapped file, {'more than 64 MiB' if stream.unconsumed_tail else 'truncated'}")
    return inner
