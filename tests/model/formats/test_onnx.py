"""ONNX files give the logits of the network in onnxruntime, with LRN as one operation and written out."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alexrepro.errors import UserError
from alexrepro.model import formats
from alexrepro.model.alexnet import build
from alexrepro.model.formats.onnx import Form
from alexrepro.model.weights import Weights
from alexrepro.recipes.as_printed_and_run import AS_PRINTED, TINY
from alexrepro.recipes.catalog import catalog, find_recipe
from alexrepro.recipes.recipe import Recipe

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
    "pool before norm": narrow(find_recipe("caffenet-2013")).but(STRONG),
    "scaled input": narrow(find_recipe("one-weird-trick")),
    "dropout over conv4": narrow(AS_PRINTED).but({"network.conv4.order": ("activation", "dropout")}),
    "tanh, own full connections": narrow(AS_PRINTED).but({"network.activation": "tanh", "network.fc7.reads": "own"}),
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


@pytest.mark.parametrize(("lrn", "count"), [("op", 4), ("decomposed", 0)])  # two layers of two towers each
def test_the_alpha_of_an_lrn_is_what_the_2012_code_calls_scale(tmp_path: Path, lrn: Form, count: int) -> None:
    formats.write(weights_of(TINY), tmp_path / "net.onnx", lrn=lrn)

    nodes = [node for node in onnx.load(tmp_path / "net.onnx").graph.node if node.op_type == "LRN"]

    assert len(nodes) == count
    for node in nodes:
        settings = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        assert settings == pytest.approx({"alpha": 1e-4, "beta": 0.75, "bias": 2.0, "size": 5})


def test_any_number_of_crops_fits(tmp_path: Path) -> None:
    weights = weights_of(narrow(find_recipe("one-weird-trick")))
    formats.write(weights, tmp_path / "net.onnx", lrn="op")
    crops = torch.randn(5, 3, 224, 224, generator=torch.Generator().manual_seed(2))

    assert formats.onnx.logits(tmp_path / "net.onnx", crops).shape == (5, 10)


def general(recipe: Recipe) -> Recipe:
    """The same network, whatever its stages, with few maps and its own initial weights."""
    *first, last = recipe.network.stages
    maps = {stage.name: 4 * recipe.network.towers for stage in first} | {last.name: 10}
    return recipe.but({f"network.{name}.maps": count for name, count in maps.items()})


NETWORKS = {recipe.network: name for name, recipe in ((n, entry.recipe) for n, entry in reversed(catalog().items()))}
UNWRITTEN = {
    "net-131": "network.side_input, contrast_norm in conv2", "net-135": "network.side_input, contrast_norm in conv2",
    "net-137": "network.side_input", "net-141-2009-2012": "network.side_input",
    **dict.fromkeys(("cifar-13pct", "cifar-13pct-norm", "cifar-11pct", "figure-1-relu-b", "figure-1-tanh-b"),
                    "local3, which is local, local4, which is local"),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS.values())
def test_a_recipe_gives_its_own_logits_or_is_refused_by_what_has_no_exporter(tmp_path: Path, name: str) -> None:
    weights = weights_of(general(catalog()[name].recipe))

    try:
        difference = formats.write(weights, tmp_path / "net.onnx", lrn="op").difference
    except UserError as error:
        assert name in UNWRITTEN
        assert error.what.endswith(f"there is no exporter for {UNWRITTEN[name]}.")  # noqa: PT017
    else:
        assert name not in UNWRITTEN
        assert difference < 1e-5  # a tenth of what is allowed


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


def mutations(recipe: Recipe, folder: Path, lrn: Form) -> list[tuple[int, str]]:
    """The nodes of a file but for the last, which names the output, and those that flatten what is flat."""
    formats.onnx.write(weights_of(recipe), folder / "right.onnx", lrn=lrn)
    nodes = onnx.load(folder / "right.onnx").graph.node
    return [(number, node.op_type) for number, node in enumerate(nodes) if node.op_type not in {"Identity", "Flatten"}]


@pytest.mark.parametrize("lrn", ["op", "decomposed"])
@pytest.mark.parametrize("name", ["as-run-2012", "caffenet-2013", "cifar-18pct", "one-weird-trick"])
def test_a_file_that_lacks_any_node_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, lrn: Form
) -> None:
    recipe = general(catalog()[name].recipe)  # with its own weights the logits are little but biases
    right = formats.onnx.write

    for number, operation in mutations(recipe, tmp_path, lrn):

        def wrong(weights: Weights, path: Path, *, lrn: Form, number: int = number) -> None:
            right(weights, path, lrn=lrn)
            without(path, number)

        with monkeypatch.context() as patch:
            patch.setattr(formats.onnx, "write", wrong)
            with pytest.raises(UserError, match=r"other logits|cannot run"):
                formats.write(weights_of(recipe), tmp_path / f"{number}-{operation}.onnx", lrn=lrn)

    assert [path.name for path in tmp_path.iterdir()] == ["right.onnx"]


def test_a_file_with_another_constant_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = formats.onnx.write

    def wrong(weights: Weights, path: Path, *, lrn: Form) -> None:
        norm = weights.recipe.network.norm
        assert norm is not None
        other = weights.recipe.but({"network.norm.alpha": 1.1 * norm.alpha})
        right(replace(weights, recipe=other), path, lrn=lrn)

    monkeypatch.setattr(formats.onnx, "write", wrong)
    with pytest.raises(UserError, match="other logits"):
        formats.write(weights_of(general(catalog()["as-run-2012"].recipe)), tmp_path / "net.onnx", lrn="op")


def test_a_missing_library_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(UserError, match="onnxruntime is not installed") as caught:
        formats.write(weights_of(narrow(find_recipe("one-weird-trick"))), tmp_path / "net.onnx", lrn="op")

    assert "pip install 'alexrepro[onnx]'" in caught.value.fix
    assert list(tmp_path.iterdir()) == []
