"""The network of §3 as data: eight learned stages in two towers, and all sizes and counts that follow from them.

A stage's maps are counted over all towers; those of tower 0 come first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, get_args

from alexrepro.paper.citation import MOST, cited

Operation = Literal["activation", "norm", "same_map_norm", "contrast_norm", "pool", "average_pool", "dropout"]
FIELD_OF = {name: name for name in get_args(Operation)} | {"contrast_norm": "same_map_norm", "average_pool": "pool"}
POOLINGS = {"pool", "average_pool"}
Size = tuple[int, int, int]  # maps, height, width


@dataclass(frozen=True)
class Norm:
    """Response normalization across neighboring kernel maps: x / (k + c · sum of n squares)^β (§3.3)."""

    k: float = cited(2.0, "§3.3", "k = 2", above=0)  # with 0, a map of zeros is 0 / 0
    n: int = cited(5, "§3.3", "n = 5 adjacent maps", odd=True)
    alpha: float = cited(1e-4, "§3.3", "α = 10⁻⁴")
    beta: float = cited(0.75, "§3.3", "β = 0.75")
    divide_alpha_by_n: bool = cited(False, "§3.3", "α multiplies the plain sum; layer.py NormLayerParser divides by n")
    per_tower: bool = cited(False, "§3.3", "N counts all maps of the layer; in layers-145.cfg, those of its tower")
    kind: Literal["response", "batch", "layer"] = cited(
        "response", "§3.3", "batch and layer normalization came later; they use torch's constants, not those above"
    )

    @property
    def coefficient(self) -> float:
        """What multiplies the sum of squares."""
        return self.alpha / self.n if self.divide_alpha_by_n else self.alpha

    @property
    def learns(self) -> bool:
        """Whether it learns a gain and a shift for each map, as batch and layer normalization do."""
        return self.kind != "response"


@dataclass(frozen=True)
class SameMapNorm:
    """The unreported norm after conv2's: x / (k + c · sum of squares over a square of the same map)^β."""

    size_px: int = cited(5, "layers-145.cfg [cnorm2]", "5×5 neighborhood", odd=True)
    k: float = cited(1.0, "cuda-convnet conv_util.cu", "fixed in the kernel; minDiv is read for cmrnorm only", above=0)
    alpha: float = cited(1e-3, "layer-params-145.cfg [cnorm2]", "scale 0.001, divided by the 25 pixels")
    beta: float = cited(0.75, "layer-params-145.cfg [cnorm2]", "pow 0.75")

    @property
    def coefficient(self) -> float:
        """What multiplies the sum of squares: the scale divided by the number of pixels."""
        return self.alpha / self.size_px**2


@dataclass(frozen=True)
class SideInput:
    """A blurred, subsampled copy of the crop that networks up to #141 added to conv2's input."""

    stage: str = cited("conv2", "layers-120.cfg", "conv2 of both towers")
    taps: int = cited(9, "layers-120.cfg", "Gaussian of 9 taps in each direction, zero outside the crop", odd=True)
    sigma_px: float = cited(4.0, "layers-120.cfg", "standard deviation of the Gaussian", above=0)
    every_px: int = cited(4, "layers-120.cfg", "every 4th pixel")
    first_px: int = cited(2, "layers-120.cfg", "beginning with pixel 2", at_least=0)
    kernel_px: int = cited(5, "layers-120.cfg", "5×5 kernels over all three colors")
    stride_px: int = cited(2, "layers-120.cfg", "so that 56 pixels give conv2's 27")
    weight_std: float = cited(0.01, "layers-120.cfg [conv2a]", "initW=0.01,0.01: as conv2's own kernels")

    def side_px(self, input_px: int) -> int:
        """Side of the small copy: 56 for a crop of 224."""
        return -(-(input_px - self.first_px) // self.every_px)


@dataclass(frozen=True)
class Pool:
    """Max pooling over z×z windows s pixels apart; windows are clipped at the border (§3.4)."""

    size_px: int = cited(3, "§3.4", "z = 3")
    stride_px: int = cited(2, "§3.4", "s = 2, so windows overlap")

    def output_px(self, input_px: int) -> int:
        """Side of the pooled map: rounded up, as layer.py PoolLayerParser does."""
        return -(-(input_px - self.size_px) // self.stride_px) + 1


@dataclass(frozen=True)
class Stage:
    """One learned stage: its kernels, what they see, how they start, and what follows them (§3.5)."""

    name: str
    kind: Literal["conv", "local", "full"] = "conv"
    maps: int = 0
    kernel_px: int = cited(0, at_least=0)  # 0 in full connections
    stride_px: int = 1
    pad_px: int = cited(0, at_least=0)
    reads: Literal["own", "both"] = "own"
    order: tuple[Operation, ...] = ("activation",)
    weight_std: float = cited(0.01, "§5", "Gaussian with standard deviation 0.01")
    bias: float = cited(
        0.0, "§5", "1 in conv2, conv4, conv5 and the hidden full layers; 0 in the remaining layers", at_least=-MOST
    )
    learning_rate_factor: float = cited(1.0, "§5", "an equal learning rate for all layers")
    decay_factor: float = cited(1.0, "layer-params-145.cfg", "wc = 0.0005 on every weight matrix")


@dataclass(frozen=True)
class Layer:
    """What one stage or pooling layer holds: output size, weights, biases, multiply-adds, neurons.

    Biases include the gains and shifts of batch or layer normalization.
    """

    name: str
    output: Size
    weights: int = 0
    biases: int = 0
    macs: int = 0
    neurons: int = 0

    @property
    def parameters(self) -> int:
        """Weights and biases together."""
        return self.weights + self.biases


def _conv(name: str, maps: int, kernel_px: int, **more: object) -> Stage:
    return Stage(name=name, maps=maps, kernel_px=kernel_px, **more)  # type: ignore[arg-type]


def _full(name: str, maps: int, **more: object) -> Stage:
    return Stage(name=name, kind="full", maps=maps, reads="both", **more)  # type: ignore[arg-type]


# §3.5 and Figure 2: kernels, strides and which maps each stage sees; §5: where biases start at 1.
STAGES_AS_PRINTED = (
    _conv("conv1", 96, 11, stride_px=4, reads="both", order=("activation", "norm", "pool")),
    _conv("conv2", 256, 5, pad_px=2, bias=1.0, order=("activation", "norm", "pool")),
    _conv("conv3", 384, 3, pad_px=1, reads="both"),
    _conv("conv4", 384, 3, pad_px=1, bias=1.0),
    _conv("conv5", 256, 3, pad_px=1, bias=1.0, order=("activation", "pool")),
    _full("fc6", 4096, bias=1.0, order=("activation", "dropout")),
    _full("fc7", 4096, bias=1.0, order=("activation", "dropout")),
    _full("fc8", 1000, order=()),
)


@dataclass(frozen=True)
class Network:
    """The network of §3; the defaults are the paper's text."""

    input_px: int = cited(224, "§3.5", "224×224×3 input image")
    channels: int = cited(3, "§3.5", "224×224×3 input image")
    input_std: tuple[float, ...] | None = cited(
        None, "§2", "raw RGB values minus the mean; later networks divide each channel by a deviation", above=0
    )
    towers: int = cited(2, "§3.2", "the net is spread across two GPUs")
    rounding: Literal["up", "down"] = cited("up", "layer.py LocalLayerParser", "1 + ceil((224 - 11) / 4) = 55")
    activation: Literal["relu", "tanh", "sigmoid"] = cited("relu", "§3.1", "f(x) = max(0, x)")
    norm: Norm | None = cited(Norm(), "§3.3", "response normalization after the first and second layers")
    same_map_norm: SameMapNorm | None = cited(None, "§3.3", "not in the paper; layers-145.cfg [cnorm2] has one")
    side_input: SideInput | None = cited(None, "§3.5", "conv1 alone reads the image; networks up to #141 had one")
    pool: Pool = cited(Pool(), "§3.4", "overlapping max pooling")
    dropout: float = cited(0.5, "§4.2", "probability of zeroing a hidden neuron; 0 turns it off everywhere", below=1)
    dropout_scales: Literal["testing", "training"] = cited("testing", "§4.2", "outputs times 0.5 at test time")
    initial: Literal["gaussian", "uniform"] = cited("gaussian", "§5", "uniform: ±√3 · weight_std, also for biases")
    stages: tuple[Stage, ...] = STAGES_AS_PRINTED

    @property
    def classes(self) -> int:
        """Number of classes: the outputs of the last stage."""
        return self.stages[-1].maps

    def conv_output_px(self, stage: Stage, input_px: int) -> int:
        """Side of a convolution's map: 1 + ceil((224 - 11) / 4) = 55 (layer.py LocalLayerParser), or rounded down."""
        room_px = 2 * stage.pad_px + input_px - stage.kernel_px
        return 1 + (-(-room_px // stage.stride_px) if self.rounding == "up" else room_px // stage.stride_px)

    def pad_after_px(self, stage: Stage, input_px: int) -> int:
        """Zeros that the rounding up adds on the right and below only: 3 for conv1 (cuda-convnet filter_acts.cu)."""
        seen_px = (self.conv_output_px(stage, input_px) - 1) * stage.stride_px + stage.kernel_px
        return max(0, seen_px - input_px - 2 * stage.pad_px)

    def inputs(self) -> Iterator[tuple[Stage, Size]]:
        """Each stage with the size of what reaches it, all towers together."""
        size: Size = (self.channels, self.input_px, self.input_px)
        for stage in self.stages:
            yield stage, size
            size = self.output(stage, size, stage.order)

    def output(self, stage: Stage, size: Size, operations: Sequence[Operation] = ()) -> Size:
        """Size of what a stage makes of an input of this size by its kernels and these of its operations."""
        if stage.kind == "full":
            return (stage.maps, 1, 1)
        side_px = self.conv_output_px(stage, size[1])
        if POOLINGS & set(operations):
            side_px = self.pool.output_px(side_px)
        return (stage.maps, side_px, side_px)

    def operations(self, stage: Stage) -> tuple[Operation, ...]:
        """The operations of a stage in their order, without those that the network has switched off."""
        return tuple(name for name in stage.order if getattr(self, FIELD_OF[name]))

    def groups(self, stage: Stage) -> int:
        """Towers that read only their own maps; 1 when each sees everything."""
        return self.towers if stage.reads == "own" else 1

    def layers(self) -> tuple[Layer, ...]:
        """Every stage, and after it the pooling layer that its operations contain (27×27, 13×13 and 6×6)."""
        found = []
        for stage, size in self.inputs():
            found.append(self._layer(stage, size))
            if POOLINGS & set(stage.order):
                name = f"pool{stage.name.removeprefix('conv')}"
                found.append(Layer(name, self.output(stage, size, stage.order)))
        return tuple(found)

    @property
    def parameters(self) -> int:
        """Weights and biases of all stages; 60,965,224 for the paper's network ("60 million")."""
        return sum(layer.parameters for layer in self.layers())

    @property
    def neurons(self) -> int:
        """Outputs of all learned stages; 659,272 for the paper's network ("650,000")."""
        return sum(layer.neurons for layer in self.layers())

    @property
    def macs(self) -> int:
        """Multiply-adds of one forward pass of one crop."""
        return sum(layer.macs for layer in self.layers())

    def _layer(self, stage: Stage, size: Size) -> Layer:
        output = self.output(stage, size)
        window = size[1] * size[2] if stage.kind == "full" else stage.kernel_px**2
        weights = stage.maps * (size[0] // self.groups(stage)) * window
        if self.side_input and self.side_input.stage == stage.name:
            weights += stage.maps * self.channels * self.side_input.kernel_px**2
        macs = weights * output[1] * output[2]
        kernels = (macs, prod(output)) if stage.kind == "local" else (weights, stage.maps)  # local: for each position
        learned, biases = kernels
        if self.norm and self.norm.learns and "norm" in stage.order:
            biases += 2 * stage.maps  # gains and shifts
        return Layer(stage.name, output, learned, biases, macs, neurons=prod(output))
