"""ONNX files run by onnxruntime say what the network says, with LRN as one operation and written out."""

import sys
from pathlib import Path

import pytest
import torch

from alexrepro.errors import Refusal
from alexrepro.model import formats
from alexrepro.model.alexnet import build
from alexrepro.model.formats.onnx import Form
from alexrepro.model.weights import Weights
from alexrepro.recipes.catalogue import AS_PRINTED, TINY
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.successors import CAFFENET_2013, ONE_WEIRD_TRICK

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

STRONG = {"network.norm.alpha": 0.01}  # so that a wrong α or window shows in the logits


def narrow(recipe: Recipe) -> Recipe:
    """The same network with few maps."""
    maps = {"conv1": 8, "conv2": 12, "conv3": 8, "conv4": 8, "conv5": 8, "fc6": 16, "fc7": 16, "fc8": 10}
    return recipe.but({f"network.{name}.{field}": value for name, count in maps.items()
                       for field, value in (("maps", count), ("weight_std", 0.1))})  # fmt: skip


RECIPES = {
    "towers and same-map norm": TINY.but(STRONG),
    "whole windows": narrow(AS_PRINTED).but(STRONG),
    "pool before norm": narrow(CAFFENET_2013).but(STRONG),
    "scaled input": narrow(ONE_WEIRD_TRICK),
    "dropout of its own over conv4": narrow(AS_PRINTED).but(
        {"network.conv4.order": ("response", "dropout"), "network.conv4.dropout": 0.2}
    ),
    "tanh, own full connections": narrow(AS_PRINTED).but({"network.response": "tanh", "network.fc7.reads": "own"}),
}


def weights_of(recipe: Recipe) -> Weights:
    named = build(recipe.network, seed=1).named_kernels()
    return Weights(recipe, {name: parameter.detach() for name, parameter in named.items()})


@pytest.mark.parametrize("lrn", ["op", "decomposed"])
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_onnxruntime_gives_the_logits_of_the_network(tmp_path: Path, recipe: Recipe, lrn: Form) -> None:
    proof = formats.write(weights_of(recipe), tmp_path / "net.onnx", lrn=lrn)

    assert proof.reader == "onnxruntime"
    assert proof.difference < 1e-4  # of the largest logit; float32 with sums and powers of its own


@pytest.mark.parametrize(("lrn", "count"), [("op", 4), ("decomposed", 0)])
def test_the_form_of_the_normalization_is_the_one_asked_for(tmp_path: Path, lrn: Form, count: int) -> None:
    formats.write(weights_of(TINY), tmp_path / "net.onnx", lrn=lrn)

    operations = [node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node]

    assert operations.count("LRN") == count  # two layers of two towers each


def test_the_alpha_of_an_lrn_is_what_the_2012_code_calls_scale(tmp_path: Path) -> None:
    formats.write(weights_of(TINY), tmp_path / "net.onnx", lrn="op")

    (node, *_) = [node for node in onnx.load(tmp_path / "net.onnx").graph.node if node.op_type == "LRN"]
    settings = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}

    assert settings == pytest.approx({"alpha": 1e-4, "beta": 0.75, "bias": 2.0, "size": 5})


def test_any_number_of_views_fits(tmp_path: Path) -> None:
    weights = weights_of(narrow(ONE_WEIRD_TRICK))
    formats.write(weights, tmp_path / "net.onnx", lrn="op")
    views = torch.randn(5, 3, 224, 224, generator=torch.Generator().manual_seed(2))

    assert formats.onnx.logits(tmp_path / "net.onnx", views).shape == (5, 10)


def test_a_missing_library_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(Refusal, match="onnxruntime is not installed") as caught:
        formats.write(weights_of(narrow(ONE_WEIRD_TRICK)), tmp_path / "net.onnx", lrn="op")

    assert "pip install 'alexrepro[onnx]'" in caught.value.fix
    assert list(tmp_path.iterdir()) == []
