"""`describe`, `facts` and `recipes`: their JSON and their tables."""

import re
from pathlib import Path

import pytest

from alexrepro.paper.citation import statements
from alexrepro.paper.results import ALL_DELTAS, ALL_REPORTED, LOGGED
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012, MAIN, TINY, catalog
from alexrepro.recipes.recipe import differences, from_toml

from ..program import Program

LAYERS = ["conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5", "fc6", "fc7", "fc8"]


PROGRAM = Program(Path())
shown, answered = PROGRAM.shown, PROGRAM.json


def test_describe_in_json_counts_the_paper_s_network_layer_by_layer() -> None:
    found = answered("describe", "as-run-2012")

    names = "recipe digest parameters neurons macs flops training_flops formula sizes layers"
    assert list(found) == names.split()
    assert (found["recipe"], found["digest"]) == ("as-run-2012", AS_RUN_2012.digest)
    assert (found["parameters"], found["neurons"], found["macs"]) == (60_965_224, 659_272, 724_406_816)
    assert (found["flops"], found["training_flops"]) == (1_448_813_632, 4_135_610_496)  # two for each multiply-add
    assert found["sizes"] == [55, 27, 13, 13, 13, 6]
    assert [layer["name"] for layer in found["layers"]] == LAYERS
    assert found["layers"][0] == {
        "name": "conv1", "output": [96, 55, 55], "parameters": 34_944, "macs": 105_415_200, "neurons": 290_400
    }  # fmt: skip


def test_describe_takes_changes_and_a_recipe_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(TINY.to_toml(), encoding="utf-8")

    found = answered("describe", "as-run-2012", "--set", "network.towers=1", "--set", "network.conv4=none")

    assert [layer["name"] for layer in found["layers"]] == [name for name in LAYERS if name != "conv4"]
    assert found["digest"] != AS_RUN_2012.digest
    assert answered("describe", str(file))["digest"] == TINY.digest


def test_describe_shows_windows_towers_and_what_follows_beside_the_paper_s_words() -> None:
    text = shown("describe")

    rows = {line.split()[0]: re.split(r"  +", line)[1:] for line in text.splitlines() if line.strip()}
    assert rows["conv1"][:4] == ["55×55×96", "11/4/0 (+3)", "the image", "norm, pool, relu"]
    assert rows["conv2"][:3] == ["27×27×256", "5/1/2", "own tower"]
    pooled = {"pool1": "27×27×96", "pool2": "13×13×256", "pool5": "6×6×256"}
    assert {name: rows[name][:2] for name in pooled} == {name: [size, "3/2"] for name, size in pooled.items()}
    assert "4.14 GFLOPs forward and backward" in text
    assert rows["fc7"][:3] == ["4096", "both towers", "relu, dropout"]
    assert '"60 million parameters" and "650,000 neurons"' in text
    assert "253,440 where 55×55×96 = 290,400" in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["as-printed"], "(CNN → RN → MP)² → (CNN³ → MP) → (FC → DO)² → Linear → softmax"),
        (["net-148"], "(CNN → MP)² → (CNN³ → MP) → (FC → DO)² → Linear → softmax"),
        (["as-run-2012"], "(CNN → RN → MP) → (CNN → RN → SN → MP) → (CNN³ → MP) → (FC → DO)² → Linear → softmax"),
        (["cifar-13pct"], "(CNN → MP)² → local² → Linear → softmax"),
        (
            ["as-printed", "--set", "network.norm.kind=batch"],
            "(CNN → BN → MP)² → (CNN³ → MP) → (FC → DO)² → Linear → softmax",
        ),
    ],
    ids=str,
)
def test_describe_writes_the_formula_of_textbooks(words: list[str], expected: str) -> None:
    assert answered("describe", *words)["formula"] == expected


def test_describe_shows_two_recipes_side_by_side() -> None:
    text = shown("describe", "as-run-2012", "net-146-2009")

    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows["conv6"] == ["6×6×256", "590,080", "21,233,664"]
    assert rows["total"] == ["60,965,224", "61,555,304", "724,406,816", "745,640,480"]
    assert answered("describe", "as-run-2012", "net-146-2009")["other"]["parameters"] == 61_555_304


@pytest.mark.parametrize("words", [["tiny"], ["as-run-2012", "--set", "network.towers=1"]])
def test_describe_quotes_the_paper_for_the_paper_s_network_only(words: list[str]) -> None:
    assert "60 million" not in shown("describe", *words)


def test_facts_in_json_hold_every_printed_and_logged_number() -> None:
    found = answered("facts")

    assert list(found) == ["statements", "fields", "reported", "deltas", "logged", "submitted"]
    assert [row["id"] for row in found["statements"]] == [statement.id for statement in statements()]
    assert [row["name"] for row in found["reported"]] == [result.name for result in ALL_REPORTED]
    assert [row["name"] for row in found["deltas"]] == [result.name for result in ALL_DELTAS]
    assert [row["config"] for row in found["logged"]] == [entry.config for entry in LOGGED]
    assert {
        "path": "training.bias_learning_rate", "printed": 0.01, "as_run": 0.02, "source": "§5",
        "description": "an equal learning rate for all layers",
    } in found["fields"]  # fmt: skip
    cnn = {"section": "§6", "split": "ilsvrc2010-test", "crops": "ten", "top1_error": 0.375, "top5_error": 0.17}
    assert any(row["name"] == "cnn" and cnn.items() <= row.items() for row in found["reported"])


def test_facts_of_one_statement_show_both_values_and_every_pin() -> None:
    row, text = answered("facts", "P31"), shown("facts", "s11")

    assert set(row) == {"id", "source", "description", "in_2012", "status", "note", "fields", "pins"}
    assert (row["id"], row["source"], row["status"]) == ("P31", "§5", "as printed")
    assert row["fields"][0]["path"] == "network.<stage>.weight_std"
    assert (row["fields"][0]["printed"]["conv3"], row["fields"][0]["as_run"]["conv3"]) == (0.01, 0.03)
    assert "S11: layers-145.cfg" in text
    assert "0.01; 0.03 in conv3, conv4, conv5" in text
    assert "tests/recipes/test_conformance.py::test_a_network_of_2012_is_what_its_files_say" in text


def test_facts_of_several_statements_are_shown_one_after_the_other() -> None:
    assert [row["id"] for row in answered("facts", "P16", "p3")["statements"]] == ["P16", "P3"]
    assert re.findall(r"^[PS]\d+(?=: )", shown("facts", "P16", "p3"), re.MULTILINE) == ["P16", "P3"]


def test_facts_find_the_rows_that_mention_all_words() -> None:
    found, text = answered("facts", "dropout", "0.5"), shown("facts", "Dropout")

    assert [row["id"] for row in found["statements"]] == ["P27", "S35"]
    assert [row["path"] for row in found["fields"]] == ["network.dropout", "network.dropout_scales"]
    assert "P54" in text
    assert "network.dropout_scales" in text
    assert "P31" not in text


@pytest.mark.parametrize(
    ("words", "what"), [(["P99", "P1"], "No statement is called P99"), (["dropuot"], "Nothing mentions")]
)
def test_what_the_facts_lack_is_said(words: list[str], what: str) -> None:
    refused = PROGRAM("facts", *words)

    assert refused.returncode == 2
    assert what in refused.stderr


def test_facts_list_every_statement_once_and_show_sections_of_files_as_they_are() -> None:
    text = shown("facts")

    rows = [line.split()[0] for line in text.splitlines() if line.strip()]
    assert [rows.count(statement.id) for statement in statements()] == [1] * len(statements())
    assert "layers-145.cfg [cnorm2]" in text
    assert "5×5 neighborhood" in text


def test_recipes_list_names_the_main_recipes_and_with_all_every_one() -> None:
    rows = {row["name"]: row for row in answered("recipes", "list", "--all")["recipes"]}

    assert list(rows) == list(catalog())
    assert rows["as-run-2012"] == {
        "name": "as-run-2012", "digest": AS_RUN_2012.digest, "description": AS_RUN_2012.description,
        "like": "as-printed",
        "epochs": 90,
        "expected": [
            {"split": "ilsvrc2012-val", "crops": "ten", "top1_error": 0.40664, "top5_error": 0.1821,
             "top1_tolerance": 0.005, "top5_tolerance": 0.004},
        ],
    }  # fmt: skip
    main = [row["name"] for row in answered("recipes", "list")["recipes"]]
    assert main == [name for name in catalog() if name in MAIN]
    text = shown("recipes", "list")
    assert "37.5 % / 17.0 %" in text
    assert "ilsvrc2010-test," in text


def test_recipes_show_gives_the_differences_from_the_text() -> None:
    found = answered("recipes", "show", "tiny")

    assert (found["name"], found["digest"]) == ("tiny", TINY.digest)
    assert [row["path"] for row in found["differences"]] == list(differences(AS_PRINTED, TINY))
    assert "toml" not in found
    assert answered("recipes", "show", "tiny", "--toml")["toml"] == TINY.to_toml()
    assert shown("recipes", "show", "as-printed") == f"as-printed-{AS_PRINTED.digest}: the text of the paper.\n"


def test_recipes_show_as_toml_is_a_recipe_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(shown("recipes", "show", "as-run-2010", "--toml"), encoding="utf-8")

    assert from_toml(file) == catalog()["as-run-2010"].recipe


def test_recipes_diff_in_json_holds_both_recipes_and_each_field() -> None:
    found = answered("recipes", "diff", "as-printed", "as-run-2012")

    assert (found["compared_with"]["name"], found["name"]) == ("as-printed", "as-run-2012")
    assert {"path": "training.bias_learning_rate", "one": 0.01, "other": 0.02} in found["differences"]
    assert len(found["differences"]) == len(differences(AS_PRINTED, AS_RUN_2012))
