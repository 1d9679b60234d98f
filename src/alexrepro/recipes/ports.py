"""Networks of later years whose weights are public, as recipes: Caffe's two of 2013 and torchvision's of 2014.

Each is a sentence: like the text of the paper, but with these fields. Expected results are those published with the
weights: errors of the center crop on the validation set of 2012, which 1 minus the printed accuracy gives.
"""

from typing import Any

from alexrepro.paper.citation import Citation
from alexrepro.paper.network import Network
from alexrepro.paper.results import VAL_2012, Reported
from alexrepro.paper.training import At, Script
from alexrepro.recipes.recipe import Recipe

# solver.prototxt: a tenth every 100,000 of 450,000 updates of 256 images, which are 20 of 90 epochs; biases learn twice
# as fast (train_val.prototxt lr_mult).
CAFFE_SCRIPT = Script(
    tuple(At(1 + 20 * n, learning_rate=10.0 ** (-2 - n), bias_learning_rate=2 * 10.0 ** (-2 - n)) for n in range(1, 5))
)
CAFFE_STD = {"fc6": 0.005, "fc7": 0.005}
BIASED = ("conv2", "conv4", "conv5", "fc6", "fc7")

CAFFE_2013 = Recipe().but(
    {
        "network.input_px": 227,  # train_val.prototxt crop_size
        "network.rounding": "down",  # Caffe's convolutions; at 227 px nothing is left out
        "network.norm.k": 1.0,  # caffe.proto LRNParameter
        "network.norm.divide_alpha_by_n": True,  # Caffe's LRN layer
        "network.dropout_scales": "training",  # Caffe's dropout layer
        **{f"network.{name}.weight_std": std for name, std in CAFFE_STD.items()},  # train_val.prototxt
        **{f"network.{name}.bias": 0.1 for name in BIASED},  # readme.md: with 1 the loss stayed flat
        "training.batch": 256,
        "training.bias_learning_rate": 0.02,
        "training.schedule": CAFFE_SCRIPT,
        "augmentation.last_offset_px": 29,  # 256 - 227
        "augmentation.square": "warped",  # convert_imageset to 256×256
        "augmentation.color_shift": None,  # readme.md: no relighting
    },
    name="caffe-2013",
    description="Caffe's replica of the paper, bvlc_alexnet",
)
"""`alexrepro train caffe-2013`: 42.9 / 19.8 % are published for ilsvrc2012-val, center crop."""

CAFFENET_2013 = CAFFE_2013.but(
    {
        **{f"network.{name}.order": ("activation", "pool", "norm") for name in ("conv1", "conv2")},
        **{f"network.{name}.bias": 1.0 for name in BIASED},
    },
    name="caffenet-2013",
    description="Caffe's reference network, which pools before it normalizes",
)
"""`alexrepro train caffenet-2013`: 42.6 / 19.6 % are published for ilsvrc2012-val, center crop."""


def _one_weird_trick() -> Recipe:
    """One tower without normalization, as in torchvision/models/alexnet.py and its reference training script."""
    maps = {"conv1": 64, "conv2": 192, "conv3": 384, "conv4": 256, "conv5": 256}
    orders = {
        "conv1": ("activation", "pool"), "conv2": ("activation", "pool"), "conv5": ("activation", "pool", "dropout"),
        "fc6": ("activation", "dropout"), "fc7": ("activation",),
    }  # fmt: skip
    changes: dict[str, Any] = {
        "network.towers": 1,
        "network.norm": None,
        "network.rounding": "down",
        "network.dropout_scales": "training",
        "network.initial": "uniform",  # the default of torch.nn: within 1/√(inputs of a unit)
        "network.input_std": (58.395, 57.12, 57.375),  # 255 times 0.229, 0.224, 0.225
        "network.conv1.pad_px": 2,
        **{f"network.{name}.maps": count for name, count in maps.items()},
        **{f"network.{name}.order": order for name, order in orders.items()},
        **{f"network.{name}.bias": 0.0 for name in BIASED},
        "training.batch": 256,  # 32 on each of 8 GPUs
        "training.weight_decay": 1e-4,
        "training.bias_decay": 1e-4,  # torch.optim.SGD decays every parameter
        "training.schedule": Script(
            (At(31, learning_rate=1e-3, bias_learning_rate=1e-3), At(61, learning_rate=1e-4, bias_learning_rate=1e-4))
        ),
        "augmentation.color_shift": None,
    }
    recipe = Recipe().but(changes, name="one-weird-trick", description="torchvision's alexnet, one tower, of 2014")
    return recipe.but(_torch_deviations(recipe.network))


def _torch_deviations(network: Network) -> dict[str, float]:
    """The deviation of values that are uniform within 1/√(inputs of a unit), for each stage."""
    inputs = {layer.name: layer.weights // layer.biases for layer in network.layers() if layer.biases}
    return {f"network.{name}.weight_std": round((3 * count) ** -0.5, 6) for name, count in inputs.items()}


ONE_WEIRD_TRICK = _one_weird_trick()
"""`alexrepro train one-weird-trick`: 43.48 / 20.93 % are published for ilsvrc2012-val, center crop.

torchvision crops with a random scale and shape and subtracts one mean a channel; here crops and mean are the paper's.
"""

CAFFE_RESULT = Reported(
    "caffe-2013", "BVLC AlexNet", VAL_2012, "center", 0.429, 0.198, Citation("Caffe, bvlc_alexnet/readme.md")
)
CAFFENET_RESULT = Reported(
    "caffenet-2013", "BVLC CaffeNet", VAL_2012, "center", 0.426, 0.196,
    Citation("Caffe, bvlc_reference_caffenet/readme.md"),
)  # fmt: skip
ONE_WEIRD_TRICK_RESULT = Reported(
    "one-weird-trick", "torchvision alexnet", VAL_2012, "center", 0.43478, 0.20934,
    Citation("torchvision, AlexNet_Weights.IMAGENET1K_V1"),
)  # fmt: skip
