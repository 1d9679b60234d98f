"""Averages of runs: equal to a plain loop, weighted, matched by class, and refused where they make no sense."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import UserError
from alexrepro.evaluation.evaluate import evaluate_runs, open_runs
from alexrepro.files import write_json
from alexrepro.runs.evaluation import Evaluation, find_ensembles
from alexrepro.runs.paths import RunPaths
from alexrepro.runs.run import Run


def evaluated(
    runs: list[Run], store: Store, device: Device, weights: Sequence[float] = ()
) -> tuple[list[Evaluation], np.ndarray]:
    """The evaluations over ten crops, and all probabilities."""
    folder = runs[0].folder.parent.parent
    opened = open_runs(runs, store, crops="ten", device=device, folder=folder, weights=weights)
    found = evaluate_runs(opened, save_probabilities=True)
    file = RunPaths(Path(found[-1].run)).probabilities(store.manifest.full_name, "ten")
    return found, load_file(file)["probabilities"]


@pytest.mark.parametrize(("weights", "normalized"), [((), (0.5, 0.5)), ((3.0, 1.0), (0.75, 0.25))])
def test_an_average_equals_a_plain_loop_over_its_members(
    pair: list[Run], stores: dict[str, Store], device: Device, weights: tuple[float, ...], normalized: tuple[float, ...]
) -> None:
    store = stores["test"]
    members = [evaluated([run], store, device)[1] for run in pair]
    expected = normalized[0] * members[0] + normalized[1] * members[1]

    (_, ten), found = evaluated(pair, store, device, weights)

    np.testing.assert_allclose(found, expected, atol=1e-7)  # float32
    assert ten.top1_correct == int((expected.argmax(1) == store.labels).sum())
    assert ten.loss == pytest.approx(-np.log(expected[np.arange(18), store.labels]).mean(), rel=1e-5)
    assert sorted(member.weight for member in ten.members) == sorted(normalized)


def test_an_average_is_found_with_its_members_whatever_their_order(
    pair: list[Run], stores: dict[str, Store], device: Device
) -> None:
    made, _ = evaluated(pair, stores["val"], device, (1, 2))

    again, _ = evaluated(pair[::-1], stores["val"], device, (2, 1))

    found = find_ensembles(pair[0].folder.parent.parent)
    assert [e for e in found if e.split == made[0].split] == made == again
    assert {member.run for member in made[0].members} == {str(run.folder) for run in pair}


def test_a_member_with_its_classes_in_another_order_is_matched(
    pair: list[Run], stores: dict[str, Store], device: Device, tmp_path: Path
) -> None:
    shutil.copytree(pair[1].folder.parent, tmp_path / "recipe")
    turned, environment = tmp_path / "recipe" / pair[1].folder.name, pair[1].environment
    write_json(turned / "environment.json", {**environment, "classes": environment["classes"][::-1]})
    _, expected = evaluated([pair[1]], stores["val"], device)

    _, found = evaluated([Run(turned)], stores["val"], device)

    assert np.array_equal(found, expected[:, ::-1])


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 0.0), (1.0, float("nan"))])
def test_weights_that_do_not_fit_are_refused(
    pair: list[Run], stores: dict[str, Store], device: Device, weights: tuple[float, ...]
) -> None:
    with pytest.raises(UserError, match="do not fit 2 runs"):
        evaluated(pair, stores["val"], device, weights)


def test_a_run_is_averaged_neither_with_itself_nor_with_one_of_other_data(
    pair: list[Run], stores: dict[str, Store], device: Device, tmp_path: Path
) -> None:
    other = tmp_path / pair[1].folder.parent.name / "other-seed-1"
    write_json(other / "environment.json", {**pair[1].environment, "dataset": "other"})

    with pytest.raises(UserError, match="named twice"):
        evaluated([pair[0], pair[0]], stores["val"], device)
    with pytest.raises(UserError, match=r"different data sets: other, "):
        evaluated([pair[0], Run(other)], stores["val"], device)
