"""The fast step of towers and of replicas computes what that of one process does."""

import numpy as np
import pytest
import torch

from alexrepro.data.loading.crops import Pixels
from alexrepro.data.loading.sampling import Batch, Draws, shard_of
from alexrepro.device import find_device
from alexrepro.distributed.process_group import Parallel, ProcessGroup, connect
from alexrepro.distributed.rank import Rank
from alexrepro.model.alexnet import build
from alexrepro.model.fast_network import Layout
from alexrepro.training.fast_step import FastStep, Source
from alexrepro.training.optimizer import make_optimizer

from ..ranks import run_ranks
from ..together import NARROW

Found = dict[str, np.ndarray]
IMAGES = 13  # replicas have six and seven


def batch_of(shard: tuple[int, int]) -> Batch:
    generator = torch.Generator().manual_seed(0)
    side_px = NARROW.network.input_px
    crops = torch.randint(0, 256, (IMAGES, side_px, side_px, 3), generator=generator, dtype=torch.uint8)
    colors = torch.randn(IMAGES, 3, generator=generator)
    rows = shard_of(IMAGES, shard)
    numbers = torch.arange(IMAGES)[rows]
    draws = Draws(numbers, torch.zeros(len(numbers), 2, dtype=torch.int64), numbers % 2 == 0, colors[rows])
    return Batch(0, draws, crops[rows].permute(0, 3, 1, 2), numbers % NARROW.network.classes)


def three_steps(group: ProcessGroup) -> Found:
    """Loss and error of three steps, summed over replicas, and the full weights after them."""
    full = build(NARROW.network, seed=1).double()
    model = full.held_by(group.towers)
    optimizer, rates = make_optimizer(model, NARROW.training), NARROW.training.rates(NARROW.network.stages, epoch=1)
    optimizer.freeze(rates)
    optimizer.set_rates(rates)
    pixels = Pixels(
        torch.full((3, 256, 256), 120.0).double(), torch.tensor([0.2, 0.1, 0.05]).double(), torch.eye(3).double()
    )
    source = Source(model, optimizer, pixels, NARROW, NARROW.augmentation, group)
    batch = batch_of(group.shard)
    step = FastStep(source, batch, layout=Layout(norm_kernels=False), device=find_device("cpu"))
    values = [group.all_reduce(step(batch, torch.tensor([number, 9])).clone()).tolist() for number in range(3)]
    weights = {name: model.gather_full(name, weight.detach()).numpy() for name, weight in model.named_kernels().items()}
    return {"values": np.array(values), **weights}


def of_one_rank(rank: Rank, parallel: Parallel) -> Found:
    with connect(rank, find_device("cpu"), network=NARROW.network, parallel=parallel) as group:
        return three_steps(group)


@pytest.mark.parametrize("parallel", ["tower", "data"])
def test_three_fast_steps_of_two_processes_equal_those_of_one(parallel: Parallel) -> None:
    expected = three_steps(ProcessGroup())
    for found in run_ranks(of_one_rank, 2, parallel):
        assert set(found) == set(expected)
        np.testing.assert_allclose(found["values"], expected["values"], rtol=1e-6)  # kept in float32
        for name in set(found) - {"values"}:
            assert np.linalg.norm(found[name] - expected[name]) <= 1e-12 * np.linalg.norm(expected[name]), name
