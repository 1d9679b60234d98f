"""What the figures show, against what can be worked out by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from alexrepro.cli.app import app
from alexrepro.errors import UserError
from alexrepro.paper.results import VAL_2012
from alexrepro.recipes.catalog import AS_RUN_2010, AS_RUN_2012, TINY, catalog, find_recipe
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.variations import VARIATIONS
from alexrepro.reports.experiments import Evidence, find, render
from alexrepro.reports.experiments.learned_features import colorfulness, sheets
from alexrepro.reports.figures import plot
from alexrepro.reports.figures.curves import crossing
from alexrepro.reports.figures.diagram import draw
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.predictions import Neighbors, save_neighbors
from alexrepro.runs.run import Run

MakeRun = Callable[..., Run]


def rows(name: str, *runs: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = render(find(name), Evidence(runs=runs)).table.as_dict()["rows"]
    return found


def test_the_crossing_of_a_training_error_is_on_the_line_between_two_epochs() -> None:
    falling = pd.DataFrame({"epoch": [1, 2, 3], "training_error": [0.5, 0.3, 0.1]})

    assert crossing(falling) == pytest.approx(2.25)  # a quarter of the way from 0.3 to 0.1
    assert crossing(falling[:2]) is None
    assert crossing(falling[2:].reset_index(drop=True)) == 3


def falling_to_a_quarter(make_run: MakeRun, recipe: Recipe, epochs: int, *, seed: int = 0) -> Run:
    errors = [0.25 + 0.01 * (epochs - epoch) for epoch in range(1, epochs + 1)]
    return make_run(recipe, dataset="cifar10", seed=seed, training_errors=errors)


def test_figure_1_compares_the_epochs_of_both_activations(make_run: MakeRun) -> None:
    relu_errors, tanh_errors = [0.35, 0.25], [0.80 - 0.05 * epoch for epoch in range(1, 13)]
    runs = (
        make_run(find_recipe("figure-1-relu"), dataset="cifar10", training_errors=relu_errors),
        make_run(find_recipe("figure-1-tanh"), dataset="cifar10", training_errors=tanh_errors),
    )

    relu, tanh, ratio = rows("figure-1", *runs)

    assert (relu["epochs_to_25_percent"], tanh["epochs_to_25_percent"]) == (2, pytest.approx(11))
    assert (ratio["times_sooner"], ratio["verdict"]) == (pytest.approx(5.5), "reproduced")
    figure = render(find("figure-1"), Evidence(runs=runs)).figure
    assert figure is not None
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["ReLU", "tanh"]
    assert [text.get_text() for text in axes.texts] == ["2.0", "11.0", "25 %"]


def test_figure_1_separates_readings_seeds_and_other_rates(make_run: MakeRun) -> None:
    recipes = {name: find_recipe(f"figure-1-{name}") for name in ("relu", "tanh", "relu-b", "tanh-b")}
    slower = recipes["tanh"].but({"training.learning_rate": 1e-4, "training.bias_learning_rate": 2e-4})
    planned = [
        (recipes["relu"], 2, 0), (recipes["relu"], 4, 1), (recipes["tanh"], 12, 0), (recipes["tanh"], 16, 1),
        (recipes["relu-b"], 5, 0), (recipes["tanh-b"], 10, 0), (slower, 9, 0),
    ]  # fmt: skip
    runs = [falling_to_a_quarter(make_run, recipe, epochs, seed=seed) for recipe, epochs, seed in planned]

    *found, other = rows("figure-1", *runs)

    ratios = {row["reading"]: row for row in found if row["recipe"] == "tanh / relu"}
    assert (ratios["A"]["times_sooner"], ratios["A"]["times_sooner_std"]) == (5, pytest.approx(2**0.5))  # of 6 and 4
    assert (ratios["B"]["times_sooner"], ratios["B"]["verdict"]) == (2, "not reproduced")
    assert (other["learning_rate"], other["epochs_to_25_percent"], other["note"]) == (1e-4, 9, "another learning rate")
    assert render(find("figure-1"), Evidence(runs=tuple(runs))).missing == []


def test_figure_1_shows_a_network_that_differs_by_tanh_only_as_other_data(make_run: MakeRun) -> None:
    tanh = VARIATIONS["tanh"]
    base, varied, short = (
        make_run(recipe, dataset="miniature", training_errors=[0.9, 0.2])
        for recipe in (TINY, tanh.of(TINY), tanh.of(TINY.shortened(2)))
    )

    relu_row, tanh_row, ratio = rows("figure-1", varied, base)

    assert [row["recipe"] for row in (relu_row, tanh_row)] == ["tiny", "tiny+tanh"]
    assert (ratio["verdict"], tanh_row["note"]) == ("not comparable", "another network on other data")
    assert render(find("figure-1"), Evidence(runs=(varied, base))).missing  # the paper's runs are still to be made
    assert rows("figure-1", base, short)[-1]["verdict"] == "not run"


def test_a_run_of_figure_1_counts_as_far_as_it_goes_but_not_with_other_layers(make_run: MakeRun) -> None:
    relu, tanh = (find_recipe(f"figure-1-{name}") for name in ("relu", "tanh"))
    shorter = falling_to_a_quarter(make_run, relu.but({"training.epochs": 5}), 2)
    changed = falling_to_a_quarter(make_run, tanh.but({"network.conv1.maps": 8}), 12)
    full = falling_to_a_quarter(make_run, tanh, 12)
    part = make_run(relu, dataset="cifar10", seed=1, training_errors=(0.35, 0.25), images=5_000)
    without_errors = make_run(Recipe(name="figure-1-relu"), dataset="cifar10", losses=(1.0, 0.5))

    alike, other = rows("figure-1", shorter, full)[-1], rows("figure-1", shorter, changed)[-1]

    assert (alike["verdict"], alike["times_sooner"]) == ("reproduced", 6)
    assert (other["verdict"], other["note"]) == ("not comparable", "changed: network.conv1.maps")
    few = rows("figure-1", part, full)[-1]
    assert (few["verdict"], few["note"]) == ("not comparable", "trained on 5,000 of 50,000 images")
    assert rows("figure-1", without_errors)[0]["note"] == "not run"


@pytest.mark.parametrize("name", ["as-printed", "net-137", "cifar-11pct", "tiny", "batch-norm", "extra-conv-narrower"])
def test_the_drawn_network_names_every_stage_with_its_size_and_kernels(name: str) -> None:
    network = (VARIATIONS[name].of(find_recipe("as-printed")) if name in VARIATIONS else find_recipe(name)).network

    svg = plot.svg(draw(network, title=name), name=name, title=name)

    *inner, (last, _) = network.inputs()
    for stage, size in inner:
        maps, height, width = network.output(stage, size)
        part = f"{height}×{width}×{maps // network.towers}" if height > 1 else f"{maps // network.towers}"
        assert f">{stage.name}</text>" in svg
        assert svg.count(f">{part}<") >= network.towers
        if stage.kind != "full":
            assert f">kernels {stage.kernel_px}×{stage.kernel_px}×{size[0] // network.groups(stage)}<" in svg
    assert f">{last.maps}-way softmax<" in svg
    assert ("batch norm" in svg) is (name == "batch-norm")


def test_the_parts_of_the_gpus_are_linked_where_a_stage_reads_both() -> None:
    figures = [draw(catalog()[name].recipe.network, title="") for name in ("as-printed", "net-150")]
    one_tower = draw(TINY.but({"network.towers": 1}).network, title="")

    linked, apart = ([sum(p.get_linestyle() == "--" for p in f.axes[0].patches)] for f in figures)

    assert linked == [6]  # conv3, fc6, fc7, each from the other GPU, both ways
    assert apart < linked
    words = [{text.get_text() for text in figure.axes[0].texts} for figure in (figures[0], one_tower)]
    assert [{"GPU 1", "GPU 2"} & found for found in words] == [{"GPU 1", "GPU 2"}, set()]


def test_describe_draws_any_recipe_into_a_file(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("1/net.svg", "2/net.svg", "net.png", "net.pdf")]

    found = [CliRunner().invoke(app, ["describe", "tiny", "--figure", str(file)]) for file in files]

    once, again = (file.read_text() for file in files[:2])
    assert ">conv5</text>" in once
    assert 'role="img" aria-label="Figure 2 for tiny:' in once
    assert once == again
    assert files[2].read_bytes().startswith(b"\x89PNG")
    assert not files[3].exists()
    assert "neither an .svg nor a .png" in str(found[3].exception)


def test_kernels_are_scaled_together_in_a_black_frame_and_the_first_one_is_at_the_top_left() -> None:
    upright = np.zeros((1, 3, 2, 2), dtype=np.float32)
    upright[0, :, 0, 1] = 1  # a light at the top right
    assert sheets(upright, towers=1)[0][1:-1, 1:-1, 0].tolist() == [[0, 1], [0, 0]]
    weights = np.zeros((4, 3, 1, 1), dtype=np.float32)
    weights[:, :, 0, 0] = [[0, 0, 0], [2, 2, 2], [-2, 0, 2], [1, 1, 1]]  # from -2 to 2 over both towers

    first, second = sheets(weights, towers=2, per_row=2)

    assert first[1].tolist() == [[0] * 3, [0.5] * 3, [0] * 3, [1.0] * 3, [0] * 3]  # frame, gray, frame, white, frame
    assert second[1, 1::2].tolist() == [[0.0, 0.5, 1.0], [0.75] * 3]
    assert first[0::2].max() == 0  # the frame above and below
    paper = sheets(np.zeros((96, 3, 11, 11), dtype=np.float32), towers=2)
    assert [picture.shape for picture in paper] == [(37, 193, 3)] * 2  # 3 rows of 16 times 11 pixels, and the frame


def test_a_gray_kernel_has_no_color_and_a_kernel_of_opposite_channels_nothing_else() -> None:
    gray, colored = np.ones((3, 2, 2)), np.stack([np.ones((2, 2)), -np.ones((2, 2)), np.zeros((2, 2))])

    assert colorfulness(np.stack([gray, colored]).astype(np.float32)).tolist() == [0.0, 1.0]


def test_figure_3_tells_the_color_of_each_tower(make_run: MakeRun) -> None:
    weights = np.random.default_rng(0).normal(size=(12, 3, 11, 11))
    weights[:6] = weights[:6, :1]  # the first tower sees gray
    run = make_run(TINY, weights={"conv1.weight": weights})
    newer = run.checkpoints / "step-000000003"
    newer.mkdir()
    (newer / "model.safetensors").write_bytes(b"half a file")  # a damaged checkpoint is skipped

    gray, colored = rows("figure-3", run)

    assert gray["color_fraction"] == pytest.approx(0, abs=1e-6)  # float32
    assert colored["color_fraction"] > 0.5
    figure = render(find("figure-3"), Evidence(runs=(run,))).figure
    assert figure is not None
    svg = plot.svg(figure, name="figure-3", title="")
    assert ">GPU 1: 0 % of the energy is color</text>" in svg
    assert ">tiny on ilsvrc2010-miniature, seed 0, after step 2 of 26 (epoch 1 of 13)</text>" in svg
    assert svg.count("pixelated") == 2  # kernels stay sharp at any size


def test_a_figure_shows_the_longest_complete_run_of_the_foremost_recipe(make_run: MakeRun) -> None:
    recipes = (find_recipe("caffe-2013"), TINY.shortened(2), TINY, AS_RUN_2010)
    other, short, long, paper = (make_run(recipe, is_complete=True) for recipe in recipes)
    begun = make_run(AS_RUN_2010, seed=1)

    assert Evidence(runs=(begun, other, short, long, paper)).foremost() == [paper, long, short, other, begun]
    missing = [render(find("figure-4"), Evidence(runs=runs)).missing for runs in ((begun, paper), (begun,))]
    assert missing[0] == [f"alexrepro features {paper.folder}"]  # not train, and not the run that has only begun
    assert missing[1][1] == "alexrepro train as-run-2010 --store ilsvrc2010"


def test_neighbors_that_cannot_be_written_are_an_error_of_the_disk(
    make_run: MakeRun, neighbors: Callable[..., Neighbors]
) -> None:
    run = make_run(TINY)
    (run.folder / ".neighbors.safetensors.partial").mkdir()

    with pytest.raises(OSError, match="neighbors"):  # which the command line explains
        save_neighbors(run, neighbors())


def test_figure_4_lists_predictions_and_neighbors_and_takes_any_name(
    make_run: MakeRun, neighbors: Callable[..., Neighbors]
) -> None:
    run = make_run(TINY)
    images = np.zeros((2, 256, 256, 3), dtype=np.uint8)
    images[:, :128, :128] = (255, 0, 0)  # red at the top left
    save_neighbors(run, replace(neighbors(names=("wolf, Canis lupus", "$\\frac1$<script>")), images=images))
    evidence = Evidence(runs=(run,))

    found = rows("figure-4", run)
    figure = render(find("figure-4"), evidence).figure

    predictions = [(row["image"], row["rank"], row["probability"]) for row in found[:3]]
    assert predictions == [("a", 1, 0.75), ("a", 2, 0.25), ("b", 1, 0.5)]
    nearest = [(row["image"], row["neighbor"], row["distance"]) for row in found[4:6]]
    assert nearest == [("c", "e", 1.0), ("c", "f", 2.0)]
    assert figure is not None
    shown = figure.axes[0]
    assert (np.asarray(shown.get_images()[0].get_array()) == images[0]).all()
    assert shown.yaxis_inverted()  # the first row is drawn at the top
    svg = plot.svg(figure, name="figure-4", title="")
    assert ">wolf</text>" in svg
    assert "$\\frac1$&lt;script&gt;" in svg


@pytest.mark.parametrize(("name", "note"), [("training-curves", "no step yet"), ("figure-1", "not run")])
def test_a_file_without_rows_is_an_empty_curve(make_run: MakeRun, name: str, note: str) -> None:
    run = make_run(find_recipe("figure-1-relu"), dataset="cifar10")  # resumed before its first checkpoint

    assert run.metrics_file.read_text().count("\n") == 1
    assert rows(name, run)[0]["note"] == note
    assert render(find(name), Evidence(runs=(run,))).figure is None


def test_a_curve_is_the_mean_loss_of_each_epoch_and_leaves_out_half_a_line(make_run: MakeRun) -> None:
    run = make_run(TINY, losses=(3.0, 1.0, 0.5), errors=(0.9,))
    with (run.folder / "metrics.csv").open("a") as file:
        file.write("4,2,16,0.1")

    found = [(row["epoch"], row["loss"], row["top1_error"]) for row in rows("training-curves", run)]

    assert found == [(1, 2.0, 0.9), (2, 0.5, None)]


def test_all_training_curves_are_drawn_and_differ_without_color_but_seeds_look_alike(make_run: MakeRun) -> None:
    recipes = [TINY.but({"training.epochs": epochs}) for epochs in range(1, 10)]
    runs = [make_run(recipe, losses=(3.0, 2.0), errors=(0.9,)) for recipe in recipes]
    seeds = [make_run(recipes[0], seed=seed, losses=(3.0, 2.0)) for seed in (1, 2)]

    figure = render(find("training-curves"), Evidence(runs=(*runs, *seeds))).figure

    assert figure is not None
    looks = [(line.get_linestyle(), line.get_marker()) for line in figure.axes[0].lines]
    assert (len(looks), len(set(looks))) == (11, 9)
    (legend,) = figure.legends
    assert legend.get_texts()[0].get_text() == f"tiny, 1 epoch, {recipes[0].digest}, 3 seeds"


def test_a_report_of_named_runs_takes_these_only_or_says_what_to_type(make_run: MakeRun, tmp_path: Path) -> None:
    weights = {"conv1.weight": np.random.default_rng(0).normal(size=(12, 3, 11, 11))}
    asked, other = make_run(TINY.shortened(2), weights=weights), make_run(TINY, weights=weights, is_complete=True)
    words = ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "reports")]

    drawn = CliRunner().invoke(app, ["report", "figure-3", str(asked.folder), *words])
    refused = CliRunner().invoke(app, ["report", "figure-4", str(other.folder), *words])

    assert drawn.exit_code == 0
    table = pd.read_csv(tmp_path / "reports" / "figure-3.csv")
    assert set(table["cites"]) == {str(asked.folder)}
    assert set(table["gpu"]) == {1, 2}
    assert isinstance(refused.exception, UserError)
    assert refused.exception.fix == f"Type: alexrepro features {other.folder}"


def test_depth_and_width_shows_measured_networks_apart_from_those_of_others(
    make_run: MakeRun, evaluation: Callable[..., Evaluation]
) -> None:
    wider = VARIATIONS["without-conv4-wider"].of(TINY)
    evaluations = tuple(evaluation(recipe, split="ilsvrc2010-miniature-test", images=500) for recipe in (TINY, wider))
    evidence = Evidence(runs=(make_run(TINY), make_run(wider)), evaluations=evaluations)

    report = render(find("depth-and-width"), evidence)

    found = report.table.as_dict()["rows"]
    ours = [row for row in found if row["verdict"] == "measured"]
    theirs = {row["network"]: row for row in found if row["verdict"] == "published"}
    assert [(row["network"], row["layers"], row["top1_error"]) for row in ours] == [
        ("base", 8, 0.4), ("without-conv4-wider", 7, 0.4)
    ]  # fmt: skip
    assert theirs["without layers 3 and 4"]["parameters_millions"] == pytest.approx(59.563624)
    assert (theirs["without layer 7"]["top1_error"], theirs["without layer 7"]["top5_error"]) == (0.4, 0.184)
    figure = report.figure
    assert figure is not None
    assert [panel.get_title() for panel in figure.axes] == [
        "ilsvrc2010-miniature-test", "ilsvrc2012-val: published, Zeiler and Fergus 2013"
    ]  # fmt: skip
    marks = [{line.get_fillstyle() for line in panel.lines} for panel in figure.axes]
    assert marks == [{"full"}, {"none"}]
    by_depth = {line.get_marker(): line.get_color() for panel in figure.axes for line in panel.lines}
    assert len(by_depth) == len(set(by_depth.values())) == 4  # networks of 4, 6, 7 and 8 layers
    assert "without-conv4-wider" in report.missing[-1]  # on ImageNet


def test_sizes_over_a_decade_are_labeled_with_plain_numbers(evaluation: Callable[..., Evaluation]) -> None:
    half, quarter = (VARIATIONS[name].of(AS_RUN_2012) for name in ("half-width", "quarter-width"))
    evidence = Evidence(
        evaluations=tuple(evaluation(recipe, split=VAL_2012) for recipe in (AS_RUN_2012, half, quarter))
    )
    assert AS_RUN_2012.network.parameters > 10 * quarter.network.parameters

    figure = render(find("depth-and-width"), evidence).figure

    assert figure is not None
    figure.draw_without_rendering()
    labels = [label.get_text() for panel in figure.axes for label in panel.get_xticklabels(which="both")]
    assert {"5", "10", "20", "50"} <= set(labels)
    assert [text for text in labels if text.strip("0123456789.")] == []


def test_fall_2009_is_published_and_logged_but_cannot_be_measured() -> None:
    report = render(find("fall-2009"), Evidence())

    found = report.table.as_dict()["rows"]
    assert [(row["source"], row["top1_error"]) for row in found] == [
        ("reported", 0.674), ("reported", 0.781), ("2012 log", 0.6938), ("2012 log", 0.6942), ("measured", None)
    ]  # fmt: skip
    assert found[-1]["verdict"] == "not run"
    assert "no longer distributed" in found[-1]["note"]
    assert report.missing == []
