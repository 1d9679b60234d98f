"""What follows from the recipe alone (§3.5): parameters, neurons, and Figure 2, the network drawn from its fields."""

from alexrepro.paper import results
from alexrepro.paper.citation import Citation
from alexrepro.recipes.catalog import AS_PRINTED
from alexrepro.reports.experiments import Evidence, Experiment
from alexrepro.reports.figures.diagram import draw, size_text
from alexrepro.reports.tables.table import COUNT, FRACTION, TEXT, Cell, Record

COUNTS = {
    "layer": TEXT, "output": TEXT, "neurons": COUNT, "parameters": COUNT, "fraction": FRACTION, "macs": COUNT,
    "published": TEXT, "claim": TEXT, "verdict": TEXT, "note": TEXT,
}  # fmt: skip
PUBLISHED_SUMS = f"{results.PARAMETERS} parameters, {results.NEURONS} neurons"


def _parameters(_: Evidence) -> list[Record]:
    """The layers; parameters were published to tens of millions, neurons to tens of thousands."""
    network = AS_PRINTED.network
    rows = []
    for layer in network.layers():
        values: dict[str, Cell] = {name: getattr(layer, name) or None for name in ("neurons", "parameters", "macs")}
        values |= {"layer": layer.name, "output": size_text(layer.output)}
        values["fraction"] = layer.parameters / network.parameters if layer.parameters else None
        published = results.CAPTION_NEURONS.get(layer.name)
        values["published"] = f"{published:,}" if published else None
        if published and published != layer.neurons:
            values |= {
                "claim": f"Figure 2, caption, neurons of {layer.name}: {published:,}",
                "verdict": "slip of the paper",
                "note": f"{size_text(layer.output)} = {layer.neurons:,}",
            }
        rows.append(Record(COUNTS, values))
    millions, neurons = f"{round(network.parameters / 1e6, -1):.0f} million", f"{round(network.neurons, -4):,}"
    is_rounded = (millions, neurons) == (results.PARAMETERS, results.NEURONS)
    total: dict[str, Cell] = {
        "layer": "total", "neurons": network.neurons, "parameters": network.parameters, "fraction": 1.0,
        "macs": network.macs, "published": PUBLISHED_SUMS, "claim": f"abstract, size of the network: {PUBLISHED_SUMS}",
        "verdict": "reproduced" if is_rounded else "slip of the paper",
        "note": f"{network.parameters:,} parameters round to {millions}, {network.neurons:,} neurons to {neurons}",
    }  # fmt: skip
    return [*rows, Record(COUNTS, total)]


PARAMETERS = Experiment(
    "parameters", "Parameters and neurons, counted from the recipe", Citation("§3.5", "Figure 2 and its caption"),
    summarize=_parameters,
)  # fmt: skip
FIGURE_2 = Experiment(
    "figure-2", "Figure 2: the network, drawn from its fields", Citation("§3.5", "Figure 2"), summarize=_parameters,
    draw=lambda evidence: (
        None if evidence.is_chosen else draw(AS_PRINTED.network, title="Figure 2: the network as printed")
    ),
    lacks=lambda evidence: [
        f"alexrepro describe {run.recipe_file} --figure figure-2.svg" for run in evidence.runs if evidence.is_chosen
    ],
)  # fmt: skip
