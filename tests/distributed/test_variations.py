"""Each variation trains alone, in two towers and in two replicas, and all three compute the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.store.prepare import prepare
from alexrepro.data.store.store import Store
from alexrepro.device import find_device
from alexrepro.distributed.process_group import Parallel, ProcessGroup, connect
from alexrepro.distributed.rank import Rank
from alexrepro.errors import UserError
from alexrepro.model.alexnet import check_shardable
from alexrepro.recipes.catalog import AS_PRINTED
from alexrepro.recipes.variations import VARIATIONS

from ..ranks import run_ranks
from ..together import NARROW, Found, train_steps

BASE = NARROW.but({"network.fc8.maps": 20, "network.input_px": 67, "training.batch": 8})
FIRST = list(VARIATIONS).index("without-conv3-wider")  # those before it are in the paper's own parts
RECIPES = {name: VARIATIONS[name].of(BASE) for name in list(VARIATIONS)[FIRST:]}
STEPS = 2
EXACT = 1e-12  # float64: only sums over maps or images go in another order


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("miniature")
    write_miniature(folder / "photos", train_per_class=1, val_per_class=1, test_per_class=1)
    return prepare(folder / "photos", out=folder / "stores", workers=1)["train"].path


def of_one_rank(rank: Rank, parallel: Parallel, store: Path) -> dict[str, Found]:
    with connect(rank, find_device("cpu"), network=BASE.network, parallel=parallel) as group:
        return trained(group, store)


def trained(group: ProcessGroup, store: Path) -> dict[str, Found]:
    opened = Store.open(store)
    return {
        name: train_steps(group, recipe, opened, dtype=torch.float64, count=STEPS) for name, recipe in RECIPES.items()
    }


@pytest.mark.slow
def test_every_variation_makes_the_same_steps_in_towers_and_replicas(miniature: Path) -> None:
    alone = trained(ProcessGroup(), miniature)

    for parallel in ("tower", "data"):
        for found in run_ranks(of_one_rank, 2, parallel, miniature):
            apart = {
                f"{name}: {part}": float(np.abs(tensor - wanted).max() / max(1.0, np.abs(wanted).max()))
                for name, of_name in alone.items()
                for part, wanted in of_name.items()
                for tensor in (found[name][part],)
            }
            assert {part: distance for part, distance in apart.items() if not distance <= EXACT} == {}
    running = alone["batch-norm"]["conv1.running_var"]
    assert (running != 1).all()  # it was 1 before the first step


def test_layer_normalization_over_all_towers_is_not_divided_among_processes() -> None:
    network = VARIATIONS["layer-norm"].of(AS_PRINTED).network

    with pytest.raises(UserError, match="Layer normalization of conv1 is over the maps of all towers"):
        check_shardable(network, 2)
