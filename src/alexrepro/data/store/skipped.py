"""What of a source is not read: listed beside the stores, summed up in a line, and refused where it looks like data."""

import csv
import io
from collections import Counter
from pathlib import Path

from alexrepro.data.sources.checks import refuse_wrong_labels
from alexrepro.data.sources.source import Source
from alexrepro.errors import Exit, UserError
from alexrepro.files import write_text
from alexrepro.progress import first_few, say


def account_for(found: Source, path: Path, *, out: Path, allow_partial: bool) -> None:
    """List in <out>/<dataset>-skipped.csv what is not read, and say how much there is of it and what is missing.

    Raises UserError if images or classes would be left out and a part is not allowed, and, allowed or not, if
    validation photos are labeled other than they are known to be.
    """
    refuse_wrong_labels(path, found)
    table = out / f"{found.dataset}-skipped.csv"
    if not found.skipped:
        if table.exists():  # on a read-only disk no file can be removed, not even one that is missing
            table.unlink()
    else:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([("path", "reason"), *((item.path, item.reason) for item in found.skipped)])
        if not table.exists() or table.read_text(encoding="utf-8") != text.getvalue():  # the disk may be read-only
            write_text(table, text.getvalue())
        reasons = Counter(item.reason for item in found.skipped).most_common()
        counts = first_few([f"{count:,} {reason}" for reason, count in reasons], between="; ")
        say(f"Skipped files and folders: {len(found.skipped):,} ({counts}). All are listed in {table}.")
    lost = [f"{item.path} ({item.reason})" for item in found.skipped if item.is_loss]
    if lost and not allow_partial:
        raise UserError(
            f"{path} holds images or classes that would be left out: {first_few(lost, between='; ')}.",
            fix="Move or repair them, or prepare the rest with: --allow-partial.",
            exit_code=Exit.BAD_DATA,
        )
    for what, items in (("Left out", lost), ("Not complete", found.gaps)):
        if items and allow_partial:
            say(f"{what}: {first_few(items, between='; ')}.")
