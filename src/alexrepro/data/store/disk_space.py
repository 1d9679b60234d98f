"""Room for stores on their disk: looked for before the first image, since a full disk would end it after hours."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from alexrepro.data.store.manifest import Form
from alexrepro.data.store.shard_writer import Job
from alexrepro.errors import Exit, UserError
from alexrepro.paper.training import STORED_PX

BYTES_AN_IMAGE = {"jpeg": 33_000, "raw": 197_000}  # measured means, with their names and labels
BYTES_OF_SUMS = 790_000  # of a shard, until its split is done; the mean image has as many


def refuse_if_too_full(out: Path, waiting: Sequence[Job], form: Form) -> None:
    """Raise UserError unless the disk holds the shards that are still to be made, by the mean size of an image."""
    sums = sum(job.needs_moments for job in waiting)
    need = sum(len(job.photos) for job in waiting) * BYTES_AN_IMAGE[form.encoding]
    need += (sums + bool(sums)) * BYTES_OF_SUMS
    need = int(need * (form.side_px / STORED_PX) ** 2)
    if not need:
        return
    have = shutil.disk_usage(out).free
    if need > have:
        raise UserError(
            f"The stores need about {need / 1e6:,.0f} MB more, and {out} has {have / 1e6:,.0f} MB free.",
            fix="Free some space, or choose another disk with --out.",
            exit_code=Exit.IO_ERROR,
        )
