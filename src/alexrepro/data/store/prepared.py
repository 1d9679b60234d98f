"""The table of all stores in a folder, prepared.csv: one row for each split (§2, §4.1)."""

from operator import itemgetter
from pathlib import Path

from alexrepro.data.store.manifest import LEFT_OUT, PREPARED
from alexrepro.data.store.store import Store, find_stores
from alexrepro.files import csv_text
from alexrepro.locks import rewrite

COLORS = ("red", "green", "blue")
STATISTICS = (
    *(f"mean_{color}" for color in COLORS),
    *(f"eigenvalue_{number}" for number in (1, 2, 3)),
    *(f"eigenvector_{number}_{color}" for number in (1, 2, 3) for color in COLORS),
)  # 0-255; variances of pixels on the scale 0-1, the largest first; a unit vector each


def write_prepared(folder: Path) -> Path:
    """Write the table of the stores below a folder, and return its path. An equal one is not written again."""
    path = folder / PREPARED

    def text() -> str:
        return csv_text(sorted((_row(store, folder) for store in find_stores(folder)), key=itemgetter("store")))

    if not path.exists() or path.read_bytes() != text().encode():  # else without a lock: the disk may be read-only
        rewrite(path, text)
    return path


def _row(store: Store, folder: Path) -> dict[str, object]:
    manifest, numbers = store.manifest, list[float | None]([None] * len(STATISTICS))
    left_out = sum(defect["action"] == LEFT_OUT for defect in manifest.defects)
    if manifest.split == "train":
        axes = store.color_axes()
        numbers = [*axes.mean_rgb.tolist(), *axes.eigenvalues.tolist(), *axes.eigenvectors.T.ravel().tolist()]
    return {
        "store": store.path.relative_to(folder).as_posix(), "dataset": manifest.dataset, "split": manifest.split,
        "images": manifest.images, "classes": len(manifest.classes),
        "labeled": manifest.images if manifest.labeled else 0,
        "skipped": left_out, "unusual": len(manifest.defects) - left_out,
        "encoding": manifest.encoding, "side_px": manifest.side_px, "resize": manifest.resize,
        **dict(zip(STATISTICS, numbers, strict=True)),
    }  # fmt: skip
