"""pillow-simd in the place of Pillow: pinned, named, and honest about what it was built without."""

from pathlib import Path

import PIL
import pytest
from PIL import features

from alexrepro.data.store.decode import codec_versions, decode, pillow_at_work
from alexrepro.errors import Unreadable

PINNED = Path(__file__).parents[3] / "requirements-simd.txt"
NOT_REALLY_WEBP = b"RIFF\0\0\0\0WEBP" + bytes(64)


@pytest.mark.parametrize(
    ("version", "said"), [("13.0.0", "Pillow 13.0.0"), ("12.1.1.post0", "pillow-simd 12.1.1.post0")]
)
def test_doctor_and_manifest_name_the_pillow_at_work(version: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIL, "__version__", version)

    assert pillow_at_work() == said
    assert codec_versions()["pillow"] == version


def test_what_make_simd_builds_is_pinned_by_hash_and_names_no_index() -> None:
    pins = [line for line in PINNED.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]

    assert [pin.split("==")[0] for pin in pins] == ["pybind11", "pillow-simd"]
    assert all("--hash=sha256:" in pin for pin in pins)


def test_a_build_without_webp_does_not_call_the_file_corrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda _: False)

    with pytest.raises(Unreadable, match=r"^WEBP, which (Pillow|pillow-simd) .* was built without$"):
        decode(NOT_REALLY_WEBP)
