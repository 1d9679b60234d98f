"""`alexrepro doctor`: which Pillow is at work, and is what lies on the disk what was written?"""

from pathlib import Path
from typing import Annotated

import typer

from alexrepro.cli.options import STORES, Json, Stores
from alexrepro.cli.show import print_json, print_table
from alexrepro.errors import Exit, Refusal


def doctor(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Stores to verify. Default: all under --stores.", show_default=False)
    ] = None,
    stores: Stores = STORES,
    json: Json = False,
) -> None:
    """Verify every byte of stores.

    Reads the stores whole and compares all checksums; names every damaged, missing and foreign file. Ends with exit
    code 65 if anything is wrong.

    Example:  alexrepro doctor stores/ilsvrc2012-val-9c41d0
    """
    from alexrepro.data.decode import pillow_at_work
    from alexrepro.data.manifest import MANIFEST
    from alexrepro.data.verify import verify

    pillow = pillow_at_work()
    if not json:
        print(f"{pillow} decodes what is no ordinary JPEG.")
    folders = paths or sorted(p.parent for p in stores.rglob(MANIFEST) if not p.parent.name.startswith("."))
    if not folders:
        raise Refusal(
            f"There is no store under {stores}.",
            fix="Make one with: alexrepro prepare SOURCE.",
            exit_code=Exit.MISSING_INPUT,
        )
    found = {str(folder): verify(folder) for folder in folders}
    if json:
        reports = [{"store": store, "problems": problems} for store, problems in found.items()]
        print_json({"pillow": pillow, "stores": reports})
    else:
        rows = [(store, problem) for store, problems in found.items() for problem in problems or ["sound"]]
        print_table("Stores", ("store", "finding"), rows)
    if any(found.values()):
        raise typer.Exit(int(Exit.BAD_DATA))
