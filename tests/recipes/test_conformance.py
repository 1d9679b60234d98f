"""Every network of 2012 as a recipe is, stage by stage, what its released layer and parameter files say."""

from pathlib import Path

import pytest

from alexrepro.paper.network import Network, Operation, Stage
from alexrepro.recipes.catalog import catalog
from alexrepro.recipes.recipe import Recipe

from .facts_2012 import FILES, facts_of, from_table, read_settings

TABLE = Path(__file__).with_name("facts_2012.tsv")
FACTS = from_table(TABLE.read_text(encoding="utf-8"))


def stage_facts(network: Network, stage: Stage) -> dict[str, str]:
    """A stage of a recipe in the words of the table, without its rates."""
    side = network.side_input if network.side_input and network.side_input.stage == stage.name else None
    operations = (_operation(network, stage, name) for name in stage.order)
    window = f"size {stage.kernel_px} stride {stage.stride_px} pad {stage.pad_px}"
    return {
        "maps": str(stage.maps),
        "kernels": "full" if stage.kind == "full" else window,
        "groups": str(network.groups(stage)),
        "initW": f"{stage.weight_std:g}",
        "initB": f"{stage.bias:g}",
        "side": "none"
        if side is None
        else f"taps {side.taps} sigma {side.sigma_px:g} every {side.every_px} "
        f"size {side.kernel_px} stride {side.stride_px} initW {side.weight_std:g}",
        "after": ", ".join(filter(None, operations)) or "nothing",
    }


def _operation(network: Network, stage: Stage, name: Operation) -> str:
    """One operation of a stage; empty where the network has none of its kind."""
    norm, square, pool = network.norm, network.same_map_norm, network.pool
    words = {
        "activation": f"response {network.activation}",
        "pool": f"pool {pool.size_px}/{pool.stride_px}",
        "dropout": f"dropout {network.dropout:g}",
        "norm": f"norm {norm.n} {norm.alpha:g} {norm.beta:g} {norm.k:g}" if norm else "",
    }
    of_square = f"{name} {square.size_px} {square.alpha:g} {square.beta:g} {square.k:g}" if square else ""
    return words.get(name, of_square)


def rate_facts(recipe: Recipe, stage: Stage) -> dict[str, str]:
    """The rates of a stage at the end of the run in the words of the table."""
    training = recipe.training
    rates = training.rates(recipe.network.stages, epoch=training.epochs)
    return {
        "epsW": f"{rates.weights[stage.name]:g}",
        "epsB": f"{rates.biases[stage.name]:g}",
        "momW": f"{training.momentum:g}",
        "momB": f"{training.momentum:g}",
        "wc": f"{training.weight_decay * stage.decay_factor:g}",
    }


@pytest.mark.parametrize("name", FILES)
def test_a_network_of_2012_is_what_its_files_say(name: str) -> None:
    recipe = catalog()[name].recipe.for_classes(int(FACTS[name]["fc8"]["maps"]))  # classes follow the store

    found = {s.name: stage_facts(recipe.network, s) | rate_facts(recipe, s) for s in recipe.network.stages}

    assert found == FACTS[name]


def test_every_network_of_2012_is_compared() -> None:
    assert set(FILES) == {name for name in catalog() if name.startswith(("net-", "as-run-"))}


def test_norms_of_2012_divide_alpha_by_their_window_and_stop_at_the_tower() -> None:
    norms = {name: catalog()[name].recipe.network.norm for name in FILES}

    assert [name for name, norm in norms.items() if norm and not (norm.divide_alpha_by_n and norm.per_tower)] == []


def test_the_table_holds_what_the_released_files_say(request: pytest.FixtureRequest) -> None:
    path = request.config.getoption("--released-2012")
    if path is None:
        pytest.skip("no released 2012 files: name their folder with --released-2012 PATH")

    assert facts_of(read_settings(path)) == FACTS


def test_the_files_read_from_their_folder_and_from_a_table_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "layers").mkdir()
    (tmp_path / "layers" / "layer-params-9.cfg").write_text("[conv1a]\nepsW=0.01,0.01\n# epoch 2: set epsw to 0=1\n")
    table = tmp_path / "settings.tsv"
    table.write_text("file\tsection\tkey\tvalue\nlayers/layer-params-9.cfg\tconv1a\tepsW\t0.01,0.01\n")

    assert read_settings(tmp_path) == read_settings(table)
    assert read_settings(table) == {"layer-params-9.cfg": {"conv1a": {"epsW": "0.01,0.01"}}}
