"""`alexrepro describe`: the network of a recipe, layer by layer."""

from pathlib import Path
from typing import Annotated

import typer

from alexrepro.cli.options import Json, Set
from alexrepro.cli.show import percent, print_json, print_table, print_text
from alexrepro.cli.side_by_side import described, print_side_by_side
from alexrepro.paper.formula import arithmetic, formula, legend
from alexrepro.paper.network import Layer, Network
from alexrepro.paper.results import CAPTION_NEURONS
from alexrepro.progress import say
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import parse_changes

COLUMNS = ("layer", "output", "kernel, stride, pad", "reads", "then", "parameters", "of all", "multiply-adds")


def describe(
    recipe: Annotated[str, typer.Argument(help="Recipe name or TOML file.")] = "as-run-2012",
    other: Annotated[str | None, typer.Argument(help="Another one, to print both side by side.")] = None,
    changes: Set = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Also draw the network as in Figure 2, as .svg or .png.")
    ] = None,
    json: Json = False,
) -> None:
    """Print a recipe's network, layer by layer.

    All numbers are computed from the fields of the recipe. (+3): zeros padded on the right and below only.

    Example:  alexrepro describe as-run-2012 --set network.towers=1
    """
    changed = parse_changes(changes or ())
    chosen = find_recipe(recipe).but(changed)
    second = find_recipe(other).but(changed) if other is not None else None
    network = chosen.network
    if figure is not None:
        from alexrepro.reports.figures import diagram, plot

        title = f"{chosen.name}: {chosen.description}"
        plot.write(diagram.draw(network, title=title), figure, title=f"Figure 2 for {title}")
        say(f"Wrote {figure}.")
    if json:
        print_json(described(chosen) | ({"other": described(second)} if second else {}))
        return
    if second is not None:
        print_side_by_side(chosen, second)
        return
    total = ("total", "", "", "", "", f"{network.parameters:,}", "", f"{network.macs:,}")
    rows = [*(_row(network, layer) for layer in network.layers()), total]
    print_table(f"{chosen.name}-{chosen.digest}: {chosen.description}", COLUMNS, rows, right=("output", *COLUMNS[5:]))
    print_text(f"{network.parameters:,} parameters, {network.neurons:,} neurons.")
    print_text(f"{formula(network)}\n({legend(network)})\n{arithmetic(network)}")
    if network.layers() == Network().layers():
        caption = f"{CAPTION_NEURONS['conv1']:,} where 55×55×96 = {network.layers()[0].neurons:,}"
        print_text(
            f'The paper says "60 million parameters" and "650,000 neurons"; the caption of Figure 2 prints {caption}. '
            'Summaries quote "4 GFLOPs" for a pass, which fits forward and backward together; the paper has none.'
        )


def _row(network: Network, layer: Layer) -> tuple[str, ...]:
    maps, height, width = layer.output
    output = f"{height}×{width}×{maps}" if height * width > 1 else f"{maps}"
    found = [(stage, size) for stage, size in network.inputs() if stage.name == layer.name]
    if not found:
        return (layer.name, output, f"{network.pool.size_px}/{network.pool.stride_px}", "", "", "", "", "")
    ((stage, size),) = found
    after_px = 0 if stage.kind == "full" else network.pad_after_px(stage, size[1])
    window = f"{stage.kernel_px}/{stage.stride_px}/{stage.pad_px}" + (f" (+{after_px})" if after_px else "")
    reads = {"own": "own tower", "both": "both towers"}[stage.reads] if network.towers > 1 else "all maps"
    reads = "the image" if stage == network.stages[0] else reads
    then = ", ".join(network.operations(stage)).replace("activation", network.activation).replace("_", "-")
    if network.norm is not None and network.norm.learns:
        then = then.replace("norm", f"{network.norm.kind} norm")
    counts = (f"{layer.parameters:,}", percent(layer.parameters / network.parameters, 2), f"{layer.macs:,}")
    return (layer.name, output, "" if stage.kind == "full" else window, reads, then, *counts)
