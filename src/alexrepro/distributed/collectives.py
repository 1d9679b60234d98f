"""What travels between the ranks beside the work of an update: sums of gradients, and votes."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from alexrepro.distributed.process_group import ProcessGroup
from alexrepro.model.alexnet import AlexNet


class Gradients:
    """Sums every gradient over the replicas, one tensor after the other while the rest is still being computed."""

    def __init__(self, model: AlexNet, group: ProcessGroup) -> None:
        self._under_way: list[dist.Work] = []
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

    def _sum(self, group: dist.ProcessGroup | None, factor: float) -> Any:
        """A hook; what several towers hold whole is averaged over them, so that it stays the same to the last bit."""

        def start(parameter: Tensor) -> None:
            assert parameter.grad is not None
            gradient = parameter.grad if factor == 1 else parameter.grad.mul_(factor)
            work = dist.all_reduce(gradient, group=group, async_op=True)
            assert work is not None
            self._under_way.append(work)

        return start

    def wait(self) -> None:
        """Until every sum is there."""
        for work in self._under_way:
            work.wait()
        self._under_way.clear()


class StopConsensus:
    """What any rank wants, known to all at the same update: one vote per update, counted at the next.

    The vote travels through host memory beside the work, so no rank waits for a device.
    """

    def __init__(self, group: ProcessGroup) -> None:
        self._has_others = group.mesh is not None
        self._ballot: tuple[Tensor, dist.Work] | None = None

    def exchange(self, *wishes: int) -> tuple[int, ...]:
        """The largest of each wish over the ranks, as of the vote before; alone, of this one."""
        if not self._has_others:
            return wishes
        counted = self.settle() or (0,) * len(wishes)
        if any(counted):
            return counted
        wanted = torch.tensor(wishes, dtype=torch.int32)
        work = dist.all_reduce(wanted, op=dist.ReduceOp.MAX, async_op=True)
        assert work is not None
        self._ballot = wanted, work
        return counted

    def settle(self) -> tuple[int, ...] | None:
        """The result of the last vote, once."""
        if self._ballot is None:
            return None
        (wanted, work), self._ballot = self._ballot, None
        work.wait()
        return tuple(wanted.tolist())
