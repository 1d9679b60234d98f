"""What every test may ask for: one torch thread, and the sample data beside the checkout."""

import atexit
import gc
import os
import sys
from multiprocessing import forkserver
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

os.register_at_fork(after_in_child=forkserver._forkserver.__init__)  # which cannot use the server of its parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option by which the recipes are compared with the released 2012 files themselves."""
    parser.addoption(
        "--released-2012", type=Path, metavar="PATH",
        help="folder of the released 2012 code, or a table of its settings: compare the recipes with it",
    )  # fmt: skip


def pytest_collection_finish() -> None:
    """Leaves all modules out of garbage collections, which would visit a million objects each time."""
    gc.freeze()
    atexit.register(gc.unfreeze)


@pytest.fixture(scope="session", autouse=True)
def unsynced() -> None:
    """No test waits for the disk: only a loss of power tells what was synced from what was written."""
    os.fsync = os.fstat  # type: ignore[assignment]  # which fails for the same descriptors


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    """One thread where torch is loaded, so that sums have one order; torch is never loaded for this."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of sample images, ../shared/data beside the checkout; skips where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no sample data: there is no folder ../shared/data beside the checkout")
    return SHARED_DATA
