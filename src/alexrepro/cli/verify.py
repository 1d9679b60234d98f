"""`alexrepro verify`: stores, checkpoints and downloaded archives against their checksums."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from alexrepro.cli.options import STORES, Json
from alexrepro.cli.show import print_result
from alexrepro.distributed.rank import ended_at_once
from alexrepro.errors import Exit, UserError
from alexrepro.files import listed

CHECKPOINTS = ("checkpoints/step-*", "*/checkpoints/step-*", "*/*/checkpoints/step-*")  # of a run, a recipe, all runs


@ended_at_once()
def verify(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Stores, runs, checkpoints, folders of them, or what prepare reads. Default: stores."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Compare archives by name and size, without reading.")] = False,
    json: Json = False,
) -> None:
    """Compare stores, checkpoints and archives with checksums.

    Reads every byte of stores, of the checkpoints of runs, and of the archives of ILSVRC-2010 and 2012, whose sizes and
    MD5 sums were published. Counts the images of any other layout that `prepare` reads, and names what is
    missing. Changes nothing. Ends with exit code 65 if something differs, or 66 if it is missing.

    Example:  alexrepro verify /data/imagenet --quick
    """
    found = [row for path in paths or [STORES] for row in _verified(path, quick=quick)]
    code = next((code for *_, code in found if code), Exit.OK)
    rows = [{"path": path, "finding": finding, "sound": not wrong} for path, finding, wrong in found]
    result = {"findings": rows, "exit_code": int(code)}
    print_result(result, "Verified", ("path", "finding"), [row[:2] for row in found], json=json)
    if code:
        raise typer.Exit(int(code))


def _verified(path: Path, *, quick: bool) -> Iterator[tuple[str, str, Exit]]:
    """Path, finding and exit code of everything at a path; without stores and checkpoints, of the images there."""
    from alexrepro.data.sources.survey import survey
    from alexrepro.data.store.manifest import MANIFEST
    from alexrepro.data.store.manifest import verify as problems_of
    from alexrepro.runs import checkpoint
    from alexrepro.runs.paths import STATE

    if not path.exists():
        raise UserError(
            f"There is no folder {path}.",
            fix="Check the path, or prepare stores: alexrepro prepare SOURCE.",
            exit_code=Exit.MISSING_INPUT,
        )
    is_store = (path / MANIFEST).exists() or any(listed(path).glob("shard-*.arrow"))
    stores = [path] if is_store else sorted(file.parent for file in path.glob(f"[!.]*/{MANIFEST}"))
    is_checkpoint = (path / STATE).exists()
    checkpoints = [path] if is_checkpoint else sorted(found for one in CHECKPOINTS for found in path.glob(one))
    for store in stores:
        problems = problems_of(store)
        yield from [(str(store), what, Exit.BAD_DATA) for what in problems] or [(str(store), "sound", Exit.OK)]
    for saved in checkpoints:
        try:
            checkpoint.read(saved)
            yield str(saved), "sound", Exit.OK
        except UserError as error:
            yield str(saved), error.what, error.exit_code
    if not stores and not checkpoints:
        yield from ((f"{path}: {part}", found, wrong) for part, found, wrong in survey(path, md5=not quick))
