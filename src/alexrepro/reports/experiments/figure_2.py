"""Figure 2: the network in two towers, drawn from the fields of the recipe (§3.5)."""

from matplotlib.figure import Figure

from alexrepro.paper.citation import Citation
from alexrepro.recipes.as_printed_and_run import AS_PRINTED
from alexrepro.reports.experiment import Experiment
from alexrepro.reports.figures.diagram import draw
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.tables.table import COUNT, TEXT, Record, ResultTable

TITLE = "Figure 2: the network, drawn from its fields"
COLUMNS = {
    **dict.fromkeys(("stage", "kind"), TEXT),
    **dict.fromkeys(("towers", "maps", "maps_per_tower", "side_px", "kernel_px", "stride_px"), COUNT),
    **dict.fromkeys(("reads", "then"), TEXT),
}


def _summarize(_: Evidence) -> ResultTable:
    network = AS_PRINTED.network
    sides = {layer.name: layer.output[1] for layer in network.layers()}
    rows = [
        Record(
            COLUMNS,
            {
                "stage": stage.name, "kind": stage.kind, "towers": network.towers, "maps": stage.maps,
                "maps_per_tower": stage.maps // network.towers, "side_px": sides[stage.name],
                "kernel_px": stage.kernel_px or None, "stride_px": stage.stride_px if stage.kernel_px else None,
                "reads": f"{stage.reads} tower{'s' if stage.reads == 'both' else ''}", "then": ", ".join(stage.order),
            },
        )
        for stage in network.stages
    ]  # fmt: skip
    return ResultTable("figure-2", TITLE, tuple(rows))


def _draw(_: Evidence) -> Figure:
    return draw(AS_PRINTED.network, title=f"{AS_PRINTED.name}: {AS_PRINTED.description}")


EXPERIMENT = Experiment(
    name="figure-2", title=TITLE, cites=Citation("§3.5", "Figure 2"), summarize=_summarize, draw=_draw
)
