"""Any grid of processes computes what one does: outputs, gradients and twenty steps, with dropout and color shift."""

from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from alexrepro.data.store.store import Store
from alexrepro.device import find_device
from alexrepro.distributed.process_group import Parallel, ProcessGroup, connect
from alexrepro.distributed.rank import Rank
from alexrepro.model.alexnet import build
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012
from alexrepro.recipes.recipe import Recipe

from ..ranks import run_ranks
from ..together import CHANGES, NARROW, Found, train_steps

GRIDS = [(2, "tower"), (2, "data"), (4, "tower"), pytest.param(3, "data", marks=pytest.mark.long)]
SLOWER = {  # for a batch of 13 in place of 128
    "training.batch": 13, "training.learning_rate": 1e-4, "training.bias_learning_rate": 1e-4,
}  # fmt: skip
FULL = "as-run-2012 at full width, float64"
CASES = {  # recipe, number format, steps; of batches of 13, 13, 13 and 1 image, so that some replicas have none
    "as-run-2012, float32": (NARROW, torch.float32, 20),
    "as-run-2012, float64": (NARROW, torch.float64, 20),
    "as-printed, float64": (AS_PRINTED.but({**CHANGES, "network.fc8.maps": 3}), torch.float64, 4),  # fc8 held whole
    # In float32 a single ReLU or maximum, of millions, that rounding decides otherwise would move a gradient by 1e-3.
    FULL: (AS_RUN_2012.but(SLOWER), torch.float64, 20),  # the 40 images are of two of its thousand classes
}
EXACT = 1e-12  # float64; only sums over maps or images go in another order
LIMITS = {"output": 1e-6, "gradient": 1e-5, "velocity": 1e-3, "loss": 1e-5, "update": 1e-3}  # float32: rounding


def of_one_rank(rank: Rank, parallel: Parallel, store: Path, names: list[str]) -> dict[str, tuple[str, Found]]:
    """A digest of all numbers by case, and from the first rank the numbers themselves: they are large."""
    opened, device = Store.open(store), find_device("cpu")
    found_by_case: dict[str, tuple[str, Found]] = {}
    with connect(rank, device, network=NARROW.network, parallel=parallel) as group:
        for name in names:
            found = of_case(group, opened, name)
            digest = sha256()
            for tensor in found.values():
                digest.update(np.ascontiguousarray(tensor))
            found_by_case[name] = digest.hexdigest(), found if group.is_first else {}
    return found_by_case


def of_case(group: ProcessGroup, store: Store, name: str) -> Found:
    recipe, dtype, count = CASES[name]
    return train_steps(group, recipe, store, dtype=dtype, count=count)


@cache  # for every grid
def of_one_process(store: Path, name: str) -> Found:
    return of_case(ProcessGroup(), Store.open(store), name)


def distances(found: Found, expected: Found, recipe: Recipe) -> dict[str, float]:
    """The largest relative distance, in the root of summed squares, of each kind of tensor; of weights, to the way."""
    first = build(recipe.network, seed=1).named_kernels()
    kinds: dict[str, float] = dict.fromkeys(LIMITS, 0.0)
    for name, wanted in expected.items():
        kind = {"logits": "output", "losses": "loss"}.get(name) or (name.split()[0] if " of " in name else "update")
        way = wanted - first[name].detach().numpy() if kind == "update" else wanted
        apart = float(np.linalg.norm(found[name].astype(np.float64) - wanted) / np.linalg.norm(way))
        kinds[kind] = max(kinds[kind], apart if np.isfinite(apart) else np.inf)
    return kinds


def check(size: int, parallel: Parallel, store: Path, names: list[str]) -> None:
    ranks = run_ranks(of_one_rank, size, parallel, store, names)
    for name in names:
        recipe, dtype, _ = CASES[name]
        expected = of_one_process(store, name)
        limits = LIMITS if dtype == torch.float32 else dict.fromkeys(LIMITS, EXACT)
        found = distances(ranks[0][name][1], expected, recipe)
        print(f"{size} ranks, {name}:", *(f"{kind} {apart:.1e}" for kind, apart in found.items()))
        assert {kind: apart for kind, apart in found.items() if apart > limits[kind]} == {}
        assert {rank[name][0] for rank in ranks} == {ranks[0][name][0]}  # every rank ends with the same bits
        assert expected["losses"][-1] != pytest.approx(expected["losses"][0], rel=1e-3)  # something was learned


@pytest.mark.slow
@pytest.mark.parametrize(("size", "parallel"), GRIDS)
def test_any_grid_of_processes_makes_the_steps_of_one(stores: dict[str, Store], size: int, parallel: Parallel) -> None:
    check(size, parallel, stores["train"].path, [name for name in CASES if name != FULL])


@pytest.mark.long
@pytest.mark.parametrize("parallel", ["tower", "data"])  # more processes would take over 10 GB of memory
def test_any_grid_makes_the_steps_of_one_at_full_width(stores: dict[str, Store], parallel: Parallel) -> None:
    check(2, parallel, stores["train"].path, [FULL])
