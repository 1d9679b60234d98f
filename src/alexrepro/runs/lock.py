"""One process trains in a run folder: a lock of the kernel, which ends with its process, however that ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alexrepro.errors import Exit, UserError
from alexrepro.locks import locked


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep other processes from training in a folder; raises UserError at once, naming the process that does.

    The lock lies beside the folder, which may be missing and may get another name meanwhile.
    """

    def refuse(holder: str) -> None:
        raise UserError(
            f"Another process{f' ({holder})' if holder else ''} is training in {folder}.",
            fix="Wait for it, or train another seed with --seed N.",
            exit_code=Exit.CANNOT_CREATE,
        )

    with locked(folder.with_name(f".{folder.name}.lock"), busy=refuse):
        yield
