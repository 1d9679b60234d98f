"""AlexNet: the stages of a `Network` in a row, with the paper's initial weights (§3.5, §5).

A tensor's maps are its towers side by side: two towers in one process are grouped convolutions, one is half the rows.
B batch, C maps, K classes, T towers, t of them held here.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import cast

import torch
from torch import Tensor, nn

from alexrepro.errors import UserError
from alexrepro.keys import key
from alexrepro.model.layers import StageModule
from alexrepro.model.tower_parallel import LocalTowers
from alexrepro.paper.network import Network

DRAWN_BITS = 24  # of a float32's precision


class AlexNet(nn.Module):
    """This process's part of the network of §3: crops (B, 3, 224, 224) in, logits (B, K) out."""

    input_std: Tensor

    def __init__(self, network: Network, towers: LocalTowers | None = None) -> None:
        super().__init__()
        self.network, self.towers = network, towers or LocalTowers()
        check_shardable(network, self.towers.processes)
        std = torch.tensor(network.input_std or [1.0] * network.channels)[:, None, None]
        self.register_buffer("input_std", std, persistent=False)
        self.stages = nn.ModuleDict(
            {s.name: StageModule(network, s, size, self.towers) for s, size in network.inputs()}
        )

    def stage(self, name: str) -> StageModule:
        """The module of a stage, or of one of its weights or biases."""
        return cast(StageModule, self.stages[name.partition(".")[0]])

    def forward(self, crops: Tensor, masks: Mapping[str, Tensor] | None = None) -> Tensor:
        """Logits of the crops; `masks` from `draw_masks` in training, None in evaluation."""
        x = crops / self.input_std.to(crops.dtype) if self.network.input_std else crops  # (B, 3, 224, 224)
        for number, name in enumerate(self.stages):  # conv1 … fc8
            stage = self.stage(name)
            if number and stage.reads_both:  # conv1 reads the crop, which every process has
                gather = self.towers.gather_logits if stage.is_replicated else self.towers.all_gather_maps
                x = gather(x)  # (B, C·t/T, …) -> (B, C, …)
            mask = masks[name] if masks is not None and stage.has_dropout else None
            x = stage(x, mask, crops, is_training=masks is not None)
        return stage.towers.gather_logits(x)  # (B, K)

    def named_kernels(self) -> dict[str, nn.Parameter]:
        """All `<stage>.weight`, `<stage>.bias` and other learned parameters, in the order of the stages.

        That is `<stage>.side` of a side input, and `<stage>.gain` and `<stage>.shift` of batch or layer normalization.
        """
        found: dict[str, nn.Parameter] = {}
        for name in self.stages:
            stage = self.stage(name)
            found |= {f"{name}.weight": stage.kernels.weight, f"{name}.bias": stage.kernels.bias}
            if stage.side is not None:
                found[f"{name}.side"] = stage.side.weight
            found |= {f"{name}.{part}": parameter for part, parameter in stage.learned_parts().items()}
        return found

    def named_weights(self) -> dict[str, Tensor]:
        """All that testing needs: what is learned, and the running statistics of batch normalization."""
        statistics = {
            f"{name}.{part}": values for name in self.stages for part, values in self.stage(name).statistics().items()
        }
        return {**self.named_kernels(), **statistics}

    def held_by(self, towers: LocalTowers) -> "AlexNet":
        """The part of this network, which holds all towers, that a process with these towers holds."""
        if towers.processes == 1:
            return self
        part = AlexNet(self.network, towers).to(next(self.parameters()))
        part.load(self.named_weights())
        return part

    @torch.no_grad()
    def load(self, full: Mapping[str, Tensor]) -> None:
        """Copy this process's rows of the full `named_weights`."""
        for name, own in self.named_weights().items():
            own.copy_(self.rows_of(name, full[name]))

    def rows_of(self, name: str, full: Tensor) -> Tensor:
        """The rows that this process holds of a full `<stage>.weight`, bias or velocity."""
        towers = self.stage(name).towers
        return full.chunk(towers.processes)[towers.rank]

    def gather_full(self, name: str, rows: Tensor) -> Tensor:
        """The full tensor from the rows that each process holds; a collective call."""
        return self.stage(name).towers.gather_full(rows)

    def is_replicated(self, name: str) -> bool:
        """Whether every process holds all rows of this weight or bias."""
        return self.stage(name).towers.processes == 1

    @property
    def dropped_stages(self) -> list[str]:
        """The stages with dropout."""
        return [name for name in self.stages if self.stage(name).has_dropout]

    def mask_seeds(self, keys_of_steps: Sequence[int]) -> Tensor:
        """The seeds from which a GPU draws the masks of some steps: int64 (steps, stages with dropout)."""
        seeds = [[key(each, name) for name in self.dropped_stages] for each in keys_of_steps]
        return torch.tensor(seeds, dtype=torch.int64)

    def masks(self, batch: int, seeds: Tensor, rows: slice = slice(None)) -> dict[str, Tensor]:
        """`draw_masks` on a GPU, from `mask_seeds` on that device."""
        parameter, found = next(self.parameters()), {}
        for number, name in enumerate(self.dropped_stages):
            module = self.stage(name)
            units = keyed_bits(seeds[number], torch.Size((batch, *module.dropped)))[rows]
            own = units.chunk(module.towers.processes, dim=1)[module.towers.rank]
            found[name] = (own >= round(self.network.dropout * 2**DRAWN_BITS)).to(parameter.dtype)
        return found

    def draw_masks(self, batch: int, *, key_of_step: int, rows: slice = slice(None)) -> dict[str, Tensor]:
        """A 0/1 mask (B, ...), here its `rows`, for each stage with dropout, drawn from the key of the step (§4.2).

        batch: the global batch size. The full mask is drawn, so the result does not depend on the number of processes.
        """
        parameter = next(self.parameters())
        if parameter.device.type != "cpu":
            seeds = self.mask_seeds([key_of_step])[0].pin_memory()
            return self.masks(batch, seeds.to(parameter.device, non_blocking=True), rows)
        masks = {}
        for stage in self.network.stages:
            module = self.stage(stage.name)
            if module.has_dropout:
                generator = torch.Generator(parameter.device).manual_seed(key(key_of_step, stage.name))
                full = torch.rand(batch, *module.dropped, generator=generator, device=parameter.device)
                draws = full[rows].chunk(module.towers.processes, dim=1)[module.towers.rank]
                masks[stage.name] = (draws >= self.network.dropout).to(parameter.dtype)
        return masks


def keyed_bits(seed: Tensor, shape: torch.Size) -> Tensor:
    """Uniform integers of 24 bits, int64, from a seed in memory: SplitMix64's hash of seed xor number of the value.

    All of it is integer arithmetic, modulo 2^64, so that every device and compiler draws the same.
    """
    z = seed ^ torch.arange(shape.numel(), device=seed.device)
    z = (z ^ _shifted(z, 30)) * -0x40A7B892E31B1A47
    z = (z ^ _shifted(z, 27)) * -0x6B2FB644ECCEEE15
    return _shifted(z ^ _shifted(z, 31), 64 - DRAWN_BITS).view(shape)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """A logical shift to the right: torch's copies the sign."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


@torch.no_grad()
def build(network: Network, *, seed: int) -> AlexNet:
    """The network with initial weights and biases (§5), which depend on the seed and the names of the stages only."""
    model = AlexNet(network)
    for stage in network.stages:
        kernels = model.stage(stage.name).kernels
        generator = torch.Generator().manual_seed(key(seed, "weights", stage.name))
        if network.initial == "gaussian":
            kernels.weight.normal_(0.0, stage.weight_std, generator=generator)
            kernels.bias.fill_(stage.bias)
        else:
            bound = sqrt(3) * stage.weight_std
            kernels.weight.uniform_(-bound, bound, generator=generator)
            kernels.bias.uniform_(stage.bias - bound, stage.bias + bound, generator=generator)
    if side := network.side_input:
        generator = torch.Generator().manual_seed(key(seed, "weights", f"{side.stage}.side"))
        model.named_kernels()[f"{side.stage}.side"].normal_(0.0, side.weight_std, generator=generator)
    return model


def check_shardable(network: Network, processes: int) -> None:
    """Raise UserError unless the towers of this network can be divided among that many processes."""
    first, last = network.stages[0], network.stages[-1]
    norm = network.norm if network.norm and not network.norm.per_tower else None
    reach = norm.n // 2 if norm and norm.kind == "response" else 0
    problems = [f"network.towers is {network.towers}"] if network.towers % processes else []
    for stage in network.stages:
        held, rest = divmod(stage.maps, processes)
        if (rest and stage is not last) or (stage is first and stage.reads == "own"):
            problems.append(f"{stage.name} has {stage.maps} maps and reads {stage.reads}")
        if norm and norm.kind == "layer" and "norm" in stage.order:
            problems.append(f"Layer normalization of {stage.name} is over the maps of all towers")
        if "norm" in stage.order and reach > held:
            problems.append(f"Normalization reaches {reach} maps to either side of the {held} of {stage.name}")
    if processes > 1 and problems:
        what = f"{problems[0]}: it cannot be divided among {processes} processes."
        raise UserError(what, fix="Give every process a whole network with --parallel data.")
