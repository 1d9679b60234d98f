"""`alexrepro prepare`: from images as they lie on a disk to stores."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from alexrepro.cli.options import STORES, Json
from alexrepro.cli.show import print_json, print_table
from alexrepro.errors import Exit, UserError
from alexrepro.stop_signals import ended_by_signal

if TYPE_CHECKING:
    from alexrepro.data.store.store import Store

SHOWN_DEFECTS = 20


EncodingOption = Annotated[
    Literal["jpeg", "raw"] | None,
    typer.Option(
        "--encoding",
        help="jpeg: quality 95, about 31 kB an image; raw: 197 kB, no decoding. Default: raw up to 64 px, else jpeg.",
        show_default=False,
    ),
]
SideOption = Annotated[
    int | None,
    typer.Option("--side", help="Side of the stored squares, px. Default: 256; 32 for CIFAR-10.", show_default=False),
]
ResizeOption = Annotated[
    Literal["crop", "stretch", "pad"],
    typer.Option(help="crop the center (the paper), stretch both sides (Caffe), or pad the whole image."),
]
MaxBadOption = Annotated[
    int, typer.Option("--max-bad", min=0, help="How many unreadable files may be left out; they are listed.")
]
LayoutOption = Annotated[
    str | None, typer.Option("--layout", help="Which reading to take where several fit.", show_default=False)
]


@ended_by_signal()
def prepare(
    source: Annotated[str, typer.Argument(help="Folder of images, or the word miniature or cifar10.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the stores.")] = STORES,
    encoding: EncodingOption = None,
    side: SideOption = None,
    resize: ResizeOption = "crop",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes. Default: one per usable processor.", show_default=False)
    ] = None,
    max_bad: MaxBadOption = 0,
    allow_partial: Annotated[
        bool, typer.Option("--allow-partial", help="Prepare what is there although photos are missing or left out.")
    ] = False,
    layout: LayoutOption = None,
    json: Json = False,
) -> None:
    """Prepare images for training and testing.

    Reads, where they lie: class folders; ILSVRC-2010 and 2012 as folders or tars with their devkit; Kaggle's tree or
    zip; Tiny-ImageNet-200; CIFAR-10; image Parquet and Arrow; WebDataset shards; class tars. `miniature` draws a small
    ILSVRC-2010 first; `cifar10` fetches that one.
    Writes one store per split below OUT, with the mean image and the color axes of the training split and a list of
    odd and unreadable files. Continues after an interruption.

    Example:  alexrepro prepare /path/imagenet
    """
    if not source.strip():  # which Path would take for the current folder
        raise UserError(
            "The name of the source is empty; a variable in the command may not be set.",
            fix="Name the folder of the images, or . for the current one.",
            exit_code=Exit.USAGE,
        )
    from alexrepro.data.store.prepare import prepare as core

    stores = core(
        source, out=out, encoding=encoding, side_px=side, resize=resize, workers=workers, max_bad=max_bad,
        allow_partial=allow_partial, layout=layout,
    )  # fmt: skip
    dataset = next(iter(stores.values())).manifest.dataset
    if json:
        print_json({"dataset": dataset, "splits": {name: _facts(store) for name, store in stores.items()}})
        return
    _show(dataset, stores)


def _show(dataset: str, stores: dict[str, "Store"]) -> None:
    rows = [_row(name, store) for name, store in stores.items()]
    columns = ("split", "store", "images", "classes", "left out", "odd", "mean RGB", "eigenvalues")
    print_table(dataset, columns, rows, right=("images", "classes", "left out", "odd"))
    defects = [defect for store in stores.values() for defect in store.manifest.defects]
    if defects:
        more = f", the first {SHOWN_DEFECTS} of {len(defects):,}" if len(defects) > SHOWN_DEFECTS else ""
        shown = [list(defect.values()) for defect in defects[:SHOWN_DEFECTS]]
        print_table(f"Odd and unreadable files{more}", ("path", "class", "reason", "action"), shown)


def _facts(store: "Store") -> dict[str, Any]:
    manifest = store.manifest
    facts: dict[str, Any] = {
        "store": str(store.path),
        "images": manifest.images,
        "classes": len(manifest.classes),
        "labeled": manifest.labeled,
        "defects": list(manifest.defects),
    }
    if manifest.split == "train":
        axes = store.color_axes()
        facts |= {"mean_rgb": axes.mean_rgb.tolist(), "eigenvalues": axes.eigenvalues.tolist()}
    return facts


def _row(name: str, store: "Store") -> list[str]:
    facts = _facts(store)
    left_out = sum(defect["action"] == "left out" for defect in facts["defects"])
    return [
        name,
        facts["store"],
        f"{facts['images']:,}",
        f"{facts['classes']:,}",
        f"{left_out:,}",
        f"{len(facts['defects']) - left_out:,}",
        " ".join(f"{value:.1f}" for value in facts.get("mean_rgb", ())),
        " ".join(f"{value:.4f}" for value in facts.get("eigenvalues", ())),
    ]
