"""A constant of 2012 stands in paper/ or recipes/ and nowhere else: every number in the code is looked at."""

import ast
import tokenize
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "alexrepro"
FILES = sorted(SOURCE.rglob("*.py"))
HOMES = {"paper", "recipes"}

# Numbers that hardly mean anything else. Powers of ten, halves, 48, 90 and 128 are left out: they mean too many things.
CONSTANTS = {
    0.0005: "weight decay (§5)",
    0.9: "momentum (§5)",
    0.75: "exponent of response normalization (§3.3)",
    2e-5: "α / n (layer.py NormLayerParser)",
    4e-5: "scale / 25 of the same-map norm (layer.py NormLayerParser)",
    0.03: "deviation of initial weights in conv3, conv4 and conv5 (layers-145.cfg)",
    0.02: "rate of biases (layer-params-145.cfg)",
    0.002: "rate of biases (layer-params-145-2010.cfg)",
    1.1: "what the input is divided by with the color shift (convdata_jpeg.py)",
    121.78: "deviation of the first principal component of RGB",
    37.094: "deviation of the second principal component of RGB",
    19.721: "deviation of the third principal component of RGB",
    0.2175: "eigenvalue of RGB in later code",
    0.0188: "eigenvalue of RGB in later code",
    0.0045: "eigenvalue of RGB in later code",
    96: "maps of conv1 (§3.5)",
    384: "maps of conv3 and conv4 (§3.5)",
    4096: "units of a hidden full layer (§3.5)",
    9216: "what fc6 reads (§3.5)",
    11: "side of conv1's kernels (§3.5)",
    224: "side of the input (§3.5)",
    227: "side of the input elsewhere",
    253_440: "neurons of conv1 in Figure 2",
    60_965_224: "parameters",
    659_272: "neurons",
}
ELSEWHERE = {
    ("model/normalization.py", 0.75): "a faster way to the same power; every other exponent is computed as well",
    ("data/sources/miniature.py", 0.03): "fraction of gray images",
}


@cache
def numbers(file: Path) -> tuple[tuple[int, complex], ...]:
    """Every number in a file outside strings and comments, as (line, value)."""
    with file.open("rb") as stream:
        tokens = list(tokenize.tokenize(stream.readline))
    return tuple((t.start[0], ast.literal_eval(t.string)) for t in tokens if t.type == tokenize.NUMBER)


def places(constant: float) -> list[tuple[str, int]]:
    """Where a number stands: (file below the package, line)."""
    return [
        (file.relative_to(SOURCE).as_posix(), line)
        for file in FILES
        for line, value in numbers(file)
        if value == constant
    ]


def is_home(file: str) -> bool:
    """Whether this file below the package is one of paper/ or recipes/."""
    return file.partition("/")[0] in HOMES


@pytest.mark.parametrize("constant", CONSTANTS, ids=str)
def test_a_constant_of_2012_stands_in_its_home_only(constant: float) -> None:
    away = [(file, line) for file, line in places(constant) if not is_home(file)]

    assert [f"{file}:{line}: {CONSTANTS[constant]}" for file, line in away if (file, constant) not in ELSEWHERE] == []


@pytest.mark.parametrize("constant", [0.0005, 0.9, 0.75, 0.03, 0.02, 0.002, 1.1, 96, 4096, 224])
def test_the_constants_of_the_recipes_are_found(constant: float) -> None:
    assert [file for file, _ in places(constant) if is_home(file)] != []


@pytest.mark.parametrize(("file", "constant"), ELSEWHERE, ids=str)
def test_every_exception_is_still_needed(file: str, constant: float) -> None:
    assert file in {found for found, _ in places(constant)}


def test_numbers_in_strings_and_comments_do_not_count(tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text('"""0.9 in words."""\nX = 5e-4  # 0.75\nY = f"{1_000:.2f} of 0.03"\n', encoding="utf-8")

    assert (2, 0.0005) in numbers(file)
    assert {value for _, value in numbers(file)} & {0.9, 0.75, 0.03} == set()
