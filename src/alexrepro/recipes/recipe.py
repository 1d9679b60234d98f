"""A recipe: everything that can change a number, with its name and its difference from another recipe."""

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from alexrepro.errors import Exit, UserError
from alexrepro.files import read_text, reading
from alexrepro.paper.network import Network
from alexrepro.paper.training import Augmentation, Training
from alexrepro.recipes.constraints import check
from alexrepro.recipes.fields import changed, flatten, nested

EDITION = 1  # raised when a default is corrected, so that a corrected recipe never reuses an old run folder


@dataclass(frozen=True)
class Recipe:
    """Network, training and augmentation under one name; the defaults are the paper's text."""

    name: str = "as-printed"
    description: str = "the text of the paper"
    network: Network = field(default_factory=Network)
    training: Training = field(default_factory=Training)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        """Raise UserError for a recipe that cannot be computed with; `but` comes here once, after all its changes."""
        check(self)

    def fields(self) -> dict[str, Any]:
        """Every field that can change a number, by dotted path."""
        return {path: leaf for path, leaf in flatten(self) if "." in path}

    def but(self, changes: Mapping[str, Any], *, name: str | None = None, description: str | None = None) -> "Recipe":
        """The same recipe with some fields changed, by dotted path; raises UserError for what is unknown or impossible.

        Without a name the recipe keeps its own: the digest already distinguishes the two.
        """
        named = {"name": name or self.name, "description": description or self.description}
        return changed(self, nested({**named, **changes}))

    def for_classes(self, classes: int) -> "Recipe":
        """The same recipe with as many classes as a data set has."""
        last = self.network.stages[-1].name
        return self if classes == self.network.classes else self.but({f"network.{last}.maps": classes})

    def shortened(self, epochs: int) -> "Recipe":
        """The same recipe with its schedule squeezed into another number of epochs."""
        schedule = self.training.schedule.squeezed(max(1, epochs), of=self.training.epochs)
        return self.but({"training.epochs": epochs, "training.schedule": schedule})

    @cached_property
    def digest(self) -> str:
        """Six hexadecimal digits that identify EDITION and the fields that differ from the defaults."""
        standard = _standard()
        differing = {p: v for p, v in self.fields().items() if p not in standard or standard[p] != v}
        text = json.dumps([EDITION, differing], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:6]

    def to_toml(self) -> str:
        """The fully resolved recipe as TOML, one dotted key per line; `from_toml` gives the same recipe back."""
        lines = [f"{path} = {_toml(value)}" for path, value in flatten(self)]
        return "\n".join([f"# alexrepro recipe {self.name}-{self.digest}", *lines]) + "\n"


@cache
def _standard() -> dict[str, Any]:
    return Recipe().fields()


def differences(one: Recipe, other: Recipe) -> dict[str, tuple[Any, Any]]:
    """The fields in which two recipes differ: path -> (value in one, value in the other); absent is None."""
    left, right = one.fields(), other.fields()
    return {p: (left.get(p), right.get(p)) for p in left | right if left.get(p) != right.get(p)}


def from_toml(path: Path, *, find_base: Callable[[str], Recipe] | None = None) -> Recipe:
    """The recipe of a file that `to_toml` wrote, or of a hand-written one: like its `base`, with some fields changed.

    Without a `base` it is like the text of the paper. `network.stages` lists the stages in order; a stage that the base
    lacks needs its fields in the file. Raises UserError if the file is missing, is not TOML, or names an unknown field.
    """
    with reading(path, kind="recipe file", fix="List the named recipes with: alexrepro recipes list."):
        text = read_text(path)
    return from_text(text, path, find_base=find_base)


def from_text(text: str, path: Path, *, find_base: Callable[[str], Recipe] | None = None) -> Recipe:
    """The same for a text read from a path, which names the recipe if the text does not."""
    try:
        table = tomllib.loads(text)
    except ValueError as error:
        reason = str(error).replace("\n", " ")
        raise UserError(f"{path} is not TOML: {reason}.", fix="Write one `path = value` a line.") from None
    base = find_base(str(table.pop("base"))) if find_base and "base" in table else Recipe()
    return changed(base, {"name": path.stem, "description": f"read from {path.name}"} | table)


def parse_changes(texts: Iterable[str]) -> dict[str, Any]:
    """What `--set path=value` means, for each text: the value is a TOML value, `none`, or else plain text."""
    changes: dict[str, Any] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        if not equals:
            fix = "Write --set network.norm=none, for example."
            raise UserError(f"--set {text} has no '='.", fix=fix, exit_code=Exit.USAGE)
        changes[path.strip()] = _value(value.strip())
    return changes


def _value(text: str) -> Any:
    if text.lower() == "none":
        return None
    try:
        read = tomllib.loads(f"value = {text}")
    except ValueError:
        return text
    return read["value"] if len(read) == 1 else text


def _toml(value: Any) -> str:
    """A plain value as TOML; None, which TOML lacks, is the word "none"."""
    if value is None:
        return '"none"'
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)
