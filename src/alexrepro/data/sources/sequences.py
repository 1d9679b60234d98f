"""Numbered files of one set, such as train-00000-of-00294.parquet: which numbers are missing, or there twice."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from alexrepro.errors import Exit, UserError

NUMBERED = re.compile(r"(.*?)(\d+)(?:-of-(\d+))?(?:-[0-9a-f]{16})?(\.\w+)", re.IGNORECASE)


def missing_files(files: Sequence[Path]) -> Iterator[str]:
    """A remark on every set of numbered files that lacks some.

    Sets without a total are compared only if they begin with 0 or 1. Raises UserError where one set is there in two
    numberings, which would give every photo twice.
    """
    sets: dict[tuple[Path, str, str], dict[str | None, dict[int, str]]] = {}
    for file in files:
        if found := NUMBERED.fullmatch(file.name):
            before, number, total, after = found.groups()
            sets.setdefault((file.parent, before, after), {}).setdefault(total, {})[int(number)] = number
    for (folder, before, after), by_total in sets.items():
        if len(by_total) > 1:
            totals = " and as ".join(f"{before}*-of-{total}" if total else f"{before}*" for total in by_total)
            raise UserError(
                f"{folder} holds one set of files twice, as {totals}.",
                fix="Remove the older files.", exit_code=Exit.BAD_DATA,
            )  # fmt: skip
        for total, numbers in by_total.items():
            yield from _missing(before, after, total, numbers)


def _missing(before: str, after: str, total: str | None, numbers: dict[int, str]) -> Iterator[str]:
    first, last = min(numbers), max(numbers)
    start = 1 if first == 1 and (total is None or int(total) == last) else 0
    if total is None and first > 1:
        return
    stop = last + 1 if total is None else int(total) + start
    gaps = [number for number in range(start, stop) if number not in numbers]
    if gaps:
        width = len(numbers[first])
        name = f"{before}{gaps[0]:0{width}d}{f'-of-{total}' if total else ''}{after}"
        yield f"{name}{f' and {len(gaps) - 1:,} more files' if len(gaps) > 1 else ''} of {stop - start:,} is missing"
