"""The program beside drawn images and their stores."""

from pathlib import Path
from shutil import copytree

import pytest

from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.store.prepare import prepare

from ..program import Program


@pytest.fixture(scope="session")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with drawn images in photos/ and their stores in stores/; not to be changed."""
    folder = tmp_path_factory.mktemp("miniature")
    write_miniature(folder / "photos", train_per_class=4, val_per_class=1, test_per_class=2)
    prepare(folder / "photos", out=folder / "stores", workers=1)
    return folder


@pytest.fixture(scope="module")
def alexrepro(miniature: Path, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The program in a copy of that folder."""
    return Program(Path(copytree(miniature, tmp_path_factory.mktemp("work") / "folder")))
