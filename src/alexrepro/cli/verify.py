"""`alexrepro verify`: stores, checkpoints and downloaded archives against their checksums."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from alexrepro.cli.options import STORES, Json
from alexrepro.cli.show import print_json, print_table
from alexrepro.distributed.rank import ended_at_once
from alexrepro.errors import Exit, UserError

CHECKPOINTS = ("checkpoints/step-*", "*/checkpoints/step-*", "*/*/checkpoints/step-*")  # of a run, a recipe, all runs


class Verified(NamedTuple):
    """One finding; exit_code: OK unless something is wrong."""

    path: str
    finding: str
    exit_code: Exit = Exit.OK


@ended_at_once()
def verify(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Stores, runs, checkpoints, or folders of them or of official archives. Default: stores."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Compare archives by name and size, without reading.")] = False,
    json: Json = False,
) -> None:
    """Compare stores, checkpoints and archives with checksums.

    Reads every byte of stores, of the checkpoints of runs, and of the archives of ILSVRC-2010 and 2012, whose sizes
    and MD5 sums were published. Changes nothing. Ends with exit code 65 if something differs, or 66 if it is missing.

    Example:  alexrepro verify /data/imagenet --quick
    """
    found = [row for path in paths or [STORES] for row in _verified(path, quick=quick)]
    code = next((row.exit_code for row in found if row.exit_code), Exit.OK)
    if json:
        rows = [{"path": row.path, "finding": row.finding, "sound": not row.exit_code} for row in found]
        print_json({"findings": rows, "exit_code": int(code)})
    else:
        print_table("Verified", ("path", "finding"), [row[:2] for row in found])
    if code:
        raise typer.Exit(int(code))


def _verified(path: Path, *, quick: bool) -> Iterator[Verified]:
    """The findings of everything at a path; a folder with neither stores nor checkpoints is one of archives."""
    from alexrepro.data.sources.official_files import check
    from alexrepro.data.store.manifest import MANIFEST
    from alexrepro.data.store.manifest import verify as problems_of
    from alexrepro.runs import checkpoint
    from alexrepro.runs.paths import STATE

    if not path.is_dir():
        raise UserError(f"There is no folder {path}.", fix="Check the path.", exit_code=Exit.MISSING_INPUT)
    is_store = (path / MANIFEST).exists() or any(path.glob("shard-*.arrow"))
    stores = [path] if is_store else sorted(file.parent for file in path.glob(f"[!.]*/{MANIFEST}"))
    is_checkpoint = (path / STATE).exists()
    checkpoints = [path] if is_checkpoint else sorted(found for one in CHECKPOINTS for found in path.glob(one))
    for store in stores:
        problems = problems_of(store)
        yield from [Verified(str(store), what, Exit.BAD_DATA) for what in problems] or [Verified(str(store), "sound")]
    for saved in checkpoints:
        try:
            checkpoint.read(saved)
            yield Verified(str(saved), "sound")
        except UserError as error:
            yield Verified(str(saved), error.what, error.exit_code)
    if not stores and not checkpoints:
        for one in check(path, md5=not quick):
            wrong = Exit.MISSING_INPUT if one.finding == "missing" else Exit.BAD_DATA
            where = f"{path}: {one.archive.part}"
            yield Verified(where, f"{one.finding}: {one.description}", wrong if one.is_wrong else Exit.OK)
