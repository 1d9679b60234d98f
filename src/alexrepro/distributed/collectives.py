"""What the ranks exchange besides activations: sums of gradients, and requests to stop or save."""

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor

from alexrepro.distributed.process_group import ProcessGroup
from alexrepro.model.alexnet import AlexNet


class Gradients:
    """Sums each gradient over the replicas as soon as backward has computed it."""

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


class StopConsensus:
    """Lets all ranks act on a request at the same step: each step sends the rank's requests and receives the last ones.

    They travel through host memory while the step is computed, so no rank waits for a device.
    """

    def __init__(self, group: ProcessGroup) -> None:
        self._has_others = group.mesh is not None
        self._pending: tuple[Tensor, dist.Work] | None = None

    def exchange(self, *requests: int) -> tuple[int, ...]:
        """The largest of each request over the ranks, one step late; at once in a single process."""
        if not self._has_others:
            return requests
        agreed = self.settle() or (0,) * len(requests)
        if any(agreed):
            return agreed
        sent = torch.tensor(requests, dtype=torch.int32)
        work = dist.all_reduce(sent, op=dist.ReduceOp.MAX, async_op=True)
        assert work is not None
        self._pending = sent, work
        return agreed

    def settle(self) -> tuple[int, ...] | None:
        """What the last exchange agreed on, once."""
        if self._pending is None:
            return None
        (sent, work), self._pending = self._pending, None
        work.wait()
        return tuple(sent.tolist())
