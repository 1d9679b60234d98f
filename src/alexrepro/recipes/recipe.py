"""A recipe: everything that can change a number, with its name and its difference from another recipe.

`but` makes a recipe that is like another one, but with some fields changed. The digest names the run folder; recipes
with the same fields have the same digest, whatever their names.
"""

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from alexrepro.errors import Exit, UserError, did_you_mean
from alexrepro.files import read_text, reading
from alexrepro.paper.network import Network, Stage
from alexrepro.paper.training import Augmentation, Training
from alexrepro.recipes.constraints import check, check_name
from alexrepro.recipes.fields import RENAMED, SEE_FIELDS, changed, flatten, renamed, shortened

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
        check_name(self.name, self.description)
        check(self.network, self.training, self.augmentation)

    def fields(self) -> dict[str, Any]:
        """Every field that can change a number, by dotted path."""
        parts = {"network": self.network, "training": self.training, "augmentation": self.augmentation}
        return {path: leaf for part, value in parts.items() for path, leaf in flatten(value, part)}

    def but(self, changes: Mapping[str, Any], *, name: str | None = None, description: str | None = None) -> "Recipe":
        """The same recipe with some fields changed, by dotted path; raises UserError for what does not fit.

        Without a name the recipe keeps its own: the digest already distinguishes the two.
        """
        parts = _changed(changes, network=self.network, training=self.training, augmentation=self.augmentation)
        return replace(self, **parts, name=name or self.name, description=description or self.description)

    def for_classes(self, classes: int) -> "Recipe":
        """The same recipe with as many classes as a data set has."""
        last = self.network.stages[-1].name
        return self if classes == self.network.classes else self.but({f"network.{last}.maps": classes})

    def shortened(self, epochs: int) -> "Recipe":
        """The same recipe with its schedule squeezed into another number of epochs."""
        schedule = self.training.schedule.squeezed(max(1, epochs), of=self.training.epochs)
        return self.but({"training.epochs": epochs, "training.schedule": schedule})

    @property
    def digest(self) -> str:
        """Six hexadecimal digits computed from EDITION and the fields that differ from the defaults."""
        standard = Recipe().fields()
        differing = {p: v for p, v in self.fields().items() if p not in standard or standard[p] != v}
        text = json.dumps([EDITION, differing], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:6]

    def to_toml(self) -> str:
        """The fully resolved recipe as TOML, one dotted key a line; `from_toml` gives the same recipe back."""
        lines = [
            f"# alexrepro recipe {self.name}-{self.digest}",
            f"name = {_toml(self.name)}",
            f"description = {_toml(self.description)}",
        ]
        lines += [f"{path} = {_toml(value)}" for path, value in self.fields().items()]
        return "\n".join(lines) + "\n"


def differences(one: Recipe, other: Recipe) -> dict[str, tuple[Any, Any]]:
    """The fields in which two recipes differ: path -> (value in one, value in the other); absent is None."""
    left, right = one.fields(), other.fields()
    paths = list(dict.fromkeys([*left, *right]))
    return {p: (left.get(p), right.get(p)) for p in paths if left.get(p) != right.get(p)}


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
    except (ValueError, RecursionError) as error:
        reason = str(error).replace("\n", " ")
        raise UserError(f"{path} is not TOML: {reason}.", fix="Write one `path = value` a line.") from None
    base = find_base(str(table.pop("base"))) if find_base and "base" in table else Recipe()
    table.setdefault("description", f"read from {path.name}")
    return from_table(table, name=table.pop("name", path.stem), base=base)


def from_table(table: dict[str, Any], *, name: str, base: Recipe) -> Recipe:
    """A recipe like the base, with the fields of a TOML table changed."""
    description, network, parts = table.pop("description"), base.network, table.get("network")
    check_name(name, description)
    if isinstance(parts, dict) and "stages" in parts:
        network = _with_stages(network, parts.pop("stages"))
    leaves = {path: None if value == "none" else value for path, value in _leaves(table)}
    kinds = {path: value for path, value in leaves.items() if path.endswith(".kind")}  # first: it decides the fields
    changes = {**kinds, **{path: value for path, value in leaves.items() if path not in kinds}}
    changed_parts = _changed(changes, network=network, training=base.training, augmentation=base.augmentation)
    return Recipe(name=name, description=description, **changed_parts)


def parse_changes(texts: Iterable[str]) -> dict[str, Any]:
    """What `--set path=value` means, for each text: the value is a TOML value, `none`, or else plain text."""
    changes: dict[str, Any] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        if not equals:
            raise UserError(
                f"--set {text} has no '='.", fix="Write --set network.norm=none, for example.", exit_code=Exit.USAGE
            )
        changes[path.strip()] = _value(value.strip())
    return changes


def _value(text: str) -> Any:
    if text.lower() == "none":
        return None
    try:
        read = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return read["value"] if len(read) == 1 else text


def _changed(changes: Mapping[str, Any], **parts: Any) -> dict[str, Any]:
    """The parts of a recipe after changes by dotted path; not yet checked as a whole."""
    for path, value in changes.items():
        part, _, rest = path.partition(".")
        if part in RENAMED:
            raise renamed(part)
        if part not in parts:
            raise UserError(
                f"A recipe has no part {shortened(part)}{did_you_mean(part, parts)}",
                fix=f"Paths begin with network., training. or augmentation. {SEE_FIELDS}",
                exit_code=Exit.USAGE,
            )
        parts[part] = changed(parts[part], rest, value, below=part)
    return parts


def _with_stages(network: Network, names: Any) -> Network:
    """The network with the stages of these names in this order; one that it lacks begins with a stage's defaults."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(
            f"network.stages = {shortened(names)} does not fit: it must be a list of names.",
            fix='Write it as: network.stages = ["conv1", "fc8"].',
            exit_code=Exit.USAGE,
        )
    known = {stage.name: stage for stage in network.stages}
    return replace(network, stages=tuple(known.get(name) or Stage(name) for name in names))


def _leaves(table: dict[str, Any], path: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        here = f"{path}.{key}" if path else key
        found += _leaves(value, here) if isinstance(value, dict) else [(here, value)]
    return found


def _toml(value: Any) -> str:
    """A plain value as TOML; None, which TOML lacks, is the word "none"."""
    if value is None:
        return '"none"'
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)
