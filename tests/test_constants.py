"""A constant of 2012 stands in paper/ or recipes/ and nowhere else: every number in the code is looked at."""

import ast
import tokenize
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "alexrepro"
HOMES = {"paper", "recipes"}

# Numbers that hardly mean anything else. Powers of ten, halves, 48, 90 and 128 are left out: they mean too many things.
CONSTANTS = {
    0.0005, 0.9,  # weight decay and momentum (§5)
    0.75, 2e-5, 4e-5,  # normalization: exponent (§3.3), and scale over size in layer.py's parsers
    0.03,  # standard deviation of initial weights in conv3, conv4 and conv5 (layers-145.cfg)
    0.02, 0.002,  # learning rate of biases (layer-params-145.cfg and -2010.cfg)
    1.1,  # the input is divided by it with the color shift (convdata_jpeg.py)
    121.78, 37.094, 19.721,  # standard deviations of the principal components of RGB
    0.2175, 0.0188, 0.0045,  # eigenvalues of RGB in later code
    96, 384, 4096, 9216,  # maps of conv1, conv3 and conv4; units of a hidden full layer; inputs of fc6 (§3.5)
    11, 224, 227,  # side of conv1's kernels and of the input (§3.5), and of the input elsewhere
    253_440, 60_965_224, 659_272,  # neurons of conv1 in Figure 2; parameters; neurons
}  # fmt: skip
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
        for file in SOURCE.rglob("*.py")
        for line, value in numbers(file)
        if value in CONSTANTS and file.relative_to(SOURCE).parts[0] not in HOMES
    }

    assert {(file, value) for file, _, value in found} - ELSEWHERE.keys() == set(), found
