"""Every error rate the authors printed, by split and crops.

A table shows a printed number only next to a measurement on the same split with the same crops.
"""

from dataclasses import dataclass
from typing import Literal

from alexrepro.paper.citation import Citation

Crops = Literal["center", "ten", "ten-logits"]  # the last: logits averaged instead of softmax outputs


@dataclass(frozen=True)
class Reported:
    """Errors that the authors printed, as fractions; None where the paper prints a dash."""

    name: str
    label: str
    split: str
    crops: Crops | None
    top1_error: float | None
    top5_error: float | None
    cites: Citation


@dataclass(frozen=True)
class ReportedDelta:
    """A printed difference in error, as fractions: the variation minus the paper's network."""

    name: str
    top1_delta: float | None
    top5_delta: float | None
    cites: Citation
    split: str | None = None  # according to the 2012 logs
    crops: Crops = "ten"  # those of the 2012 logs; the text names none


VAL_2010 = "ilsvrc2010-val"
TEST_2010 = "ilsvrc2010-test"
VAL_2012 = "ilsvrc2012-val"
CIFAR_TEST = "cifar10-test"
TEST_2012 = "ilsvrc2012-test"  # its labels are not public
# What the published numbers are about (§2; the exact counts are those of the releases).
IMAGES = {VAL_2010: 50_000, TEST_2010: 150_000, VAL_2012: 50_000, TEST_2012: 100_000, CIFAR_TEST: 10_000}
TRAINING_IMAGES = {"ilsvrc2010": 1_261_406, "ilsvrc2012": 1_281_167, "cifar10": 50_000}
CLASSES = {"ilsvrc2010": 1000, "ilsvrc2012": 1000, "cifar10": 10}

SPARSE_CODING = Reported(
    "sparse-coding", "Sparse coding", TEST_2010, None, 0.471, 0.282, Citation("§6", "Table 1, six models averaged")
)
SIFT_FVS = Reported(
    "sift-fvs", "SIFT + FVs", TEST_2010, None, 0.457, 0.257, Citation("§6", "Table 1, two classifiers averaged")
)
CNN_2010 = Reported("cnn", "CNN", TEST_2010, "ten", 0.375, 0.170, Citation("§6", "Table 1"))
CNN_2010_CENTER = Reported(
    "cnn-center", "CNN, center crop", TEST_2010, "center", 0.390, 0.183, Citation("§6", "footnote 5")
)
CAPTION_CONV1_NEURONS = 253_440  # Figure 2's caption; 55 × 48 × 96, where 55 × 55 × 96 is meant
TABLE_1 = (SPARSE_CODING, SIFT_FVS, CNN_2010)

SIFT_FVS_2012 = Reported(
    "sift-fvs-2012", "SIFT + FVs", TEST_2012, None, None, 0.262, Citation("§6", "Table 2, best second entry")
)
CNN_2012 = Reported("1-cnn", "1 CNN", VAL_2012, "ten", 0.407, 0.182, Citation("§6", "Table 2"))
CNN_2012_FIVE = Reported("5-cnns", "5 CNNs", VAL_2012, "ten", 0.381, 0.164, Citation("§6", "Table 2"))
CNN_2012_FIVE_TEST = Reported(
    "5-cnns-test", "5 CNNs, test", TEST_2012, "ten", None, 0.164, Citation("§6", "Table 2, last column")
)
CNN_2012_PRETRAINED = Reported("1-cnn-pretrained", "1 CNN*", VAL_2012, "ten", 0.390, 0.166, Citation("§6", "Table 2"))
CNN_2012_SEVEN = Reported("7-cnns", "7 CNNs*", VAL_2012, "ten", 0.367, 0.154, Citation("§6", "Table 2"))
CNN_2012_SEVEN_TEST = Reported(
    "7-cnns-test", "7 CNNs*, test", TEST_2012, "ten", None, 0.153, Citation("§6", "Table 2, last column")
)
TABLE_2 = (SIFT_FVS_2012, CNN_2012, CNN_2012_FIVE, CNN_2012_PRETRAINED, CNN_2012_SEVEN)
TABLE_2_TEST = (CNN_2012_FIVE_TEST, CNN_2012_SEVEN_TEST)

FALL_2009 = Reported(
    "fall-2009",
    "CNN, Fall 2009",
    "fall2009-half",
    None,
    0.674,
    0.409,
    Citation("§6", "10,184 classes, half of them test"),
)
FALL_2009_BEFORE = Reported(
    "fall-2009-before",
    "Best before, Fall 2009",
    "fall2009-half",
    None,
    0.781,
    0.609,
    Citation("§6", "the best published before"),
)


def _quoted(name: str, crops: Crops, error: float, file: str) -> Reported:
    return Reported(name, f"CIFAR-10, {name.removeprefix('cifar-')}", CIFAR_TEST, crops, error, None, Citation(file))


# What the headers of cuda-convnet's layer files quote; the paper's text (§3.3) has the last two.
QUOTED = {
    quoted.name: quoted
    for quoted in (
        _quoted("cifar-80sec", "center", 0.26, "layers-80sec.cfg"),
        _quoted("cifar-19pct", "center", 0.19, "layers-19pct.cfg"),
        _quoted("cifar-18pct", "center", 0.18, "layers-18pct.cfg"),
        _quoted("cifar-13pct", "ten", 0.13, "layers-conv-local-13pct.cfg"),
        _quoted("cifar-11pct", "ten", 0.11, "layers-conv-local-11pct.cfg"),
    )
}
# Errors published with the weights of later networks.
LATER_WEIGHTS = {
    later.name: later
    for later in (
        Reported(
            "caffe-2013", "BVLC AlexNet", VAL_2012, "center", 0.429, 0.198, Citation("Caffe, bvlc_alexnet/readme.md")
        ),
        Reported(
            "caffenet-2013", "BVLC CaffeNet", VAL_2012, "center", 0.426, 0.196,
            Citation("Caffe, bvlc_reference_caffenet/readme.md"),
        ),
        Reported(
            "one-weird-trick", "torchvision alexnet", VAL_2012, "center", 0.43478, 0.20934,
            Citation("torchvision, AlexNet_Weights.IMAGENET1K_V1"),
        ),
    )
}  # fmt: skip
ALL_REPORTED = (*TABLE_1, CNN_2010_CENTER, *TABLE_2, *TABLE_2_TEST, FALL_2009, FALL_2009_BEFORE)

ONE_TOWER = ReportedDelta("one-tower", 0.017, 0.012, Citation("§3.2", "half as many kernels, one GPU"), TEST_2010)
NO_NORM = ReportedDelta("no-norm", 0.014, 0.012, Citation("§3.3", "response normalization"), VAL_2012)
NO_OVERLAP = ReportedDelta("non-overlapping-pooling", 0.004, 0.003, Citation("§3.4", "s = z = 2"), VAL_2012)
NO_COLOR_SHIFT = ReportedDelta("no-color-shift", 0.01, None, Citation("§4.1", "over 1%"))
WITHOUT_MIDDLE = ReportedDelta("without-middle-conv", 0.02, None, Citation("§7", "about 2% for any middle layer"))
ALL_DELTAS = (ONE_TOWER, NO_NORM, NO_OVERLAP, NO_COLOR_SHIFT, WITHOUT_MIDDLE)
