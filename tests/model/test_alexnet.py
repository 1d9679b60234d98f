"""The whole network: the order of its stages, initial weights and masks."""

import torch
import torch.nn.functional as F
from torch.testing import assert_close

from alexrepro.model.alexnet import build
from alexrepro.recipes.catalog import AS_RUN_2012, TINY


def test_the_stages_run_in_the_order_of_the_2012_configuration() -> None:
    """conv1 -> norm -> pool -> ReLU -> conv2 -> ReLU -> norm -> same-map norm -> pool -> ... (layers-145.cfg)."""
    model = build(TINY.network, seed=3).double()
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 60
    w = model.named_kernels()

    def norm(maps: torch.Tensor) -> torch.Tensor:
        return torch.cat([F.local_response_norm(t, 5, 1e-4, 0.75, 2.0) for t in maps.chunk(2, 1)], 1)

    def conv(maps: torch.Tensor, name: str, pad: int, groups: int) -> torch.Tensor:
        return F.conv2d(maps, w[f"{name}.weight"], w[f"{name}.bias"], padding=pad, groups=groups)

    y = F.conv2d(F.pad(x, (0, 3, 0, 3)), w["conv1.weight"], w["conv1.bias"], stride=4)
    y = F.max_pool2d(norm(y), 3, 2).relu()
    y = norm(conv(y, "conv2", 2, 2).relu())
    y = y / (1 + 1e-3 / 25 * F.avg_pool2d(y**2, 5, 1, 2, divisor_override=1)) ** 0.75
    y = conv(F.max_pool2d(y, 3, 2), "conv3", 1, 1).relu()
    y = conv(conv(y, "conv4", 1, 2).relu(), "conv5", 1, 2)
    y = F.max_pool2d(y, 3, 2).relu().flatten(1)
    for name in ("fc6", "fc7"):
        y = F.linear(y, w[f"{name}.weight"], w[f"{name}.bias"]).relu() / 2
    expected = F.linear(y, w["fc8.weight"], w["fc8.bias"])

    assert_close(model(x), expected, atol=1e-10, rtol=0)  # float64; only the order of additions differs


def test_initial_weights_have_the_deviations_and_biases_of_the_recipe() -> None:
    model = build(AS_RUN_2012.for_classes(10).network, seed=1)

    for stage in AS_RUN_2012.network.stages:
        weight, bias = model.named_kernels()[f"{stage.name}.weight"], model.named_kernels()[f"{stage.name}.bias"]
        # Four standard errors of a mean and of a standard deviation over this many draws.
        assert abs(weight.mean().item() / stage.weight_std) < 4 / weight.numel() ** 0.5
        assert abs(weight.std().item() / stage.weight_std - 1) < 4 / (2 * weight.numel()) ** 0.5
        assert torch.equal(bias, torch.full_like(bias, stage.bias))


def test_initial_weights_depend_on_the_seed_alone() -> None:
    one, same, other = (build(TINY.network, seed=seed).named_kernels()["fc6.weight"] for seed in (1, 1, 2))

    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_masks_depend_on_the_key_and_the_stage_and_drop_about_half() -> None:
    model = build(TINY.network, seed=0)

    masks, again, other = (model.draw_masks(64, key_of_step=key) for key in (5, 5, 6))

    assert set(masks) == {"fc6", "fc7"}
    assert torch.equal(masks["fc6"], again["fc6"])
    assert not torch.equal(masks["fc6"], masks["fc7"])
    assert not torch.equal(masks["fc6"], other["fc6"])
    assert abs(masks["fc6"].mean().item() - 0.5) < 4 * 0.5 / masks["fc6"].numel() ** 0.5  # four standard errors


def test_dropout_in_a_conv_stage_falls_on_single_units_of_the_pooled_maps() -> None:
    recipe = TINY.but({"network.conv5.order": ("pool", "activation", "dropout")})

    assert build(recipe.network, seed=0).draw_masks(3, key_of_step=1)["conv5"].shape == (3, 32, 6, 6)


def test_uniform_initial_values_fill_their_interval() -> None:
    recipe = TINY.but({"network.initial": "uniform", "network.fc6.weight_std": 0.1, "network.fc6.bias": 1.0})
    named = build(recipe.network, seed=2).named_kernels()
    weight, bias = named["fc6.weight"], named["fc6.bias"]

    bound = 0.1 * 3**0.5
    assert 0.99 * bound < weight.abs().max() <= bound  # among so many values, some come within a hundredth
    assert abs(weight.std().item() / 0.1 - 1) < 0.01
    assert 0.8 * bound < (bias - 1).abs().max() <= bound
    assert abs(bias.std().item() / 0.1 - 1) < 4 / (2 * len(bias)) ** 0.5  # four standard errors
