import gzip
import io
from pathlib import Path

import numpy as np
import PIL
import pytest
from numpy.typing import NDArray
from PIL import Image, features
from PIL.JpegImagePlugin import get_sampling

from alexrepro.data.store.decode import codec_versions, decode, decode_stored, encode, pillow_at_work
from alexrepro.data.store.resize import resize
from alexrepro.errors import Unreadable

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, which JPEG and Pillow use for gray
READABLE = {
    "rgb": None, "s444": None, "progressive": None, "exif0": None, "exif6": None, "extraneous_before_eoi": None,
    "bad_exif": None, "trailing": "bytes after the end", "gz": "gzip-wrapped JPEG",
    "cmyk_adobe_inverted": "CMYK JPEG", "cmyk_noadobe": "CMYK JPEG",
    "png_named": "PNG", "png_rgba_named": "PNG, alpha dropped",
}  # fmt: skip
UNREADABLE = {
    "corrupt_entropy": "corrupt JPEG", "empty": "empty file", "html": "HTML", "trunc_half": "truncated JPEG",
    "trunc_header": "corrupt JPEG", "trunc_noEOI": "truncated JPEG",
}  # fmt: skip
NEEDS_WEBP = pytest.mark.skipif(not features.check("webp"), reason="this Pillow was built without WebP")


def file(shared_data: Path, name: str) -> bytes:
    return (shared_data / "defects" / f"{name}.JPEG").read_bytes()


def truth(shared_data: Path) -> NDArray[np.float64]:
    with Image.open(shared_data / "defects" / "truth.png") as image:
        return np.asarray(image.convert("RGB"), dtype=np.float64)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.shared
@pytest.mark.parametrize(("name", "oddity"), [*READABLE.items(), pytest.param("webp_named", "WEBP", marks=NEEDS_WEBP)])
def test_odd_files_are_decoded_to_the_true_pixels(shared_data: Path, name: str, oddity: str | None) -> None:
    pixels, found = decode(file(shared_data, name))

    assert found == oddity
    assert np.abs(pixels - truth(shared_data)).mean() <= 2.0  # loss of their own JPEG: 1.0 to 1.9 gray levels


@pytest.mark.shared
def test_gray_files_are_ordinary(shared_data: Path) -> None:
    pixels, oddity = decode(file(shared_data, "grey"))

    assert oddity is None
    luma = (truth(shared_data) @ LUMA)[..., None]
    assert np.abs(pixels - luma).mean() <= 2.0  # loss of the file's own JPEG: 1.0 gray level


@pytest.mark.shared
def test_a_gif_has_the_colors_of_its_palette(shared_data: Path) -> None:
    pixels, oddity = decode(file(shared_data, "gif_named"))

    assert oddity == "GIF"
    assert np.abs(pixels - truth(shared_data)).mean() <= 20.0  # 256 dithered colors are 16 gray levels off


@pytest.mark.shared
@pytest.mark.parametrize(("name", "reason"), UNREADABLE.items())
def test_broken_files_are_refused_with_the_reason(shared_data: Path, name: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        decode(file(shared_data, name))


@pytest.mark.parametrize("size", [(300, 400), (400, 300), (256, 300), (64, 64), (75, 56), (3, 1), (1, 4000)])
def test_the_square_is_the_middle_of_the_resized_image(size: tuple[int, int]) -> None:
    assert resize(noise(*size)).shape == (256, 256, 3)


def test_an_odd_margin_is_rounded_down() -> None:
    pixels = noise(256, 301)
    upright = pixels.swapaxes(0, 1).copy()

    np.testing.assert_array_equal(resize(pixels), pixels[:, 22:278])  # (301 - 256) // 2 = 22
    np.testing.assert_array_equal(resize(upright), upright[22:278])


@pytest.mark.parametrize(("side_px", "pillow"), [(400, Image.Resampling.BILINEAR), (100, Image.Resampling.BICUBIC)])
def test_shrinking_is_bilinear_and_enlarging_bicubic(side_px: int, pillow: Image.Resampling) -> None:
    pixels = noise(side_px, side_px)

    by_pillow = np.asarray(Image.fromarray(pixels).resize((256, 256), pillow), dtype=np.int16)
    assert np.abs(resize(pixels) - by_pillow).max() <= 2  # same filter; each rounds its integer weights once per axis


def test_a_stored_jpeg_has_the_tables_of_quality_95_and_halved_chroma() -> None:
    pixels = noise(256, 256)

    with (
        Image.open(io.BytesIO(encode(pixels))) as ours,
        Image.open(io.BytesIO(saved(Image.fromarray(pixels), "JPEG", quality=95))) as theirs,
    ):
        assert ours.quantization == theirs.quantization  # type: ignore[attr-defined]
        assert ours.size == (256, 256)
        assert get_sampling(ours) == 2  # 4:2:0


def test_the_long_side_is_rounded_half_up() -> None:
    pixels = noise(300, 403)  # 403 · 256 / 300 = 343.9

    by_pillow = Image.fromarray(pixels).resize((344, 256), Image.Resampling.BILINEAR).crop((44, 0, 300, 256))

    assert np.abs(resize(pixels) - np.asarray(by_pillow, dtype=np.int16)).max() <= 2  # as above


def test_what_is_stored_is_read_back_into_the_given_array() -> None:
    smooth = resize(noise(8, 8))
    out = np.empty((256, 256, 3), dtype=np.uint8)

    decode_stored(encode(smooth), out)

    assert np.abs(out.astype(int) - smooth).mean() < 3.0  # quality 95 with halved chroma
    np.testing.assert_array_equal(out, decode(encode(smooth))[0])


@pytest.mark.parametrize("kind", ["TIFF", "PPM"])
def test_tiff_and_ppm_keep_every_pixel(kind: str) -> None:
    pixels = noise(20, 30)

    found, oddity = decode(saved(Image.fromarray(pixels), kind))

    assert (oddity, np.array_equal(found, pixels)) == (kind, True)


BLACK, DEEP = Image.new("L", (8, 8)), Image.fromarray(noise(4, 4)[..., 0].astype(np.uint16))
REFUSED = {  # costs too much memory, loses bits, or is ambiguous
    "16 bits": (saved(DEEP, "PNG"), "PNG of 16 bits"),
    "TIFF of 16 bits": (saved(DEEP, "TIFF"), "TIFF of 16 bits"),
    "TIFF of floats": (saved(Image.fromarray(noise(4, 4)[..., 0].astype(np.float32)), "TIFF"), "TIFF of 32 bits"),
    "PPM of 16 bits": (saved(DEEP, "PPM"), "PPM of 16 bits"),
    "animated": (saved(BLACK, "GIF", save_all=True, append_images=[Image.new("L", (8, 8), 9)]), "animated"),
    "two pages": (saved(BLACK, "TIFF", save_all=True, append_images=[BLACK]), "one page"),
    "cut TIFF": (saved(Image.fromarray(noise(20, 30)), "TIFF")[:200], "corrupt TIFF"),
    "too large": (saved(Image.new("1", (20_000, 5_001)), "PNG"), "14,000,000"),
    "gzip bomb": (gzip.compress(bytes(65 * 2**20)), "more than 64 MiB"),
    "gzip twice": (gzip.compress(gzip.compress(b"x")), "gzip within gzip"),
    "PNG with no content": (b"\x89PNG\r\n\x1a\n" + bytes(64), "^corrupt PNG: Pillow does not recognize it$"),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED)
def test_files_that_must_not_be_decoded_are_unreadable(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        decode(data)


@pytest.mark.parametrize(
    ("version", "name"), [("13.0.0", "Pillow 13.0.0"), ("12.1.1.post0", "pillow-simd 12.1.1.post0")]
)
def test_pillow_simd_is_named(version: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIL, "__version__", version)

    assert pillow_at_work() == name
    assert codec_versions()["pillow"] == version


def test_a_build_without_webp_does_not_call_the_file_corrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda _: False)

    with pytest.raises(Unreadable, match=r"^WEBP, which (Pillow|pillow-simd) .* was built without$"):
        decode(b"RIFF\0\0\0\0WEBP" + bytes(64))
