"""Where a stage differs from torch's own layers: conv1's border, pooling by the ceiling rule, dropout at test time."""

import numpy as np
import torch
from torch import nn
from torch.testing import assert_close

from alexrepro.model.layers import ConvOrLinear, StageModule
from alexrepro.model.operations import Dropout
from alexrepro.paper.network import Network, Pool, Stage

NETWORK = Network()


def test_conv1_sees_zeros_on_the_right_and_below_only() -> None:
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(1, 3, 24, 24, generator=generator, dtype=torch.float64)
    stage = Stage("conv1", maps=2, kernel_px=11, stride_px=4, reads="both")
    kernels = ConvOrLinear(Network(input_px=24, towers=1, stages=(stage,)), stage, (3, 24, 24)).double()
    with torch.no_grad():
        kernels.weight.normal_(generator=generator)
        kernels.bias.normal_(generator=generator)

    found = kernels(image)

    padded = np.pad(image[0].numpy(), ((0, 0), (0, 3), (0, 3)))
    expected = np.empty((2, 5, 5))  # 1 + ceil((24 - 11) / 4): the last window starts at 16, needs 3 columns of zeros
    for m, y, x in np.ndindex(expected.shape):
        window = padded[:, 4 * y : 4 * y + 11, 4 * x : 4 * x + 11]
        expected[m, y, x] = (window * kernels.weight[m].detach().numpy()).sum() + kernels.bias[m].item()
    assert_close(found[0], torch.from_numpy(expected), atol=1e-11, rtol=0)  # only the order of additions differs


def test_pooling_clips_its_last_window() -> None:
    pool = StageModule(Network(pool=Pool(size_px=2)), NETWORK.stages[0], (3, 224, 224)).operations["pool"]

    found = pool(torch.arange(25.0).reshape(1, 1, 5, 5))

    assert found[0, 0].tolist() == [[6, 8, 9], [16, 18, 19], [21, 23, 24]]


def test_overlapping_pooling_takes_the_largest_of_three_by_three() -> None:
    pool = StageModule(NETWORK, NETWORK.stages[4], (384, 13, 13)).operations["pool"]
    maps = torch.randn(1, 2, 13, 13, generator=torch.Generator().manual_seed(3))

    found = pool(maps)

    for y, x in np.ndindex(6, 6):
        window = maps[0, :, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3]
        assert torch.equal(found[0, :, y, x], window.amax((1, 2)))


def test_dropout_does_not_rescale_in_training_and_halves_in_testing() -> None:
    units, mask = torch.tensor([2.0, 4.0, 6.0]), torch.tensor([1.0, 0.0, 1.0])
    dropout, like_torch = Dropout(0.5), Dropout(0.5, "training")

    assert (dropout(units, mask).tolist(), dropout(units, None).tolist()) == ([2, 0, 6], [1, 2, 3])
    assert (like_torch(units, mask).tolist(), like_torch(units, None).tolist()) == ([4, 0, 12], [2, 4, 6])


def test_an_operation_that_the_network_lacks_is_skipped() -> None:
    stage = StageModule(Network(norm=None), NETWORK.stages[1], (96, 27, 27))

    assert list(stage.operations) == ["activation", "pool"]
    assert isinstance(stage.operations["activation"], nn.ReLU)
