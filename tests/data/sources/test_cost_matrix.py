"""The hierarchical costs of ILSVRC-2010 reach the stores, and evaluation counts by them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from alexrepro.data.sources.cost_matrix import cost_matrix
from alexrepro.data.sources.devkit import class_table, truth
from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.store.prepare import prepare
from alexrepro.errors import UserError
from alexrepro.evaluation.metrics import answers


@pytest.fixture(scope="module")
def devkit(shared_data: Path) -> Path:
    return shared_data / "ilsvrc2010-devkit"


@pytest.mark.shared
def test_the_real_devkit_is_read(devkit: Path) -> None:
    table = class_table(devkit, "2010")
    ids = truth(devkit, "ILSVRC2010_validation_ground_truth.txt", classes=1000)
    costs = cost_matrix(devkit, classes=1000)

    assert table is not None
    assert ids is not None
    assert costs is not None
    assert (len(table.wnids), len(set(table.wnids)), sum(table.train_counts)) == (1000, 1000, 1_261_406)
    assert (table.wnids[0], table.wnids[-1]) == ("n07711080", "n04554684")  # french fries, washer: not sorted
    assert (len(ids), sorted(set(ids))) == (50_000, list(range(1, 1001)))
    assert (costs.shape, costs.min(), costs.max()) == ((1000, 1000), 0, 18)
    assert np.array_equal(costs, costs.T)


@pytest.mark.shared
def test_costs_equal_a_plain_loop_over_guesses(devkit: Path) -> None:
    costs = cost_matrix(devkit, classes=1000)
    assert costs is not None
    draws = np.random.default_rng(0)
    probabilities = draws.dirichlet(np.full(1000, 0.1), 64)
    labels = draws.integers(0, 1000, 64)

    found = answers(torch.from_numpy(probabilities), torch.from_numpy(labels), torch.from_numpy(costs)).costs

    assert found is not None
    for row, label, cost in zip(probabilities, labels, found.tolist(), strict=True):
        assert cost == min(costs[guess, label] for guess in np.argsort(-row)[:5])  # the matrix is symmetric


def test_stores_of_2010_hold_the_costs_and_others_none(tmp_path: Path) -> None:
    write_miniature(tmp_path / "small", train_per_class=1, val_per_class=1, test_per_class=1)
    stores = prepare(tmp_path / "small", out=tmp_path / "stores", processes=1)
    plain = prepare(tmp_path / "small/train", out=tmp_path / "stores", processes=1, max_bad=1)["train"]
    costs = stores["val"].costs()

    assert costs is not None
    assert np.array_equal(costs, cost_matrix(tmp_path / "small", classes=20))
    assert plain.costs() is None
    (stores["val"].path / "costs.npy").write_bytes(b"\x93NUMPY nothing")
    with pytest.raises(UserError, match=r"costs\.npy does not have its checksum"):
        stores["val"].costs()


def test_costs_of_another_size_are_refused(tmp_path: Path) -> None:
    write_miniature(tmp_path, train_per_class=1, val_per_class=1, test_per_class=1)

    with pytest.raises(UserError, match="not 19x19"):
        cost_matrix(tmp_path, classes=19)
