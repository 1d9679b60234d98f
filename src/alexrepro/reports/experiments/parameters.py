"""The counts of §3.5: parameters, neurons and sizes, computed from the recipe beside what was printed."""

from alexrepro.paper import pictures
from alexrepro.paper.citation import Citation
from alexrepro.paper.network import Layer, Network
from alexrepro.recipes.as_printed_and_run import AS_PRINTED
from alexrepro.reports.experiment import Experiment
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.tables.table import COUNT, FRACTION, TEXT, Cell, Record, ResultTable

TITLE = "Parameters and neurons, counted from the recipe"
COLUMNS = {
    "layer": TEXT,
    "output": TEXT,
    **dict.fromkeys(("neurons", "weights", "biases", "parameters"), COUNT),
    "share": FRACTION,
    "macs": COUNT,
    **dict.fromkeys(("printed", "claim", "verdict", "note"), TEXT),
}
PRINTED_SUMS = f"{pictures.PARAMETERS} parameters, {pictures.NEURONS} neurons"


def _summarize(_: Evidence) -> ResultTable:
    network = AS_PRINTED.network
    rows = [_row(network, layer) for layer in network.layers()]
    return ResultTable("parameters", TITLE, (*rows, _total(network)))


def _row(network: Network, layer: Layer) -> Record:
    printed = pictures.CAPTION_NEURONS.get(layer.name)
    maps, height, width = layer.output
    values: dict[str, Cell] = {
        "layer": layer.name,
        "output": f"{height}×{width}×{maps}" if height > 1 else str(maps),
        "neurons": layer.neurons or None,
        "weights": layer.weights or None,
        "biases": layer.biases or None,
        "parameters": layer.parameters or None,
        "share": layer.parameters / network.parameters if layer.parameters else None,
        "macs": layer.macs or None,
        "printed": f"{printed:,}" if printed else None,
    }
    if printed and printed != layer.neurons:
        values |= {
            "claim": f"Figure 2, caption: {layer.name} has {printed:,} neurons",
            "verdict": "not reproduced",
            "note": f"a slip of the caption: {height}×{width}×{maps} = {layer.neurons:,}",
        }
    return Record(COLUMNS, values)


def _total(network: Network) -> Record:
    """The sums, and what they round to: the parameters to tens of millions, the neurons to tens of thousands."""
    millions, neurons = f"{round(network.parameters / 1e6, -1):.0f} million", f"{round(network.neurons, -4):,}"
    values: dict[str, Cell] = {
        "layer": "total",
        "neurons": network.neurons,
        "weights": sum(layer.weights for layer in network.layers()),
        "biases": sum(layer.biases for layer in network.layers()),
        "parameters": network.parameters,
        "share": 1.0,
        "macs": network.macs,
        "printed": PRINTED_SUMS,
        "claim": f"abstract: {PRINTED_SUMS}",
        "verdict": "reproduced" if (millions, neurons) == (pictures.PARAMETERS, pictures.NEURONS) else "not reproduced",
        "note": f"{network.parameters:,} parameters round to {millions}, {network.neurons:,} neurons to {neurons}",
    }
    return Record(COLUMNS, values)


EXPERIMENT = Experiment(
    name="parameters",
    title=TITLE,
    cites=Citation("§3.5", "Figure 2 and its caption"),
    summarize=_summarize,
)
