"""Where and how a program is started changes no byte of a store and no bit of a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from alexrepro.data.store.store import find_stores
from alexrepro.files import sha256_of_file
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.run import find_runs

from ..toy import without_pace, write_images

BOTH = """
import sys
from alexrepro.__main__ import main
for command in ("prepare {images} --out stores --workers 1", "train toy.toml --no-compile --device cpu"):
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


def digests(folder: Path) -> dict[str, str]:
    """Contents of a store and a run, apart from times, pace and what is recorded of the machine."""
    stores = {f"{store.path.name} {s.file}": s.sha256 for store in find_stores(folder) for s in store.manifest.shards}
    (run,) = find_runs(folder / "runs")
    (*_, final) = sorted(run.checkpoints.glob("step-*"))
    weights = {file.name: sha256_of_file(file) for file in final.iterdir()}
    rows = f"{without_pace(run).to_csv()} {run.validations.to_csv()}"
    return stores | weights | {"run": str(run.folder.relative_to(folder)), "rows": rows}


@pytest.mark.slow
def test_time_zone_locale_hash_seed_home_and_folder_change_nothing(tmp_path: Path, recipe: Recipe) -> None:
    folders, started = [tmp_path / "folder 1", tmp_path / "folder 2"], []
    for number, (folder, variables) in enumerate(zip(folders, ENVIRONMENTS, strict=True)):
        images = tmp_path / f"disk-{number}" / "pictures"
        write_images(images, {"train": 12, "val": 2})
        folder.mkdir()
        (folder / "toy.toml").write_text(recipe.to_toml())
        command, env = [sys.executable, "-c", BOTH.format(images=images)], os.environ | variables
        started.append(subprocess.Popen(command, cwd=folder, env=env, text=True, stdout=-1, stderr=-1))
    for program in started:
        _, messages = program.communicate(timeout=300)
        assert program.returncode == 0, messages

    one, other = map(digests, folders)
    assert len(one) > 5
    assert one == other
