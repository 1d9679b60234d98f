"""Where and how a program is started changes no byte of a store and no bit of a run."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from alexrepro.data.store.store import find_stores
from alexrepro.files import sha256_of_file
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.run import find_runs

from ..toy import picture

BOTH = """
import sys
from alexrepro.__main__ import main
for command in ("prepare {photos} --out stores --workers 1", "train {toy} --no-compile --device cpu"):
    sys.argv = ["alexrepro", *command.split()]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
"""
ENVIRONMENTS = (
    {"TZ": "Asia/Kolkata", "LC_ALL": "C", "PYTHONHASHSEED": "1", "USER": "one", "COLUMNS": "40"},
    {"TZ": "America/Caracas", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2", "USER": "two", "HOME": "/nowhere"},
)


def photos(folder: Path) -> Path:
    generator = np.random.default_rng(0)
    for split, count in {"train": 20, "val": 5}.items():
        for kind in ("stripes", "spots"):
            (folder / split / kind).mkdir(parents=True)
            for number in range(count):
                path = folder / split / kind / f"{number}.JPEG"
                path.write_bytes(simplejpeg.encode_jpeg(picture(kind, generator), quality=95))
    return folder


def digests(folder: Path) -> dict[str, str]:
    """What a store and a run hold, apart from times, pace and what is recorded of the machine."""
    stores = {f"{store.path.name} {s.file}": s.sha256 for store in find_stores(folder) for s in store.manifest.shards}
    (run,) = find_runs(folder / "runs")
    (final,) = sorted(run.checkpoints.glob("step-*"))[-1:]
    weights = {file.name: sha256_of_file(file) for file in final.iterdir()}
    rows = [{name: cell for name, cell in row.items() if name != "images_per_second"} for row in run.metrics]
    return stores | weights | {"run": str(run.folder.relative_to(folder)), "rows": f"{rows} {run.validations}"}


@pytest.mark.slow
def test_time_zone_locale_hash_seed_home_and_folder_change_nothing(tmp_path: Path, recipe: Recipe) -> None:
    started = []
    for number, variables in enumerate(ENVIRONMENTS):
        folder = tmp_path / f"place {number}"
        source = photos(tmp_path / f"disk-{number}" / "pictures")
        folder.mkdir()
        (folder / "toy.toml").write_text(recipe.to_toml())
        program = BOTH.format(photos=source, toy="toy.toml")
        started.append(
            subprocess.Popen([sys.executable, "-c", program], cwd=folder, env=os.environ | variables, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        )  # fmt: skip
    for program in started:
        _, said = program.communicate(timeout=300)
        assert program.returncode == 0, said

    one, other = (digests(tmp_path / f"place {number}") for number in range(2))
    assert len(one) > 5
    assert one == other
