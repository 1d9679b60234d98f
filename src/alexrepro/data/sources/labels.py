"""Checks of labels that tables and shards give their photos as numbers."""

import re
from collections.abc import Iterator, Sequence

from alexrepro.data.sources.folders import ENDS_IN_WNID
from alexrepro.data.sources.source import UNLABELED, Split
from alexrepro.errors import Exit, UserError

BEGINS_WITH_WNID = re.compile(r"(n\d{8})_.+")
SHOWN = 5


def wnid_in(name: str) -> str | None:
    """The WNID that a file name ends or begins with, if any."""
    found = ENDS_IN_WNID.fullmatch(name) or BEGINS_WITH_WNID.fullmatch(name)
    return found[1] if found else None


def refuse_missing(split: str, unlabeled: Sequence[str], *, photos: int) -> None:
    """Raise UserError for training photos without a label, and for other splits of which only some have one.

    unlabeled: where the photos are that have none, in words. photos: how many the split has.
    """
    if not unlabeled or (split != "train" and len(unlabeled) == photos):
        return
    more = f" and {len(unlabeled) - SHOWN:,} more" if len(unlabeled) > SHOWN else ""
    need = "every training photo needs one" if split == "train" else "either every photo has one or none has"
    raise UserError(
        f"{len(unlabeled):,} of {photos:,} photos of {split} have no label: {', '.join(unlabeled[:SHOWN])}{more}.",
        fix=f"Label them or remove them; {need}.",
        exit_code=Exit.BAD_DATA,
    )


def without_training(classes: Sequence[str], splits: Sequence[Split]) -> Iterator[str]:
    """A remark on the classes of which there is no training photo, where there is a training split."""
    for split in splits:
        if split.name == "train":
            used = {photo.label for photo in split.photos} - {UNLABELED}
            unused = [name for label, name in enumerate(classes) if label not in used]
            if unused and used:
                more = f" (and {len(unused) - 1:,} more)" if len(unused) > 1 else ""
                yield (
                    f"{unused[0]}{more} of {len(classes):,} classes has no training photo; "
                    f"the training labels are {len(used):,} numbers from {min(used):,} to {max(used):,}"
                )
