"""A run never takes images that were cut otherwise than its recipe says."""

from dataclasses import replace
from pathlib import Path

import pytest

from alexrepro.data.store.store import Store
from alexrepro.device import find_device
from alexrepro.errors import UserError
from alexrepro.evaluation.compatible import check_images
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"augmentation.square": "warped"}, "of 256 px, cropped; toy wants 256 px, warped"),
        (
            {"augmentation.stored_px": 224, "network.input_px": 192, "augmentation.last_offset_px": 32},
            "toy wants 224 px, cropped",
        ),
    ],
)
def test_images_of_another_side_or_rule_are_refused(
    changes: dict[str, object], said: str, recipe: Recipe, stores: dict[str, Store], tmp_path: Path
) -> None:
    other, cpu = recipe.but(changes), find_device("cpu")

    with pytest.raises(UserError, match=said) as refused:
        train(TrainingJob(other, store=stores["train"], validation=None, runs=tmp_path, seed=0, device=cpu))
    assert "--side" in refused.value.fix
    check_images(recipe, stores["train"])


def test_validation_images_of_another_side_are_refused_before_the_first_update(
    recipe: Recipe, stores: dict[str, Store], tmp_path: Path
) -> None:
    smaller = Store(stores["val"].path, replace(stores["val"].manifest, side_px=64))

    with pytest.raises(UserError, match="of 64 px, cropped; toy wants 256 px"):
        train(
            TrainingJob(
                recipe, store=stores["train"], validation=smaller, runs=tmp_path, seed=0, device=find_device("cpu")
            )
        )

    assert list(tmp_path.iterdir()) == []
