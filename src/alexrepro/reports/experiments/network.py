"""What follows from the recipe alone (§3.5): parameters and neurons, and Figure 2, the network in two towers."""

from matplotlib.figure import Figure

from alexrepro.paper import pictures
from alexrepro.paper.citation import Citation
from alexrepro.recipes.as_printed_and_run import AS_PRINTED
from alexrepro.reports.experiment import Experiment
from alexrepro.reports.figures.diagram import draw
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.tables.table import COUNT, FRACTION, TEXT, Cell, Record

COUNTS = {
    **dict.fromkeys(("layer", "output"), TEXT),
    **dict.fromkeys(("neurons", "parameters"), COUNT),
    "fraction": FRACTION,
    "macs": COUNT,
    **dict.fromkeys(("published", "claim", "verdict", "note"), TEXT),
}
PUBLISHED_SUMS = f"{pictures.PARAMETERS} parameters, {pictures.NEURONS} neurons"


def _parameters(_: Evidence) -> list[Record]:
    """The layers; parameters were published to tens of millions, neurons to tens of thousands."""
    network = AS_PRINTED.network
    rows = []
    for layer in network.layers():
        maps, height, width = layer.output
        values: dict[str, Cell] = {name: getattr(layer, name) or None for name in ("neurons", "parameters", "macs")}
        values |= {"layer": layer.name, "output": f"{height}×{width}×{maps}" if height > 1 else str(maps)}
        values["fraction"] = layer.parameters / network.parameters if layer.parameters else None
        published = pictures.CAPTION_NEURONS.get(layer.name)
        values["published"] = f"{published:,}" if published else None
        if published and published != layer.neurons:
            values |= {
                "claim": f"Figure 2, caption: {layer.name} has {published:,} neurons",
                "verdict": "not reproduced",
                "note": f"a slip of the caption: {height}×{width}×{maps} = {layer.neurons:,}",
            }
        rows.append(Record(COUNTS, values))
    millions, neurons = f"{round(network.parameters / 1e6, -1):.0f} million", f"{round(network.neurons, -4):,}"
    is_rounded = (millions, neurons) == (pictures.PARAMETERS, pictures.NEURONS)
    total: dict[str, Cell] = {
        "layer": "total",
        "neurons": network.neurons,
        "parameters": network.parameters,
        "fraction": 1.0,
        "macs": network.macs,
        "published": PUBLISHED_SUMS,
        "claim": f"abstract: {PUBLISHED_SUMS}",
        "verdict": "reproduced" if is_rounded else "not reproduced",
        "note": f"{network.parameters:,} parameters round to {millions}, {network.neurons:,} neurons to {neurons}",
    }
    return [*rows, Record(COUNTS, total)]


def _draw(_: Evidence) -> Figure:
    return draw(AS_PRINTED.network, title=f"{AS_PRINTED.name}: {AS_PRINTED.description}")


PARAMETERS = Experiment(
    name="parameters",
    title="Parameters and neurons, counted from the recipe",
    cites=Citation("§3.5", "Figure 2 and its caption"),
    summarize=_parameters,
)
FIGURE_2 = Experiment(
    name="figure-2",
    title="Figure 2: the network, drawn from its fields",
    cites=Citation("§3.5", "Figure 2"),
    summarize=_parameters,
    draw=_draw,
)
