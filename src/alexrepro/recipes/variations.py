"""Ablations as data: like a recipe, but with some fields changed, testing a printed number.

A variation holds changes only, so that it applies to any recipe that has the fields; `ablate` chooses the base.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alexrepro.errors import Exit, UserError, did_you_mean
from alexrepro.paper import results
from alexrepro.paper.logbook import Logged, logged
from alexrepro.paper.network import FIELD_OF, Pool
from alexrepro.recipes.recipe import Recipe

BASE_CROPS: results.Crops = "ten"  # over which a base is tested


@dataclass(frozen=True)
class Variation:
    """Like X, but Y, testing Z: a claim of the paper as a change of fields.

    Without any the base's trained networks are tested once more, over other crops.
    """

    name: str
    description: str
    but: Mapping[str, Any] = field(default_factory=dict)
    halves: tuple[str, ...] = ()
    tests: results.ReportedDelta | None = None
    logged: Logged | None = None
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
        lacking = [
            path for path in (*self.but, *self.halves) if not any(f"{n}.".startswith(f"{path}.") for n in fields)
        ]
        if lacking:
            raise self._misfit(f"cannot be tried on {base.name}: it has no {lacking[0]}")
        try:
            changed = base.but(self.but)
            varied = base.but(
                {**self.but, **{path: fields[path] // 2 for path in self.halves}},
                name=f"{base.name}+{self.name}", description=f"like {base.name}, but {self.description}",
            )  # fmt: skip
        except UserError as error:
            raise self._misfit(f"cannot be tried on {base.name}: {error.what.rstrip('.')}") from None
        if _used(changed) == _used(base):
            raise self._misfit(f"changes nothing in {base.name}; the same network would be trained twice")
        return varied

    def _misfit(self, why: str) -> UserError:
        return UserError(
            f"{self.name} ({self.description}) {why}.",
            fix=f"Choose another recipe with --base, or leave {self.name} out.",
            exit_code=Exit.USAGE,
        )


VARIATIONS = {
    variation.name: variation
    for variation in (
        Variation(
            "no-norm", "without any response normalization", {"network.norm": None, "network.same_map_norm": None},
            tests=results.NO_NORM, logged=logged("148"), section="§3.3",
        ),
        Variation(
            "non-overlapping-pooling", "with 2×2 pooling windows 2 pixels apart",
            {"network.pool": Pool(size_px=2), "network.conv2.pad_px": 1, "network.conv5.pad_px": 0},  # layers-147.cfg
            tests=results.NO_OVERLAP, logged=logged("147"), section="§3.4",
        ),
        Variation(
            "one-tower", "on one GPU with half the kernels, except in the last conv layer and the full ones",
            {"network.towers": 1},
            halves=tuple(f"network.conv{i}.maps" for i in (1, 2, 3, 4)),  # layers-145-half.cfg
            tests=results.ONE_TOWER, logged=logged("145-half"), section="§3.2",
        ),
        Variation(
            "no-cross-links", "without links between the towers before fc8; net-150 is also wider for it",
            {f"network.{name}.reads": "own" for name in ("conv3", "fc6", "fc7")}, section="§3.2",
        ),
        Variation("tanh", "with tanh in place of the ReLU", {"network.activation": "tanh"}, section="§3.1"),
        Variation(
            "without-conv2", "without conv2, its norms and its pooling; conv3 strides by 2 instead",
            {"network.conv2": None, "network.conv3.stride_px": 2, "network.conv3.pad_px": 0},
            tests=results.WITHOUT_MIDDLE, section="§7",
        ),
        Variation(
            "without-conv3", "without conv3; conv4 takes over its input from both towers",
            {"network.conv3": None, "network.conv4.reads": "both"}, tests=results.WITHOUT_MIDDLE, section="§7",
        ),
        Variation(
            "without-conv4", "without conv4", {"network.conv4": None}, tests=results.WITHOUT_MIDDLE, section="§7"
        ),
        Variation(
            "without-conv5", "without conv5; its pooling follows conv4",
            {"network.conv5": None, "network.conv4.order": ("pool", "activation")},
            tests=results.WITHOUT_MIDDLE, section="§7",
        ),
        Variation(
            "no-color-shift", "without the color shift", {"augmentation.color_shift": None},
            tests=results.NO_COLOR_SHIFT, section="§4.1",
        ),
        Variation("no-dropout", "without dropout", {"network.dropout": 0.0}, section="§4.2"),
        Variation(
            "no-crops", "with the center crop only, without random crops and flips",
            {"augmentation.crops": False, "augmentation.flips": False}, section="§4.1",
        ),
        Variation(
            "input-227", "with crops of 227 px, which conv1's kernels cover without padding",
            {"network.input_px": 227, "augmentation.last_offset_px": 29},  # 256 - 227
            section="§3.5",
        ),
        Variation(
            "average-logits", "with the logits of the ten crops averaged, not their softmax outputs",
            crops="ten-logits", section="§4.1",
        ),
        Variation("no-weight-decay", "without weight decay", {"training.weight_decay": 0.0}, section="§5"),
    )
}  # fmt: skip


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
