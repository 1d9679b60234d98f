"""For `alexrepro describe`: a network as JSON, and two of them next to each other, layer by layer."""

from typing import Any

from alexrepro.cli.show import print_table, print_text
from alexrepro.paper.formula import arithmetic, formula, legend, training_macs
from alexrepro.paper.network import Layer
from alexrepro.recipes.recipe import Recipe


def print_side_by_side(one: Recipe, other: Recipe) -> None:
    """Print output, parameters and multiply-adds of each layer of both recipes; layers are matched by their names."""
    layers = [{layer.name: layer for layer in recipe.network.layers()} for recipe in (one, other)]
    names = list(layers[0])
    for number, name in enumerate(layers[1]):  # a layer that only the other has stands where it has it
        if name not in names:
            names.insert(number, name)
    kinds = ("output", "parameters", "multiply-adds")
    columns = [f"{what}, {recipe.name}" for what in kinds for recipe in (one, other)]
    rows = [[name, *_cells([found.get(name) for found in layers])] for name in names]
    sums = [f"{getattr(r.network, what):,}" for what in ("parameters", "macs") for r in (one, other)]
    print_table("Side by side", ("layer", *columns), [*rows, ["total", "", "", *sums]], right=columns)
    for recipe in (one, other):
        print_text(f"{recipe.name}: {formula(recipe.network)}")
        print_text(arithmetic(recipe.network), margin=2)
    print_text(f"({legend(one.network, other.network)})")


def described(recipe: Recipe) -> dict[str, Any]:
    """What `describe --json` prints of a recipe."""
    network = recipe.network
    full = {stage.name for stage in network.stages if stage.kind == "full"}
    of_maps = [layer for layer in network.layers() if layer.name not in full]
    of_layer = ("name", "output", "parameters", "macs", "neurons")
    return {
        "recipe": recipe.name, "digest": recipe.digest,
        **{name: getattr(network, name) for name in ("parameters", "neurons", "macs")},
        "flops": 2 * network.macs, "training_flops": 2 * training_macs(network), "formula": formula(network),
        "sizes": [layer.output[1] for layer in of_maps if layer.neurons or layer is of_maps[-1]],
        "layers": [{name: getattr(layer, name) for name in of_layer} for layer in network.layers()],
    }  # fmt: skip


def _cells(pair: list[Layer | None]) -> list[str]:
    outputs = [_size(layer) if layer else "" for layer in pair]
    counts = [layer and getattr(layer, what) for what in ("parameters", "macs") for layer in pair]
    return [*outputs, *(f"{count:,}" if count else "" for count in counts)]


def _size(layer: Layer) -> str:
    maps, height, width = layer.output
    return f"{height}×{width}×{maps}" if height * width > 1 else f"{maps}"
