"""`alexrepro prepare`: from the images on a disk to stores."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from alexrepro.cli.options import STORES, Json
from alexrepro.cli.show import print_json, print_table
from alexrepro.data.store.manifest import PREPARED
from alexrepro.errors import Exit, UserError
from alexrepro.progress import wrote
from alexrepro.stop_signals import ended_by_signal

if TYPE_CHECKING:
    from alexrepro.data.store.store import Store

SHOWN_DEFECTS = 20
ENCODINGS = "jpeg: 31 kB an image; planes (a GPU decodes): 98 kB; raw: 197 kB. Default: raw up to 64 px, else jpeg."
RESIZES = "crop the center (the paper), stretch both sides (Caffe), or pad the whole image."


@ended_by_signal()
def prepare(
    source: Annotated[str, typer.Argument(help="Folder of images, or the word miniature or cifar10.")],
    out: Annotated[Path, typer.Option(help="Folder for the stores.")] = STORES,
    encoding: Annotated[Literal["jpeg", "raw", "planes"] | None, typer.Option(help=ENCODINGS)] = None,
    side: Annotated[int | None, typer.Option(help="Side of the stored images, px. Default: 256; CIFAR-10: 32.")] = None,
    resize: Annotated[Literal["crop", "stretch", "pad"], typer.Option(help=RESIZES)] = "crop",
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes. Default: one per CPU core.")] = None,
    max_bad: Annotated[int, typer.Option(min=0, help="Number of unreadable files that may be left out.")] = 0,
    allow_partial: Annotated[bool, typer.Option("--allow-partial", help="Accept missing or skipped images.")] = False,
    layout: Annotated[str | None, typer.Option(help="Layout to use when several match.")] = None,
    read_again: Annotated[bool, typer.Option("--read-again", help="List an unchanged source, too.")] = False,
    json: Json = False,
) -> None:
    """Prepare images for training and evaluation.

    Reads, without unpacking: class folders; ILSVRC-2010 and 2012, folders or tars; Kaggle's tree or zip; Tiny-ImageNet;
    CIFAR-10; image Parquet and Arrow; WebDataset; class tars. `miniature` draws images first; `cifar10` downloads them.
    Writes one store per split, with the mean image and color axes of the training split, and OUT/prepared.csv, a table
    of all stores. Continues if interrupted. Adds labels and class names that the source did not have before.

    Example:  alexrepro prepare /path/imagenet
    """
    if not source.strip():  # which Path would take for the current folder
        fix = "Name the folder of the images, or . for this one; a variable in the command may not be set."
        raise UserError("The name of the source is empty.", fix=fix, exit_code=Exit.USAGE)
    from alexrepro.data.store.prepare import Options
    from alexrepro.data.store.prepare import prepare as core

    options = Options(encoding, side, resize, max_bad, allow_partial, layout, read_again)
    stores = core(source, out=out, workers=workers, options=options)
    facts = {split: _facts(store) for split, store in stores.items()}
    (dataset,) = {store.manifest.dataset for store in stores.values()}
    if json:
        print_json({"dataset": dataset, "splits": facts, "table": str(out / PREPARED)})
        return
    columns = ("split", "store", "images", "classes", "skipped", "unusual", "labels", "mean RGB", "eigenvalues")
    print_table(dataset, columns, [_row(*each) for each in facts.items()], right=columns[2:6])
    if odd := [defect for store in facts.values() for defect in store["defects"]]:
        print_table(f"Unusual files ({len(odd):,})", list(odd[0]), [[*each.values()] for each in odd[:SHOWN_DEFECTS]])
    train, folder = ("alexrepro train", "") if out == STORES else ("alexrepro train --store", out)
    wrote(*(store.path for store in stores.values()), out / PREPARED, then=train, on=folder)


def _facts(store: "Store") -> dict[str, Any]:
    manifest = store.manifest
    axes = vars(store.color_axes()) if manifest.split == "train" else {}
    facts: dict[str, Any] = {"store": str(store.path), "images": manifest.images, "classes": len(manifest.classes)}
    facts |= {"labeled": manifest.labeled, "defects": list(manifest.defects)}
    return facts | {name: axes[name].tolist() for name in ("mean_rgb", "eigenvalues") if axes}


def _row(split: str, facts: Mapping[str, Any]) -> list[str]:
    skipped, odd = (sum(d["action"] == action for d in facts["defects"]) for action in ("left out", "decoded"))
    counts = [f"{count:,}" for count in (facts["images"], facts["classes"], skipped, odd)]
    axes = [" ".join(f"{value:.4g}" for value in facts.get(name, ())) for name in ("mean_rgb", "eigenvalues")]
    return [split, facts["store"], *counts, "all" if facts["labeled"] else "none", *axes]
