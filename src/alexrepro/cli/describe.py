"""`alexrepro describe`: the network of a recipe, layer by layer, beside the paper's words."""

from pathlib import Path
from typing import Annotated, Any

import typer

from alexrepro.cli.options import Json, Set
from alexrepro.cli.show import percent, print_json, print_table
from alexrepro.paper.network import Layer, Network, Size, Stage
from alexrepro.paper.results import CAPTION_CONV1_NEURONS
from alexrepro.progress import say
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import Recipe, parse_changes

COLUMNS = ("layer", "output", "kernel/stride/pad", "reads", "then", "parameters", "share", "multiply-adds")
RIGHT = ("output", "parameters", "share", "multiply-adds")


def describe(
    recipe: Annotated[str, typer.Argument(help="Recipe name or TOML file.")] = "as-run-2012",
    changes: Set = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Also draw the network into this file, as in Figure 2.")
    ] = None,
    json: Json = False,
) -> None:
    """Print a recipe's network, layer by layer.

    Sizes, parameters, neurons and multiply-adds of one forward pass are computed from the fields of the recipe.
    In kernel/stride/pad, (+3) counts the zeros that are added on the right and below only.

    Example:  alexrepro describe as-run-2012 --set network.towers=1
    """
    chosen = find_recipe(recipe).but(parse_changes(changes or ()))
    if svg is not None:
        _draw(chosen, svg)
    if json:
        print_json(_described(chosen))
        return
    network = chosen.network
    total = ("total", "", "", "", "", f"{network.parameters:,}", "", f"{network.macs:,}")
    print_table(f"{chosen.name}-{chosen.digest}: {chosen.description}", COLUMNS, [*_rows(network), total], right=RIGHT)
    print(f"{network.parameters:,} parameters, {network.neurons:,} neurons, {network.macs:,} multiply-adds a crop.")
    if network.layers() == Network().layers():
        print(_beside_the_paper(network))


def _draw(recipe: Recipe, file: Path) -> None:
    from alexrepro.files import write_text
    from alexrepro.reports.figures import plot
    from alexrepro.reports.figures.diagram import draw

    write_text(file, plot.svg(draw(recipe.network, title=f"{recipe.name}: {recipe.description}"), name=recipe.name))
    say(f"Wrote {file}.")


def _described(recipe: Recipe) -> dict[str, Any]:
    network = recipe.network
    full = {stage.name for stage in network.stages if stage.kind == "full"}
    return {
        "recipe": recipe.name,
        "digest": recipe.digest,
        "parameters": network.parameters,
        "neurons": network.neurons,
        "macs": network.macs,
        "sizes": [layer.output[1] for layer in network.layers() if layer.name not in full],
        "layers": [
            {
                "name": layer.name,
                "output": list(layer.output),
                "parameters": layer.parameters,
                "macs": layer.macs,
                "neurons": layer.neurons,
            }
            for layer in network.layers()
        ],
    }


def _rows(network: Network) -> list[tuple[str, ...]]:
    stages = {stage.name: (stage, size) for stage, size in network.inputs()}
    return [
        _stage_row(network, layer, *stages[layer.name]) if layer.name in stages else _pool_row(network, layer)
        for layer in network.layers()
    ]


def _stage_row(network: Network, layer: Layer, stage: Stage, size: Size) -> tuple[str, ...]:
    reads = "both towers" if stage.reads == "both" else "own tower"
    return (
        layer.name,
        _size(layer.output),
        "" if stage.kind == "full" else _window(network, stage, size),
        "everything" if network.towers == 1 else reads,
        ", ".join(stage.order).replace("activation", network.activation).replace("_", "-"),
        f"{layer.parameters:,}",
        percent(layer.parameters / network.parameters, 2),
        f"{layer.macs:,}",
    )


def _pool_row(network: Network, layer: Layer) -> tuple[str, ...]:
    return (layer.name, _size(layer.output), f"{network.pool.size_px}/{network.pool.stride_px}", "", "", "", "", "")


def _window(network: Network, stage: Stage, size: Size) -> str:
    after_px = network.pad_after_px(stage, size[1])
    return f"{stage.kernel_px}/{stage.stride_px}/{stage.pad_px}" + (f" (+{after_px})" if after_px else "")


def _size(output: Size) -> str:
    maps, height, width = output
    return f"{height}×{width}×{maps}" if height * width > 1 else f"{maps}"


def _beside_the_paper(network: Network) -> str:
    conv1 = network.layers()[0]
    maps, height, width = conv1.output
    return (
        f'The paper says "60 million parameters" and "650,000 neurons"; '
        f"the caption of Figure 2 prints {CAPTION_CONV1_NEURONS:,} where {height}×{width}×{maps} = {conv1.neurons:,}."
    )
