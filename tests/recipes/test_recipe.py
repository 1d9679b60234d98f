"""A recipe is its fields: changed by path, hashed by content, written as TOML and read back the same."""

from pathlib import Path

import pytest

from alexrepro.errors import Exit, UserError
from alexrepro.paper.network import SameMapNorm
from alexrepro.recipes.catalog import AS_PRINTED, catalog
from alexrepro.recipes.recipe import differences, from_text, from_toml, parse_changes


def test_named_recipes_written_as_toml_read_back_the_same() -> None:
    quoted = AS_PRINTED.but({"network.norm": None, "training.learning_rate": 1e-7}, description="é\"\\ '#=")
    recipes = [quoted, *(entry.recipe for entry in catalog().values())]

    assert [from_text(recipe.to_toml(), Path("copy.toml")) for recipe in recipes] == recipes


def test_a_short_file_changes_some_defaults_and_is_named_after_itself(tmp_path: Path) -> None:
    file = tmp_path / "slow.toml"
    file.write_text('training.learning_rate = 0.001\nnetwork.norm = "none"\n')

    recipe = from_toml(file)

    assert differences(AS_PRINTED.but({"network.norm": None, "training.learning_rate": 0.001}), recipe) == {}
    assert recipe.name == "slow"


LINE = 'training.schedule.kind = "script"\ntraining.schedule.at = [{{{}}}]'
ODD_FILES = [
    ("training.rate = 0.1", "training.rate is now training.learning_rate"),
    (LINE.format("epoch = 1, rate = 0.1"), "rate is now training.schedule.at.learning_rate"),
    ('says = "mine"', "says is now description"),
    ("learning_rate: 3", "is not TOML"),
    ('network.stages = ["conv1", "conv9"]', "conv9"),
    ("network.conv1 = 3", "network.conv1 = 3 does not fit"),
    ("network = 3", "network = 3 does not fit"),
    ("network.stages = 3", "it must be a list"),
    ('network.stages = [["x"]]', "it must be str"),
    ("network.stages = []", "have different names"),
    ('name = "../x"', "name must"),
    ("name = 3", "it must be str"),
    ("training.learning_rate = 1979-05-27", "it must be float"),
    (LINE.format("learning_rate = 0.1"), "lacks 'epoch'"),
    (LINE.format("epoch = 1, learning_rte = 0.1"), "did you mean learning_rate"),
    ("training.schedule.kind = [1]", "must be 'plateau' or 'script'"),
    ("train.learning_rate = 3", "did you mean training"),
    ('"a\\u001b[31m".b = 3', r"no field 'a\\x1b"),
    ("network.norm.alphaa = 1", "Norm has no field 'alphaa'; did you mean alpha"),
    ("network.conv2.pad_pxx = 1", "did you mean pad_px"),
    ("network.conv9.maps = 1", "did you mean conv"),
    ("training.batch = 64.0", "must be int"),
    ("training.batch = true", "must be int"),
    ('training.learning_rate = "fast"', "must be float"),
    ("training.shuffle_every_epoch = 1", "must be bool"),
    ('network.activation = "gelu"', "must be 'relu' or 'tanh'"),
    ("network.norm = 3", "must be Norm or none"),
    ('network.conv1.order = ["activation", "magic"]', "must be 'activation'"),
    ("network.input_std = 57.5", r"must be a list .float, .... or none"),
    ('training.schedule = "none"', "must be Plateau or Script"),
]


@pytest.mark.parametrize(("content", "reason"), ODD_FILES)
def test_a_file_that_makes_no_recipe_is_refused_with_the_reason(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "odd.toml").write_text(content)

    with pytest.raises(UserError, match=reason):
        from_toml(tmp_path / "odd.toml")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_a_file_of_any_editor_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "mine.toml").write_bytes('description = "größer"\r\ntraining.learning_rate = 0.5\r\n'.encode(encoding))

    recipe = from_toml(tmp_path / "mine.toml")

    assert (recipe.description, recipe.training.learning_rate) == ("größer", 0.5)


@pytest.mark.parametrize(
    ("name", "what"), [("absent.toml", "no recipe file"), ("", "cannot be read"), ("x" * 300, "cannot be read")]
)
def test_a_missing_file_a_folder_or_a_name_too_long_is_missing_input(tmp_path: Path, name: str, what: str) -> None:
    with pytest.raises(UserError, match=what) as caught:
        from_toml(tmp_path / name)

    assert caught.value.exit_code == Exit.MISSING_INPUT


def test_a_change_of_a_stage_or_its_removal_leaves_the_others() -> None:
    changed, shorter = AS_PRINTED.but({"network.conv2.pad_px": 1}), AS_PRINTED.but({"network.conv4": None})

    assert list(differences(AS_PRINTED, changed)) == ["network.conv2.pad_px"]
    assert differences(AS_PRINTED, AS_PRINTED.for_classes(20)) == {"network.fc8.maps": (1000, 20)}
    assert [stage.name for stage in shorter.network.stages] == ["conv1", "conv2", "conv3", "conv5", "fc6", "fc7", "fc8"]


def test_a_field_of_an_absent_part_switches_the_part_on() -> None:
    assert AS_PRINTED.but({"network.same_map_norm.alpha": 0.002}).network.same_map_norm == SameMapNorm(alpha=0.002)


def test_a_digest_depends_on_the_fields_only() -> None:
    changes = {"training.batch": 64, "network.norm": None, "augmentation.flips": False}
    changed = AS_PRINTED.but(changes)

    assert AS_PRINTED.but(dict(reversed(changes.items())), name="other", description="else").digest == changed.digest
    assert changed.digest != AS_PRINTED.but({"training.batch": 64}).digest
    assert changed.but({"training.batch": 128}).but({"training.batch": 64}).digest == changed.digest


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("training.batch=64", 64),
        ("training.learning_rate = 1e-3", 0.001),
        ("network.norm=none", None),
        ("network.norm=None", None),
        ("training.shuffle_every_epoch=true", True),
        ("network.activation=tanh", "tanh"),
        ('network.activation="tanh"', "tanh"),
        ('network.conv1.order=["pool", "activation"]', ["pool", "activation"]),
        ("a=b=c", "b=c"),
    ],
)
def test_the_value_of_a_setting_is_toml_or_none_or_plain_text(text: str, value: object) -> None:
    assert list(parse_changes([text]).values()) == [value]


def test_a_setting_without_an_equals_sign_is_refused() -> None:
    with pytest.raises(UserError, match="training\\.batch has no '='") as caught:
        parse_changes(["training.batch"])

    assert caught.value.exit_code == Exit.USAGE


def test_differences_show_both_values_and_none_for_what_is_absent() -> None:
    found = differences(AS_PRINTED, AS_PRINTED.but({"network.norm": None, "training.batch": 64}))

    assert found["training.batch"] == (128, 64)
    assert found["network.norm.alpha"] == (1e-4, None)
