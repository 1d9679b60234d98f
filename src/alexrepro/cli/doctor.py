"""`alexrepro doctor`: will a training run on this machine, and how long will it take?"""

from dataclasses import asdict
from typing import Annotated

import typer

from alexrepro.cli import options
from alexrepro.cli.choose import choose_recipe
from alexrepro.cli.show import print_result
from alexrepro.cli.stores import store_of, validation_store
from alexrepro.distributed.rank import ended_at_once
from alexrepro.errors import Exit, UserError
from alexrepro.files import listed


@ended_at_once()
def doctor(
    recipe: Annotated[str | None, typer.Argument(help="Recipe name or TOML file. Default: by the data set.")] = None,
    store: options.StorePath = None,
    runs: options.Runs = options.RUNS,
    seed: options.Seed = 0,
    epochs: options.Epochs = None,
    changes: options.Set = None,
    device_name: options.DeviceName = "auto",
    json: options.Json = False,
) -> None:
    """Check everything before a training.

    Checks library versions, GPUs, CPU cores, memory, disk, stores, recipe and activation statistics at initialization,
    and estimates the training time. Changes nothing. Exits with the code of the first error.

    Example:  alexrepro doctor as-run-2012
    """
    from alexrepro.data.store.manifest import MANIFEST
    from alexrepro.diagnostics.preflight import check_job, check_machine, check_stores
    from alexrepro.diagnostics.system_checks import refused
    from alexrepro.training.job import TrainingJob

    findings, device = check_machine(device_name)
    folder = options.split_name(store)[0]
    findings += check_stores(
        sorted(p.parent for p in listed(folder).rglob(MANIFEST) if not p.parent.name.startswith("."))
    )
    try:
        data = store_of("train", store)
    except UserError as error:
        findings.append(refused("store", error))
    else:
        chosen = choose_recipe(recipe, dataset=data.manifest.dataset, changes=changes or (), epochs=epochs)
        validation = validation_store(data)
        if device is not None:
            job = TrainingJob(chosen, store=data, validation=validation, runs=runs, seed=seed, device=device)
            findings += check_job(job)
    code = next((finding.exit_code for finding in findings if finding.verdict == "error"), Exit.OK)
    result = {"findings": [asdict(finding) for finding in findings], "exit_code": int(code)}
    rows = [(finding.what, finding.verdict, finding.found, finding.advice) for finding in findings]
    print_result(result, "Preflight", ("check", "verdict", "found", "what to do"), rows, json=json)
    if code:
        raise typer.Exit(int(code))
