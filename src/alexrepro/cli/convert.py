"""`alexrepro convert`: weights of a run, torchvision or Caffe to a file that others read."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from alexrepro.cli.options import Json, StorePath, split_name
from alexrepro.cli.show import print_json, print_text
from alexrepro.distributed.rank import ended_at_once


@ended_at_once()
def convert(
    weights: Annotated[
        Path, typer.Argument(help="Run, checkpoint, .safetensors, checkpoint of torchvision's alexnet, or .caffemodel.")
    ],
    to: Annotated[Path, typer.Option("--to", help="File to write: .safetensors, .pth or .onnx.", show_default=False)],
    mean: Annotated[
        Path | None, typer.Option("--mean", help="Mean image of a .caffemodel: .binaryproto or .npy.")
    ] = None,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Convert weights and check the written file by running it.

    Reads runs, torchvision's alexnet, and Caffe's bvlc_alexnet and CaffeNet, whose BGR becomes RGB.
    Writes .safetensors, which holds everything that `predict` needs, .pth for torchvision's alexnet, or .onnx. The
    written file is read back and must give the same logits, else nothing is kept.

    Example:  alexrepro convert bvlc_alexnet.caffemodel --mean imagenet_mean.binaryproto --to caffe.safetensors
    """
    from alexrepro.evaluation.predict import open_weights
    from alexrepro.model import formats

    found = open_weights(weights, stores=split_name(store)[0], mean=mean)
    proof = formats.write(found, to)
    recipe = found.recipe
    if json:
        has_mean = found.mean_image is not None
        written = {"file": str(to), "recipe": recipe.name, "digest": recipe.digest, "has_mean_image": has_mean}
        print_json(written | {"parameters": recipe.network.parameters, "check": asdict(proof)})
        return
    print_text(f"{to}: {recipe.name}-{recipe.digest}, {recipe.network.parameters:,} parameters.")
    print_text(
        f"Checked with {proof.reader}: logits differ by {proof.difference:.1e} of the largest; at most "
        f"{proof.tolerance:.0e} is allowed."
    )
