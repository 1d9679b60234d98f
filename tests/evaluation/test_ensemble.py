"""Averages of runs: equal to a plain loop, weighted, mapped by class, and refused where they make no sense."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import UserError
from alexrepro.evaluation.ensemble import evaluate_runs
from alexrepro.files import read_json, write_json
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.evaluation import Findings, find_ensembles
from alexrepro.runs.run import Run
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train


@pytest.fixture(scope="module")
def pair(
    stores: dict[str, Store], recipe: Recipe, device: Device, tmp_path_factory: pytest.TempPathFactory
) -> list[Run]:
    """Two runs that differ in the seed."""
    runs = tmp_path_factory.mktemp("runs")
    return [
        train(TrainingJob(recipe, store=stores["train"], validation=None, runs=runs, seed=seed, device=device))
        for seed in (0, 1)
    ]


def probabilities(folder: Path, store: Store) -> np.ndarray:
    return load_file(Findings(folder).probabilities(store.manifest.full_name, "ten"))["probabilities"]


def tested(runs: list[Run], store: Store, device: Device, **settings: Any) -> Path:
    """The folder that testing over ten crops writes to."""
    folder = runs[0].folder.parent.parent
    found = evaluate_runs(runs, store, crops="ten", device=device, folder=folder, save_probabilities=True, **settings)
    return Path(found[-1].run)


@pytest.mark.parametrize(("weights", "shares"), [((), (0.5, 0.5)), ((3.0, 1.0), (0.75, 0.25))])
def test_an_average_equals_a_plain_loop_over_its_members(
    pair: list[Run], stores: dict[str, Store], device: Device, weights: tuple[float, ...], shares: tuple[float, ...]
) -> None:
    store = stores["test"]
    single = [probabilities(tested([run], store, device), store) for run in pair]
    expected = sum(share * one for share, one in zip(shares, single, strict=True))

    folder = tested(pair, store, device, weights=weights)

    np.testing.assert_allclose(probabilities(folder, store), expected, atol=1e-7)  # float32
    (ten,) = (e for e in Findings(folder).evaluations if e.crops == "ten")
    assert ten.top1_correct == int((expected.argmax(1) == store.labels).sum())
    assert ten.loss == pytest.approx(-np.log(expected[np.arange(18), store.labels]).mean(), rel=1e-5)
    assert sorted(member.weight for member in ten.members) == sorted(shares)


def test_an_average_is_found_again_with_its_members(pair: list[Run], stores: dict[str, Store], device: Device) -> None:
    runs = pair[0].folder.parent.parent

    made = evaluate_runs(pair, stores["val"], crops="ten", device=device, folder=runs)

    assert [e for e in find_ensembles(runs) if e.split == made[0].split] == made
    assert {member.run for member in made[0].members} == {str(run.folder) for run in pair}


def test_the_order_in_which_runs_are_named_changes_nothing(
    pair: list[Run], stores: dict[str, Store], device: Device
) -> None:
    settings: dict[str, Any] = {"crops": "ten", "device": device, "folder": pair[0].folder.parent.parent}

    one = evaluate_runs(pair, stores["val"], weights=(1, 2), **settings)
    other = evaluate_runs(pair[::-1], stores["val"], weights=(2, 1), **settings)

    assert one == other


def test_a_member_whose_classes_stand_in_another_order_is_mapped(
    pair: list[Run], stores: dict[str, Store], device: Device, tmp_path: Path
) -> None:
    turned = tmp_path / "runs" / pair[1].folder.parent.name / "turned"
    shutil.copytree(pair[1].folder, turned)
    shutil.copy(pair[1].folder.parent / "recipe.toml", turned.parent)
    environment = read_json(turned / "environment.json")
    write_json(turned / "environment.json", {**environment, "classes": environment["classes"][::-1]})
    same = tested([pair[1]], stores["val"], device)

    found = tested([Run(turned)], stores["val"], device)

    assert torch.equal(
        torch.from_numpy(probabilities(found, stores["val"])),
        torch.from_numpy(probabilities(same, stores["val"])[:, ::-1].copy()),
    )


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 0.0), (1.0, float("nan"))])
def test_weights_that_do_not_fit_are_refused(
    pair: list[Run], stores: dict[str, Store], device: Device, weights: tuple[float, ...]
) -> None:
    with pytest.raises(UserError, match="do not fit 2 runs"):
        tested(pair, stores["val"], device, weights=weights)


def test_a_run_is_not_averaged_with_itself(pair: list[Run], stores: dict[str, Store], device: Device) -> None:
    with pytest.raises(UserError, match="named twice"):
        tested([pair[0], pair[0]], stores["val"], device)


def test_runs_of_other_data_are_not_averaged(
    pair: list[Run], stores: dict[str, Store], device: Device, tmp_path: Path
) -> None:
    other = tmp_path / pair[1].folder.parent.name / "other-seed-1"
    other.mkdir(parents=True)
    write_json(other / "environment.json", {**pair[1].environment, "dataset": "other"})

    with pytest.raises(UserError, match=r"different data sets: other, "):
        tested([pair[0], Run(other)], stores["val"], device)
