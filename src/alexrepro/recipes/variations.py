"""The ablations of variations.toml: changes that apply to any recipe that has the fields; `ablate` chooses the base."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alexrepro.errors import Exit, UserError, did_you_mean
from alexrepro.paper import results
from alexrepro.paper.network import FIELD_OF
from alexrepro.recipes.recipe import Recipe

BASE_CROPS: results.Crops = "ten"  # over which a base is tested


@dataclass(frozen=True)
class Variation:
    """A row of variations.toml, which explains the fields."""

    name: str
    description: str
    but: Mapping[str, Any] = field(default_factory=dict)
    halves: Sequence[str] = ()
    tests: results.ReportedDelta | None = None
    logged: results.Logged | None = None
    section: str = ""
    crops: results.Crops = BASE_CROPS

    @property
    def is_of_testing(self) -> bool:
        """Whether only the testing differs."""
        return not (self.but or self.halves)

    def of(self, base: Recipe) -> Recipe:
        """The base recipe with this change, named after both; the base itself if only the testing differs.

        Raises UserError if the base lacks one of the fields, cannot be computed with the change, or has it already.
        """
        if self.is_of_testing:
            return base
        fields = base.fields()
        try:
            for path in (*self.but, *self.halves):
                if not any(f"{name}.".startswith(f"{path}.") for name in fields):
                    raise UserError(f"it has no {path}.", fix="")
            changed = base.but(self.but)
            halved = {path: fields[path] // 2 for path in self.halves}
            description = f"like {base.name}, but {self.description}"
            varied = base.but({**self.but, **halved}, name=f"{base.name}+{self.name}", description=description)
        except UserError as error:
            why = f"cannot be tried on {base.name}: {error.what.rstrip('.')}"
        else:
            if _used(changed) != _used(base):
                return varied
            why = f"changes nothing in {base.name}; the same network would be trained twice"
        fix = f"Choose another recipe with --base, or leave {self.name} out."
        raise UserError(f"{self.name} ({self.description}) {why}.", fix=fix, exit_code=Exit.USAGE)


def _variation(name: str, *, tests: str = "", logged: str = "", **fields: Any) -> Variation:
    delta = {delta.name: delta for delta in results.ALL_DELTAS}[tests] if tests else None
    return Variation(name, tests=delta, logged=results.logged(logged) if logged else None, **fields)


_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
VARIATIONS = {name: _variation(name, **table) for name, table in _TABLES.items()}


def _used(recipe: Recipe) -> dict[str, Any]:
    """The fields of a recipe that its network uses, by dotted path."""
    used = {FIELD_OF[operation] for stage in recipe.network.stages for operation in stage.order}
    idle = tuple(f"network.{name}" for name in set(FIELD_OF.values()) - used)
    fields = {path: value for path, value in recipe.fields().items() if not path.startswith(idle)}
    if recipe.network.towers == 1:  # a stage then reads all maps in any case
        fields = {path: value for path, value in fields.items() if not path.endswith((".reads", ".per_tower"))}
    return fields


def trials_of(base: Recipe, variations: Sequence[Variation]) -> list[tuple[Recipe, results.Crops]]:
    """The base and then each variation of it, with the crops to test it over."""
    return [(base, BASE_CROPS), *((variation.of(base), variation.crops) for variation in variations)]


def find_variation(name: str) -> Variation:
    """The variation of this name; raises UserError with the nearest name if there is none."""
    if name not in VARIATIONS:
        raise UserError(
            f"There is no variation {name}{did_you_mean(name, VARIATIONS)}",
            fix="List them with: alexrepro ablate.",
            exit_code=Exit.USAGE,
        )
    return VARIATIONS[name]
