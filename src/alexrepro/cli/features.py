"""`alexrepro features`: Figure 4's predictions and nearest neighbors of a run."""

from pathlib import Path
from typing import Annotated

import typer

from alexrepro.cli.choose import choose_run
from alexrepro.cli.options import RUNS, DeviceName, Json, Runs, StorePath
from alexrepro.cli.show import print_json
from alexrepro.cli.stores import evaluation_store, store_of
from alexrepro.distributed.rank import ended_at_once
from alexrepro.progress import wrote


@ended_at_once()
def features(
    run: Annotated[Path | None, typer.Argument(help="Run folder. Default: the newest complete run in --runs.")] = None,
    store: StorePath = None,
    runs: Runs = RUNS,
    device_name: DeviceName = "auto",
    json: Json = False,
) -> None:
    """Compute top-5 predictions and nearest neighbors for Figure 4.

    Reads a run's newest checkpoint, eight and five test images sampled with a fixed seed, and every image of the
    training store. Writes RUN/neighbors.safetensors, which `report figure-4` draws, and RUN/neighbors.csv.

    Example:  alexrepro features
    """
    from alexrepro.device import find_device
    from alexrepro.evaluation.nearest_neighbors import find_neighbors

    device = find_device(device_name)
    chosen = choose_run(run, runs=runs)
    test = evaluation_store(store, chosen)
    train = store_of("train", test.path.parent / chosen.environment["dataset"])
    found = find_neighbors(chosen, train=train, test=test, device=device)
    files = (chosen.neighbors_file, chosen.neighbors_table)
    if json:
        facts = {"run": str(chosen.folder), "stage": found.stage, "searched": found.searched, "file": str(files[0])}
        print_json({**facts, "table": str(files[1])})
        return
    print(f"Nearest neighbors by {found.stage} among {found.searched:,} training images.")
    wrote(*files, then="alexrepro report figure-4", on=chosen.folder)
