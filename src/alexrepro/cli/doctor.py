"""`alexrepro doctor`: will a training run here, and how long? Or: is what lies on the disk what was written?"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexrepro.cli.choose import choose_recipe, split_name, training_store, validation_store
from alexrepro.cli.options import RUNS, DeviceName, Epochs, Json, Runs, Seed, Set, StorePath
from alexrepro.cli.show import print_json, print_table
from alexrepro.distributed.launchers import ended_at_once
from alexrepro.errors import Exit, UserError

if TYPE_CHECKING:
    from alexrepro.diagnostics.system_checks import Finding


@ended_at_once()
def doctor(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Stores to verify, byte by byte; nothing else is looked at.", show_default=False),
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Recipe or TOML file. Default: by the data set.")] = None,
    store: StorePath = None,
    runs: Runs = RUNS,
    seed: Seed = 0,
    epochs: Epochs = None,
    changes: Set = None,
    device_name: DeviceName = "auto",
    full: Annotated[bool, typer.Option("--full", help="Compare every byte of all stores, too.")] = False,
    json: Json = False,
) -> None:
    """Check everything before the first update.

    Looks at versions, GPUs, processors, memory, disk, open files, stores and recipe, at the first signal through the
    untrained network, and at the time to finish; says of each whether it is fine and what to do. Changes nothing. Ends
    with the exit code of the first thing that is wrong. With paths of stores, compares every byte of them with its
    checksum instead, and ends with exit code 65 if anything is wrong.

    Example:  alexrepro doctor --recipe as-run-2012
    """
    if paths:
        _verify(paths, json)
        return

    from alexrepro.data.store.manifest import MANIFEST
    from alexrepro.diagnostics.preflight import of_job, of_machine, of_stores
    from alexrepro.diagnostics.system_checks import refused
    from alexrepro.training.job import TrainingJob

    findings, device = of_machine(device_name)
    named = split_name(store)[0]
    folders = sorted(p.parent for p in named.rglob(MANIFEST) if not p.parent.name.startswith("."))
    findings += of_stores(folders, every_byte=full)
    try:
        data = training_store(store)
    except UserError as refusal:
        findings.append(refused("store", refusal))
    else:
        chosen = choose_recipe(recipe, dataset=data.manifest.dataset, changes=changes or (), epochs=epochs)
        validation = validation_store(data)
        if device is not None:
            job = TrainingJob(chosen, store=data, validation=validation, runs=runs, seed=seed, device=device)
            findings += of_job(job)
    _show(findings, json)


def _show(findings: Sequence["Finding"], json: bool) -> None:
    code = next((finding.exit_code for finding in findings if finding.verdict == "wrong"), Exit.OK)
    if json:
        print_json({"findings": [_row(finding) for finding in findings], "exit_code": int(code)})
    else:
        columns = ("what", "verdict", "found", "what to do")
        print_table("Check-up", columns, [(f.what, f.verdict, f.found, f.advice) for f in findings])
    if code:
        raise typer.Exit(int(code))


def _row(finding: "Finding") -> dict[str, object]:
    return {
        "what": finding.what,
        "verdict": finding.verdict,
        "found": finding.found,
        "advice": finding.advice,
        **({"facts": dict(finding.facts)} if finding.facts else {}),
        **({"exit_code": int(finding.exit_code)} if finding.verdict == "wrong" else {}),
    }


def _verify(folders: Sequence[Path], json: bool) -> None:
    from alexrepro.data.store.decode import pillow_at_work
    from alexrepro.data.store.verify import verify

    found = {str(folder): verify(folder) for folder in folders}
    if json:
        reports = [{"store": store, "problems": problems} for store, problems in found.items()]
        print_json({"pillow": pillow_at_work(), "stores": reports})
    else:
        rows = [(store, problem) for store, problems in found.items() for problem in problems or ["sound"]]
        print_table("Stores", ("store", "finding"), rows)
    if any(found.values()):
        raise typer.Exit(int(Exit.BAD_DATA))
