"""The JSON files of a run folder: one that is damaged, or lacks a field, is refused by its name."""

from pathlib import Path
from typing import Any

from alexrepro.errors import Exit, UserError
from alexrepro.files import read_json

KINDS = {
    "seed": int, "dataset": str, "classes": list, "updates_per_epoch": int, "stores": dict, "machine": dict,
    "starts": list, "steps": int, "epochs": int, "final": dict,
}  # fmt: skip


class RunFile(dict[str, Any]):
    """The fields of `environment.json` or `result.json`; asking for one that is missing raises UserError."""

    def __init__(self, path: Path, *, fix: str) -> None:
        super().__init__(read_json(path, fix=fix))
        self._path, self._fix = path, fix
        wrong = [name for name, kind in KINDS.items() if name in self and not isinstance(self[name], kind)]
        if wrong or self.get("updates_per_epoch", 1) < 1:
            raise self._damaged(f"its {(wrong or ['updates_per_epoch'])[0]} is not what training writes")

    def __missing__(self, name: str) -> Any:
        """Raise UserError: the file has no such field."""
        raise self._damaged(f"it has no {name}")

    def _damaged(self, why: str) -> UserError:
        return UserError(f"{self._path} is damaged: {why}.", fix=self._fix, exit_code=Exit.BAD_DATA)
