"""The ablations of variations.toml: changes that apply to any recipe that has the fields; `ablate` chooses the base."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from alexrepro.errors import Exit, UserError, did_you_mean
from alexrepro.paper import results
from alexrepro.paper.network import FIELD_OF, Network
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.widths import comparison, matched, scaled

BASE_CROPS: results.Crops = "ten"  # over which a base is tested


@dataclass(frozen=True)
class Variation:
    """A row of variations.toml, which explains the fields."""

    name: str
    description: str
    but: Mapping[str, Any] = field(default_factory=dict)
    times: Mapping[str, float] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    matches: Sequence[Sequence[str]] = ()
    width: float = 1.0
    images: float = 1.0
    tests: results.ReportedDelta | None = None
    logged: results.Logged | None = None
    section: str = ""
    crops: results.Crops = BASE_CROPS

    @property
    def is_of_testing(self) -> bool:
        """Whether only the testing differs."""
        changes = (self.but, self.times, self.copies, self.matches, self.width != 1, self.images != 1)
        return not any(changes)

    def of(self, base: Recipe) -> Recipe:
        """The base recipe with this change, named after both; the base itself if only the testing differs.

        Raises UserError if the base lacks one of the fields, cannot be computed with the change, or has it already.
        """
        if self.is_of_testing:
            return base
        try:
            varied = self._applied_to(base)
            changed = base.but(self.but) if self.times and self.but else varied
        except UserError as error:
            why = f"cannot be tried on {base.name}: {error.what.rstrip('.')}"
        else:
            if _used(changed) != _used(base):
                return varied
            why = f"changes nothing in {base.name}; the same network would be trained twice"
        fix = f"Choose another recipe with --base, or leave {self.name} out."
        raise UserError(f"{self.name} ({self.description}) {why}.", fix=fix, exit_code=Exit.USAGE)

    def _applied_to(self, base: Recipe) -> Recipe:
        fields, network = base.fields(), base.network
        stages = {*self.copies, *chain(*self.matches)} - {*self.copies.values()}
        for path in (*self.but, *self.times, *(f"network.{stage}" for stage in sorted(stages))):
            if not any(f"{name}.".startswith(f"{path}.") for name in fields):
                raise UserError(f"it has no {path}.", fix="")
        changes = {**_copied(network, self.copies), **self.but}
        changes |= {path: type(fields[path])(fields[path] * factor) for path, factor in self.times.items()}
        if self.width != 1:
            changes |= scaled(network, self.width)
        description = f"like {base.name}, but {self.description}"
        if self.matches:
            unmatched = base.but(changes).network
            widths = matched(unmatched, network, self.matches)
            changes |= {f"network.{stage}.maps": maps for stage, maps in widths.items()}
            description += f": {comparison(base.but(changes).network, network)}"
        varied = base.but(changes, name=f"{base.name}+{self.name}", description=description)
        if self.images == 1:
            return varied
        epochs = round(base.training.epochs / self.images)  # as many steps
        return varied.but({"training.images_fraction": self.images}).shortened(epochs)


def _copied(network: Network, copies: Mapping[str, str]) -> dict[str, Any]:
    """The fields that give each of some stages a copy of another name, right after it."""
    if not copies:
        return {}
    stages = {stage.name: stage for stage in network.stages}
    names = [name for stage in stages for name in (stage, copies.get(stage)) if name]
    made = {f"network.{new}": asdict(replace(stages[old], name=new)) for old, new in copies.items()}
    return {"network.stages": names, **made}


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
