"""A constant of 2012 stands in paper/ or recipes/ and nowhere else: every number in the code is looked at."""

import ast
import tokenize
from pathlib import Path

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


def numbers(file: Path) -> list[tuple[int, complex]]:
    """Every number in a file outside strings and comments, as (line, value)."""
    with file.open("rb") as stream:
        tokens = list(tokenize.tokenize(stream.readline))
    return [(t.start[0], ast.literal_eval(t.string)) for t in tokens if t.type == tokenize.NUMBER]


def test_a_constant_of_2012_stands_in_paper_or_recipes_only() -> None:
    found = {
        (file.relative_to(SOURCE).as_posix(), line, value)
        for file in FILES
        for line, value in numbers(file)
        if value in CONSTANTS and file.relative_to(SOURCE).parts[0] not in HOMES
    }

    assert {(file, value) for file, _, value in found} - ELSEWHERE.keys() == set(), found
