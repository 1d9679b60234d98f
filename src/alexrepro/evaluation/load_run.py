"""What evaluation needs of a run: the weights of a checkpoint, mean image and color axes; and whether a store fits."""

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from alexrepro.data.loading.crops import Pixels
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.files import write_bytes
from alexrepro.model.alexnet import AlexNet
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs import checkpoint
from alexrepro.runs.run import Run


def check_compatible(recipe: Recipe, store: Store) -> None:
    """Raise UserError if the stored images have another side, or were resized by another rule, than the recipe's."""
    has, wants = store.manifest, recipe.augmentation
    if (has.side_px, has.resize) != (wants.stored_px, wants.resize):
        fields = f"--set augmentation.stored_px={has.side_px} --set augmentation.resize={has.resize}"
        raise UserError(
            f"{store.path} holds images of {has.side_px} px, {has.resize}; {recipe.name} wants {wants.stored_px} px, "
            f"{wants.resize}.",
            fix=f"Prepare them with: --side {wants.stored_px} --resize {wants.resize}; or take them with: {fields}.",
        )


def load_network(run: Run, device: Device) -> tuple[AlexNet, int]:
    """The network of a run's newest checkpoint and its step. Raises UserError if there is no checkpoint."""
    saved = checkpoint.newest(run.checkpoints)
    if saved is None:
        raise UserError(
            f"{run.folder} has no checkpoint.", fix="Train it first: alexrepro train.", exit_code=Exit.MISSING_INPUT
        )
    model = AlexNet(run.recipe.network)
    model.load(saved.weights)
    return model.to(device.torch_device, memory_format=torch.channels_last), saved.step  # type: ignore[call-overload]


def pixels_of(store: Store) -> Pixels:
    """Mean image and color axes of a training store."""
    axes = store.color_axes()
    values, vectors = (torch.tensor(found, dtype=torch.float32) for found in (axes.eigenvalues, axes.eigenvectors))
    return Pixels(torch.from_numpy(store.mean_image()), values, vectors)


def save_pixels(run: Run, store: Store) -> Pixels:
    """Keep the training store's mean image and color axes with the run, since evaluation needs them."""
    pixels = pixels_of(store)
    content = save({name: getattr(pixels, name).contiguous() for name in Pixels.__dataclass_fields__})
    write_bytes(run.pixels_file, content)
    return pixels


def load_pixels(run: Run, device: Device) -> Pixels:
    """The mean image and color axes of a run's training. Raises UserError if missing or damaged."""
    try:
        return Pixels(**load_file(run.pixels_file)).to(device.torch_device)
    except (FileNotFoundError, SafetensorError, TypeError):
        raise UserError(
            f"{run.pixels_file} is missing or damaged: it holds the mean image and color axes that {run.folder} needs.",
            fix="Bring back a copy of it: other runs on the same training store have the same file.",
            exit_code=Exit.BAD_DATA,
        ) from None
