"""The sums of gradients over replicas: one after the other in a plain step, all at once in a recorded one."""

from collections.abc import Callable, Mapping

import torch
import torch.distributed as dist
from torch import Tensor

from alexrepro.distributed.process_group import ProcessGroup
from alexrepro.model.alexnet import AlexNet
from alexrepro.model.normalization import BatchNorm


def summed(gradients: Mapping[str, Tensor], model: AlexNet, group: ProcessGroup) -> Mapping[str, Tensor]:
    """The sums over replicas of gradients by the names of `named_kernels`, in float32 or better, exchanged at once.

    Those that every tower holds are averaged over the towers, so that they keep the same bits.
    """
    if group.mesh is None:
        return gradients
    processes = group.towers.processes
    shared = [name for name in gradients if processes > 1 and model.is_replicated(name)]
    found = dict(gradients)
    if group.shard[1] > 1:
        own = {name: gradient for name, gradient in gradients.items() if name not in shared}
        found |= _summed_at_once(own, group.mesh.get_group("data"))
    if shared:
        total = _summed_at_once({name: gradients[name] for name in shared}, None)
        found |= {name: gradient / processes for name, gradient in total.items()}
    return found


def _summed_at_once(gradients: Mapping[str, Tensor], group: dist.ProcessGroup | None) -> dict[str, Tensor]:
    flat = torch.cat([g.flatten().to(torch.promote_types(g.dtype, torch.float32)) for g in gradients.values()])
    dist.all_reduce(flat, group=group)
    parts = flat.split([gradient.numel() for gradient in gradients.values()])  # type: ignore[no-untyped-call]
    return {name: part.view(gradients[name].shape) for name, part in zip(gradients, parts, strict=True)}


class Gradients:
    """Sums each gradient over the replicas as soon as backward has computed it; batch normalization sums its own."""

    def __init__(self, model: AlexNet, group: ProcessGroup) -> None:
        self._pending: list[dist.Work] = []
        if group.mesh is None:
            return
        for name, parameter in model.named_kernels().items():
            if model.is_replicated(name) and group.towers.processes > 1:
                hook = self._sum(None, 1 / group.towers.processes)
            elif group.shard[1] > 1:
                hook = self._sum(group.mesh.get_group("data"), 1.0)
            else:
                continue
            parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]
        for module in model.modules():
            if isinstance(module, BatchNorm) and group.shard[1] > 1:
                module.replicas = group.mesh.get_group("data")

    def _sum(self, group: dist.ProcessGroup | None, factor: float) -> Callable[[Tensor], None]:
        """A hook; a gradient that every tower holds is averaged over the towers, so that it keeps the same bits."""

        def start(parameter: Tensor) -> None:
            assert parameter.grad is not None
            gradient = parameter.grad if factor == 1 else parameter.grad.mul_(factor)
            work = dist.all_reduce(gradient, group=group, async_op=True)
            assert work is not None
            self._pending.append(work)

        return start

    def wait(self) -> None:
        """Wait for all sums."""
        for work in self._pending:
            work.wait()
        self._pending.clear()
