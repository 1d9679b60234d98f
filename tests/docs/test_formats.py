"""The pages on formats name what the code writes."""

from dataclasses import fields
from pathlib import Path

import pytest

from alexrepro.data.store import manifest as store_files
from alexrepro.data.store.manifest import FORMAT, Manifest
from alexrepro.data.store.shard_rows import SCHEMA as STORE_SCHEMA
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.paths import MODEL, OPTIMIZER, STATE, RunPaths
from alexrepro.runs.predictions import SCHEMA as PREDICTIONS_SCHEMA
from alexrepro.runs.rows import METRICS, VALIDATION
from alexrepro.runs.run import Run

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
STORE, RUN = (REFERENCE / name for name in ("store-format.md", "run-folder.md"))
FOLDER = Path("folder")

IN_STORE = [
    *(field.name for field in fields(Manifest)), *STORE_SCHEMA.names,
    *(getattr(store_files, name) for name in ("MANIFEST", "MEAN", "COLOR_AXES", "DEFECTS")),
]  # fmt: skip
FOUND = RunPaths(FOLDER)
TESTED = (FOUND.predictions("x", "ten"), FOUND.probabilities("x", "ten"))
IN_RUN = [
    *METRICS, *VALIDATION, *(field.name for field in fields(Evaluation)), MODEL, OPTIMIZER, STATE,
    *(name for name in PREDICTIONS_SCHEMA.names if name[-1] not in "234"),  # the page writes `top1` … `top5`
    *(path.name for path in (Run(FOLDER).recipe_file, Run(FOLDER).pixels_file, Run(FOLDER).neighbors_file)),
    *(path.parent.name for path in TESTED),
]  # fmt: skip
PAIRS = [(page, name) for page, names in ((STORE, IN_STORE), (RUN, IN_RUN)) for name in dict.fromkeys(names)]


@pytest.mark.parametrize(("page", "name"), PAIRS, ids=lambda value: value.stem if isinstance(value, Path) else value)
def test_the_page_names_what_is_written(page: Path, name: str) -> None:
    text = page.read_text(encoding="utf-8")

    assert any(f"{before}{name}{after}" in text for before in "` /(" for after in "` /.,"), name


def test_the_page_of_the_store_tells_the_version_that_is_written() -> None:
    assert f"the version of this page: {FORMAT};" in STORE.read_text(encoding="utf-8")
