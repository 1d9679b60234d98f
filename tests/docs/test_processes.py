"""What the pages on several processes say: the numbers of the towers, and a batch script that continues by itself."""

import os
import re
import subprocess
from math import prod
from pathlib import Path

import pytest

from alexrepro.paper.network import Network, Stage
from alexrepro.paper.results import LOGGED, TEST_2010, VAL_2012
from alexrepro.recipes.catalog import AS_RUN_2012, find_recipe

DOCS = Path(__file__).parents[2] / "docs"
TOWERS = (DOCS / "explanation" / "two-towers.md").read_text(encoding="utf-8")
NETWORK = AS_RUN_2012.network
ONE_TOWER = AS_RUN_2012.but({"network.towers": 1}).network


def weights(network: Network) -> dict[str, int]:
    return {layer.name: layer.weights for layer in network.layers()}


def gathered(stage: Stage, size: tuple[int, int, int]) -> int:
    """What each process needs of the other for an image, and its own part of it."""
    return prod(size) if stage.reads == "both" and stage is not NETWORK.stages[0] else 0


@pytest.mark.parametrize(("stage", "size"), list(NETWORK.inputs()), ids=lambda part: getattr(part, "name", ""))
def test_the_table_of_the_towers_is_that_of_the_network(stage: Stage, size: tuple[int, int, int]) -> None:
    (row,) = re.findall(rf"^\| {stage.name} \| .*$", TOWERS, re.MULTILINE)
    reads = {"own": "its own tower", "both": "both towers"}[stage.reads] if stage.name != "conv1" else "the image"
    half, whole = weights(NETWORK)[stage.name], weights(ONE_TOWER)[stage.name]

    assert row == f"| {stage.name} | {reads} | {half:,} | {whole:,} | {gathered(stage, size):,} |"


def test_the_sums_that_the_page_speaks_of_are_those_of_the_network() -> None:
    values = sum(gathered(*stage) for stage in NETWORK.inputs()) + NETWORK.classes

    assert f"{values:,} values are gathered" in TOWERS
    assert f"{4 * values / 2000:.1f} kB forward" in TOWERS
    assert f"{4 * (values - NETWORK.classes) / 2000:.1f} kB back" in TOWERS
    assert f"{sum(weights(ONE_TOWER).values()) - sum(weights(NETWORK).values()):,}, a fortieth" in TOWERS
    assert f"{NETWORK.macs / 1e6:,.0f} million" in TOWERS
    assert f"{ONE_TOWER.macs / 1e6:,.0f} million" in TOWERS
    assert f"{4 * NETWORK.parameters / 1e6:.0f} MB" in TOWERS
    assert f"{find_recipe('net-145-half').network.parameters:,} in place of {NETWORK.parameters:,}" in TOWERS


@pytest.mark.parametrize(
    ("recipe", "config", "split", "named"),
    [
        ("as-run-2010", "145-2010", TEST_2010, "ILSVRC-2010, test"),
        ("net-145-half", "145-half", TEST_2010, "ILSVRC-2010, test"),
        ("as-run-2012", "145", VAL_2012, "ILSVRC-2012, validation"),
        ("net-150", "150", VAL_2012, "ILSVRC-2012, validation"),
    ],
)
def test_the_noted_errors_are_those_of_the_logbook(recipe: str, config: str, split: str, named: str) -> None:
    noted = next(e for e in LOGGED if (e.config, e.split, e.crops, e.part) == (config, split, "ten", ""))
    (row,) = re.findall(rf"^\| `{recipe}` \| .*$", TOWERS, re.MULTILINE)

    assert f"| {100 * noted.top1_error:.2f} %, {100 * noted.top5_error:.2f} % ({named}) |" in row


@pytest.mark.parametrize(("code", "requeued"), [(75, ["requeue 4711"]), (0, []), (70, []), (130, [])])
def test_the_batch_script_continues_only_what_was_stopped(tmp_path: Path, code: int, requeued: list[str]) -> None:
    page = (DOCS / "how-to" / "cluster.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    for name, does in {"srun": f'echo "$@" >> srun; exit {code}', "scontrol": 'echo "$@" >> scontrol'}.items():
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "SLURM_JOB_ID": "4711", "SLURM_CPUS_PER_TASK": "8"}

    ended = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, check=False)

    asked = tmp_path / "scontrol"
    assert ended.returncode == code
    assert (asked.read_text().splitlines() if asked.exists() else []) == requeued
    assert " alexrepro train as-run-2012 " in (tmp_path / "srun").read_text()
