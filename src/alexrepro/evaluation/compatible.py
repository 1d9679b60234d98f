"""Stored images as a recipe wants them: of its side and cut by its rule (§2), and a few of them as crops."""

import numpy as np
import torch
from torch import Tensor

from alexrepro.data.loading.crops import Pixels, evaluation_crops
from alexrepro.data.store.store import Store
from alexrepro.errors import UserError
from alexrepro.recipes.recipe import Recipe


def check_images(recipe: Recipe, store: Store) -> None:
    """Raise UserError if the stored squares are of another side, or cut by another rule, than the recipe says."""
    has, wants = store.manifest, recipe.augmentation
    if (has.side_px, has.square) != (wants.stored_px, wants.square):
        fields = f"--set augmentation.stored_px={has.side_px} --set augmentation.square={has.square}"
        raise UserError(
            f"{store.path} holds images of {has.side_px} px, {has.square}; {recipe.name} wants {wants.stored_px} px, "
            f"{wants.square}.",
            fix=f"Prepare them with: --side {wants.stored_px} --square {wants.square}; or take them with: {fields}.",
        )


def center_crops(store: Store, *, recipe: Recipe, pixels: Pixels, most: int = 64) -> tuple[Tensor, Tensor]:
    """The center crops of images from all over a store, on the device of the mean image, and their labels."""
    rows = np.linspace(0, len(store) - 1, num=min(most, len(store)), dtype=np.int64)
    images = np.empty((len(rows), store.side_px, store.side_px, 3), dtype=np.uint8)
    for row, image in zip(rows.tolist(), images, strict=True):
        store.pixels(row, image)
    shown = torch.from_numpy(images).permute(0, 3, 1, 2).to(pixels.mean_image.device)
    (crops,) = evaluation_crops(
        shown, crops="center", side_px=recipe.network.input_px, pixels=pixels, augmentation=recipe.augmentation
    )
    return crops, torch.from_numpy(store.labels[rows]).to(crops.device)
