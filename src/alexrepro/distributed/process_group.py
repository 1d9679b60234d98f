"""The processes that train one network together: a grid of replicas by towers, a DeviceMesh ("data", "tower").

Every process computes the same plan and the same draws and keeps its part, so that the result depends on the recipe and
the seed, not on the number of processes. A lost rank is noticed by broken connections, a frozen one by a timeout.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from alexrepro.data.loading.sampling import Parts
from alexrepro.device import Device
from alexrepro.distributed.launch import Parallel, grid, not_met, open_store
from alexrepro.distributed.rank import Rank
from alexrepro.errors import Exit, UserError, first_line
from alexrepro.model.tower_parallel import LocalTowers, ShardedTowers
from alexrepro.paper.network import Network

T = TypeVar("T")

TIMEOUT = timedelta(minutes=5)  # of every collective; the slowest rank may be writing a checkpoint
LAST_WORD_SECONDS = 1.0  # for the first rank to report why all end
LAUNCHER_SECONDS = 5.0  # in which a launcher ends the ranks that lost another


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train one network together, as one of them sees it; this process alone by default."""

    rank: Rank = field(default_factory=Rank)
    mesh: DeviceMesh | None = None
    towers: LocalTowers = field(default_factory=LocalTowers)

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and messages."""
        return self.rank.rank == 0

    @property
    def shard(self) -> tuple[int, int]:
        """The replica of this process and the number of replicas; each has a part of every batch."""
        return (0, 1) if self.mesh is None else (self.mesh.get_local_rank("data"), self.mesh.size(0))

    @property
    def parts(self) -> Parts:
        """What this process has of every batch: it reads a part of what its replica shows, and is sent the rest."""
        return Parts(self.shard, (self.towers.rank, self.towers.processes), self.towers.gather_full)

    @property
    def loader_workers(self) -> int | None:
        """Workers of this process's loader: its processors but one; None leaves it to the loader."""
        return None if self.mesh is None else max(1, self.rank.processors - 1)

    def facts(self) -> dict[str, int]:
        """What the environment file of a run records about the processes."""
        return {"processes": self.rank.world_size, "replicas": self.shard[1], "sharing_towers": self.towers.processes}

    def broadcast(self, value: T) -> T:
        """The value of the first rank."""
        values = [value]
        if self.mesh is not None:
            dist.broadcast_object_list(values)
        return values[0]

    def broadcast_tensors(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors in host memory with those of the first rank."""
        if self.mesh is not None:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def all_gather_object(self, value: T) -> list[T]:
        """The value of every replica, in their order."""
        if self.mesh is None:
            return [value]
        values: list[Any] = [None] * self.shard[1]
        dist.all_gather_object(values, value, group=self.mesh.get_group("data"))
        return values

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """The sum over replicas, in place."""
        if self.mesh is not None and self.shard[1] > 1:
            dist.all_reduce(tensor, group=self.mesh.get_group("data"))
        return tensor

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.mesh is not None:
            dist.all_reduce(torch.zeros(1))

    def assert_same_everywhere(self, facts: Mapping[str, str]) -> None:
        """Raise UserError, on every rank, if a fact differs between ranks."""
        for rank, theirs in enumerate(everywhere := self.of_every_rank(dict(facts))):
            for name, value in everywhere[0].items():
                if theirs[name] != value:
                    what = f"The ranks differ: {name} is {value} on rank 0 and {theirs[name]} on rank {rank}."
                    fix = "Start every rank with the same program, the same stores and the same options."
                    raise self.abort(UserError(what, fix=fix))

    def of_every_rank(self, value: T) -> list[T]:
        """The value of every rank, in their order."""
        values: list[Any] = [value] * self.rank.world_size
        if self.rank.world_size > 1:
            dist.all_gather_object(values, value)
        return values

    def abort(self, why: UserError) -> BaseException:
        """What every rank raises if all end for one reason: the first reports it, then the others end silently."""
        if self.is_first:
            return why
        time.sleep(LAST_WORD_SECONDS)
        return SystemExit(int(why.exit_code))

    @contextmanager
    def ended_by_launcher(self, has_signal: Callable[[], object]) -> Iterator[None]:
        """When another rank is lost, give a launcher time to end this one: it knows the cause."""
        try:
            yield
        except RuntimeError as error:
            if not isinstance(error, dist.DistError) and "gloo" not in str(error):  # gloo's have no type of their own
                raise
            until = time.monotonic() + LAUNCHER_SECONDS
            while time.monotonic() < until and not has_signal():
                time.sleep(0.1)
            if has_signal():
                raise SystemExit(int(Exit.WORKER_FAILED)) from None
            raise UserError(
                f"Rank {self.rank.rank} has lost another rank, or has waited for it for {TIMEOUT}.",
                fix="See which rank ended and why, then run the same command again: it continues.",
                exit_code=Exit.WORKER_FAILED,
            ) from error


@contextmanager
def connect(rank: Rank, device: Device, *, network: Network, parallel: Parallel | None) -> Iterator[ProcessGroup]:
    """The process group of all ranks, from the first message to the last.

    Raises UserError if the processes cannot share the network, or if two ranks would compute on one GPU.
    """
    replicas, sharing = grid(rank.world_size, network, parallel)
    if rank.world_size == 1:
        yield ProcessGroup()
        return
    store = dist.PrefixStore("groups", open_store(rank))  # type: ignore[attr-defined]
    try:  # tensors in host memory travel by gloo, those on GPUs by NCCL
        dist.init_process_group(
            device.backend, rank=rank.rank, world_size=rank.world_size, timeout=TIMEOUT, store=store
        )
    except dist.DistError as error:
        raise not_met(rank, first_line(error)) from None
    everyone = ProcessGroup(rank)
    shape = f"{replicas} × {sharing}"
    everyone.assert_same_everywhere({"the device": device.torch_device.type, "the grid of replicas by towers": shape})
    gpus = list(filter(None, everyone.of_every_rank(device.uuid)))
    if len(set(gpus)) < len(gpus):
        fix = "Start one process per GPU, or give every process a GPU of its own."
        raise everyone.abort(UserError("Two ranks have the same GPU.", fix=fix, exit_code=Exit.NO_DEVICE))
    ranks = torch.arange(rank.world_size).view(replicas, sharing)
    groups: list[Any] = [
        dist.new_subgroups_by_enumeration(lists, timeout=TIMEOUT)[0] for lists in (ranks.T.tolist(), ranks.tolist())
    ]
    mesh = DeviceMesh.from_group(groups, device.torch_device.type, mesh=ranks, mesh_dim_names=("data", "tower"))
    for each in groups:  # the first use of a group connects it, which should not delay the first step
        dist.all_reduce(torch.zeros(1, device=device.torch_device), group=each)
    group = ProcessGroup(rank, mesh, ShardedTowers(groups[1]) if sharing > 1 else LocalTowers())
    yield group
    group.barrier()
    dist.destroy_process_group()


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
