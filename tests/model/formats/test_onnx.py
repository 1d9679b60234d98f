"""ONNX files give the logits of the network in onnxruntime; what cannot be written is refused by name."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alexrepro.errors import Exit, UserError
from alexrepro.model import formats
from alexrepro.model.alexnet import build
from alexrepro.model.weights import Weights
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012, TINY, catalog, find_recipe
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.variations import VARIATIONS

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def weights_of(recipe: Recipe) -> Weights:
    """The recipe's own initial weights in a network with few maps."""
    *first, last = recipe.network.stages
    maps = {stage.name: 4 * recipe.network.towers for stage in first} | {last.name: 10}
    narrow = recipe.but({f"network.{name}.maps": count for name, count in maps.items()})
    named = build(narrow.network, seed=1).named_weights()
    return Weights(narrow, {name: parameter.detach() for name, parameter in named.items()})


def test_the_alpha_of_an_lrn_is_what_the_2012_code_calls_scale(tmp_path: Path) -> None:
    formats.write(weights_of(TINY), tmp_path / "net.onnx")

    nodes = [node for node in onnx.load(tmp_path / "net.onnx").graph.node if node.op_type == "LRN"]

    assert len(nodes) == 4  # two layers of two towers each
    for node in nodes:
        settings = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        assert settings == pytest.approx({"alpha": 1e-4, "beta": 0.75, "bias": 2.0, "size": 5})


RECIPES = {entry.recipe.network: entry.recipe for entry in reversed(catalog().values())}  # one for each network
NETWORKS = {recipe.name: recipe for recipe in RECIPES.values()} | {
    "dropout over conv4": AS_PRINTED.but({"network.conv4.order": ("activation", "dropout")}),
    "contrast": find_recipe("net-131").but({"network.side_input": None}),
    **{
        name: VARIATIONS[name].of(TINY)
        for name in ("batch-norm", "layer-norm", "sigmoid", "pad-2", "extra-conv-narrower", "without-fc6-fc7")
    },
    "tanh, own full connections": AS_PRINTED.but({"network.activation": "tanh", "network.fc7.reads": "own"}),
}
LOCAL = ("cifar-13pct", "cifar-13pct-norm", "cifar-11pct", "figure-1-relu-b", "figure-1-tanh-b")
UNWRITTEN = {
    **dict.fromkeys(("net-131", "net-135", "net-137", "net-141-2009-2012"), "network.side_input"),
    **dict.fromkeys(LOCAL, "local3, which is local"),
    "contrast": "contrast_norm in conv2",
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in UNWRITTEN])
def test_onnxruntime_gives_the_logits_of_the_network(tmp_path: Path, name: str) -> None:
    proof = formats.write(weights_of(NETWORKS[name]), tmp_path / "net.onnx")

    assert proof.reader == "onnxruntime"
    assert proof.difference < 1e-5  # a tenth of what is allowed
    side_px = NETWORKS[name].network.input_px
    assert len(formats.onnx.logits(tmp_path / "net.onnx", torch.ones(5, 3, side_px, side_px))) == 5  # of any batch


@pytest.mark.parametrize("name", UNWRITTEN)
def test_what_has_no_exporter_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"there is no exporter for {UNWRITTEN[name]}"):
        formats.write(weights_of(NETWORKS[name]), tmp_path / "net.onnx")


def without(path: Path, number: int) -> None:
    """Leave a node out of a written file: what read its output reads its first input."""
    model = onnx.load(path)
    left_out = model.graph.node[number]
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name in left_out.output:
                node.input[index] = left_out.input[0]
    del model.graph.node[number]
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    "name", ["as-run-2012", "caffenet-2013", "cifar-18pct", "one-weird-trick", "batch-norm", "layer-norm"]
)
def test_a_file_that_lacks_any_node_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    weights, right = weights_of(NETWORKS[name]), formats.onnx.write  # its logits are little but biases
    right(weights, tmp_path / "right.onnx")
    nodes = onnx.load(tmp_path / "right.onnx").graph.node

    # Not the last node, which names the output, and those that flatten what is flat.
    for number in (n for n, node in enumerate(nodes) if node.op_type not in {"Identity", "Flatten"}):
        with monkeypatch.context() as patch:
            patch.setattr(formats.onnx, "write", lambda w, path, n=number: (right(w, path), without(path, n)))
            with pytest.raises(UserError, match=r"other logits|cannot run"):
                formats.write(weights, tmp_path / "wrong.onnx")

    assert [path.name for path in tmp_path.iterdir()] == ["right.onnx"]


def test_a_file_with_another_constant_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = formats.onnx.write

    def wrong(weights: Weights, path: Path) -> None:
        norm = weights.recipe.network.norm
        assert norm is not None
        right(replace(weights, recipe=weights.recipe.but({"network.norm.alpha": 1.1 * norm.alpha})), path)

    monkeypatch.setattr(formats.onnx, "write", wrong)
    with pytest.raises(UserError, match="other logits"):
        formats.write(weights_of(AS_RUN_2012), tmp_path / "net.onnx")


def test_a_missing_library_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(UserError, match="onnxruntime is not installed") as caught:
        formats.write(weights_of(find_recipe("one-weird-trick")), tmp_path / "net.onnx")

    assert "pip install 'alexrepro[onnx]'" in caught.value.fix
    assert caught.value.exit_code is Exit.MISSING_INPUT
    assert list(tmp_path.iterdir()) == []
