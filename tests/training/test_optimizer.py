"""The update rule of §5 against plain arithmetic, and where it differs from torch's SGD."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from alexrepro.model.alexnet import AlexNet, build
from alexrepro.paper.network import Network, Norm, Stage
from alexrepro.paper.training import Rates, Training
from alexrepro.training.optimizer import Momentum

from .reference import updated

NETWORK = Network(
    input_px=4, channels=1, towers=1, norm=None,
    stages=(Stage("conv1", maps=2, kernel_px=3, reads="both"), Stage("fc8", kind="full", maps=3, reads="both")),
)  # fmt: skip
TRAINING = Training()
EXACT = {"atol": 1e-15, "rtol": 1e-13}  # float64; only the order of additions differs


def rates(learning_rate: float, bias_learning_rate: float = 0.02) -> Rates:
    names = ("conv1", "fc8")
    return Rates(dict.fromkeys(names, learning_rate), dict.fromkeys(names, bias_learning_rate), has_color_shift=True)


def with_gradients(model: AlexNet, step: int) -> dict[str, np.ndarray]:
    gradients = {}
    for name, parameter in model.named_kernels().items():
        generator = torch.Generator().manual_seed(step)
        parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        gradients[name] = parameter.grad.numpy().copy()
    return gradients


def assert_moves_by_the_rule(network: Network, steps: list[Rates], decays: dict[str, float]) -> None:
    model = build(network, seed=0).double()
    momentum = Momentum(model, TRAINING)
    expected = {name: p.detach().numpy().copy() for name, p in model.named_kernels().items()}
    velocities = {name: np.zeros_like(value) for name, value in expected.items()}

    for step, rates in enumerate(steps):
        gradients = with_gradients(model, step)
        momentum.step(rates)
        updated(expected, velocities, gradients, rates=rates, decays=decays)

    for name, parameter in model.named_kernels().items():
        assert_close(parameter.detach().numpy(), expected[name], **EXACT)


def test_the_update_is_the_printed_rule_through_a_rate_drop() -> None:
    steps = [rates(learning_rate) for learning_rate in (0.01, 0.01, 0.01, 0.001, 0.001)]

    assert_moves_by_the_rule(NETWORK, steps, {"conv1": 0.0005, "fc8": 0.0005})


def test_a_stage_may_have_a_decay_and_a_rate_of_its_own() -> None:
    stage = replace(NETWORK.stages[0], decay_factor=3.0, learning_rate_factor=2.0)
    network = replace(NETWORK, stages=(stage, NETWORK.stages[1]))
    found = TRAINING.rates(network.stages, epoch=1)

    assert (found.weights, found.biases) == ({"conv1": 0.02, "fc8": 0.01}, {"conv1": 0.01, "fc8": 0.01})
    assert_moves_by_the_rule(network, [found] * 5, {"conv1": 0.0015, "fc8": 0.0005})


def test_it_equals_torch_sgd_until_the_rate_drops_and_not_after() -> None:
    ours, theirs = build(NETWORK, seed=0).double(), build(NETWORK, seed=0).double()
    momentum = Momentum(ours, Training(bias_decay=0.0005))
    sgd = torch.optim.SGD(theirs.parameters(), lr=0.01, momentum=0.9, weight_decay=0.0005)
    differences = []

    for step, learning_rate in enumerate([0.01, 0.01, 0.001]):
        with_gradients(ours, step), with_gradients(theirs, step)
        before = ours.named_kernels()["fc8.weight"].detach().clone()
        momentum.step(rates(learning_rate, learning_rate))
        sgd.param_groups[0]["lr"] = learning_rate
        sgd.step()
        difference = (ours.named_kernels()["fc8.weight"] - theirs.named_kernels()["fc8.weight"]).abs().max().item()
        differences.append(difference)
        moved = (ours.named_kernels()["fc8.weight"] - before).abs().max().item()

    assert max(differences[:2]) < 1e-15  # float64; only the order of additions differs
    assert differences[2] > 0.5 * moved  # ours still takes nine tenths of the old, ten times larger step


def test_a_rate_of_zero_freezes_a_stage_altogether() -> None:
    model = build(NETWORK, seed=0).double()
    momentum = Momentum(model, TRAINING)
    frozen = Rates({"conv1": 0.0, "fc8": 0.01}, {"conv1": 0.0, "fc8": 0.02}, has_color_shift=True)
    with_gradients(model, 0)
    momentum.step(rates(0.01))
    before = model.named_kernels()["conv1.weight"].detach().clone()

    momentum.freeze(frozen)
    model(torch.ones(1, 1, 4, 4, dtype=torch.float64)).sum().backward()
    momentum.step(frozen)

    assert torch.equal(model.named_kernels()["conv1.weight"], before)
    assert not model.named_kernels()["conv1.weight"].requires_grad


def after_five_steps(*, compiles: bool) -> dict[str, torch.Tensor]:
    """Weights and velocities in float32."""
    model = build(NETWORK, seed=0)
    momentum = Momentum(model, TRAINING, compiles=compiles)
    for step, rate in enumerate([0.01, 0.01, 0.01, 0.001, 0.001]):
        for parameter in model.named_kernels().values():
            parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(step))
        biases = {"conv1": 2 * rate, "fc8": 2 * rate}
        momentum.step(Rates({"conv1": rate, "fc8": rate / 2}, biases, has_color_shift=True))
    weights = {name: parameter.detach() for name, parameter in model.named_kernels().items()}
    return weights | {f"velocity of {name}": velocity for name, velocity in momentum.state().items()}


@pytest.mark.slow
def test_the_compiled_update_differs_by_rounding_only() -> None:
    plain, compiled = (after_five_steps(compiles=compiles) for compiles in (False, True))

    # Products are rounded before they are added: half a unit, 2^-25, of terms below 0.1, three times in five steps.
    for name, expected in plain.items():
        assert_close(compiled[name], expected, atol=15 * 0.1 * 2**-24, rtol=2**-23)


def test_the_gains_of_a_learned_norm_do_not_decay_and_its_shifts_learn_as_biases_do() -> None:
    stage = replace(NETWORK.stages[0], order=("norm", "activation"))
    network = replace(NETWORK, norm=Norm(kind="batch"), stages=(stage, NETWORK.stages[1]))
    model = build(network, seed=0).double()
    kernels = model.named_kernels()
    for parameter in kernels.values():
        parameter.grad = torch.zeros_like(parameter)
    kernels["conv1.shift"].grad = torch.ones_like(kernels["conv1.shift"])
    before = kernels["conv1.weight"].detach().clone()

    Momentum(model, TRAINING).step(rates(0.01, 0.02))

    assert (kernels["conv1.gain"] == 1).all()
    assert_close(kernels["conv1.shift"].detach(), torch.full((2,), -0.02, dtype=torch.float64), **EXACT)
    assert_close(kernels["conv1.weight"].detach(), before * (1 - 0.01 * 0.0005), **EXACT)
