"""The processes that train one network together: which replica and towers each has, and what they tell each other.

A grid of replicas by towers, a DeviceMesh ("data", "tower"). Every process computes the same plan and the same draws
and keeps its part, so that what is computed depends on the recipe and the seed, not on the number of processes.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from alexrepro.device import Device
from alexrepro.distributed.heartbeat import Watch
from alexrepro.distributed.rank import Rank
from alexrepro.distributed.rendezvous import first_line, not_met, open_store
from alexrepro.errors import Exit, UserError
from alexrepro.model.alexnet import check_shardable
from alexrepro.model.tower_parallel import LocalTowers, ShardedTowers
from alexrepro.paper.network import Network

Parallel = Literal["tower", "data"]
T = TypeVar("T")

ANSWER = timedelta(minutes=5)  # until every rank has come to the same point; the slowest writes a checkpoint meanwhile
LAST_WORD_SECONDS = 1.0  # in which the first rank says why all end
LAUNCHER_SECONDS = 5.0  # in which a launcher ends the ranks that lost another


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train one network together, as one of them sees it; this process alone by default."""

    rank: Rank = field(default_factory=Rank)
    mesh: DeviceMesh | None = None
    towers: LocalTowers = field(default_factory=LocalTowers)
    unwatch: Callable[[], None] = lambda: None  # stops the watch over the other ranks

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank.rank == 0

    @property
    def shard(self) -> tuple[int, int]:
        """Which replica this process belongs to, and how many there are; each has a part of every batch."""
        return (0, 1) if self.mesh is None else (self.mesh.get_local_rank("data"), self.mesh.size(0))

    @property
    def loader_workers(self) -> int | None:
        """Workers of this process's feed: its processors but one; None leaves it to the feed."""
        return None if self.mesh is None else max(1, self.rank.processors - 1)

    def facts(self) -> dict[str, int]:
        """What the environment file of a run records about the processes."""
        return {"processes": self.rank.world_size, "replicas": self.shard[1], "sharing_towers": self.towers.processes}

    def broadcast(self, value: T) -> T:
        """The value that the first rank has; what the others give does not matter."""
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
        if self.shard[1] > 1:
            assert self.mesh is not None
            dist.all_reduce(tensor, group=self.mesh.get_group("data"))
        return tensor

    def barrier(self) -> None:
        """Wait for all."""
        if self.mesh is not None:
            dist.all_reduce(torch.zeros(1))

    def assert_same_everywhere(self, facts: Mapping[str, str]) -> None:
        """Raise UserError, on every rank, if what must be the same everywhere is not."""
        if self.rank.world_size == 1:
            return
        everywhere: list[Any] = [None] * self.rank.world_size
        dist.all_gather_object(everywhere, dict(facts))
        for rank, theirs in enumerate(everywhere):
            for name, ours in everywhere[0].items():
                if theirs[name] != ours:
                    raise self.abort(
                        UserError(
                            f"The ranks differ: {name} is {ours} on rank 0 and {theirs[name]} on rank {rank}.",
                            fix="Start every rank with the same program, the same stores and the same options.",
                        )
                    )

    def abort(self, why: UserError) -> BaseException:
        """What to raise where all ranks end for the same reason: the first says it, the others end after it."""
        self.unwatch()  # that the first is gone is not to be said by the others
        if self.is_first:
            return why
        time.sleep(LAST_WORD_SECONDS)
        return SystemExit(int(why.exit_code))

    @contextmanager
    def ended_by_launcher(self, asked: Callable[[], object]) -> Iterator[None]:
        """Where another rank is lost, give a launcher time to end this one: it knows why.

        asked: tells whether a signal has arrived.
        """
        try:
            yield
        except RuntimeError as error:
            if not _is_of_connection(error):
                raise
            until = time.monotonic() + LAUNCHER_SECONDS
            while time.monotonic() < until and not asked():
                time.sleep(0.1)
            if asked():
                raise SystemExit(int(Exit.WORKER_FAILED)) from None
            raise UserError(
                f"Rank {self.rank.rank} has lost another rank, or has waited for it for {ANSWER}.",
                fix="See which rank ended and why, then run the same command again: it continues.",
                exit_code=Exit.WORKER_FAILED,
            ) from error


def _is_of_connection(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in str(error)  # gloo's have no type of their own


@contextmanager
def connect(rank: Rank, device: Device, *, network: Network, parallel: Parallel | None) -> Iterator[ProcessGroup]:
    """This process among all that were started with it, from the first word to the last.

    Raises UserError if the network cannot be shared so, or if two ranks would compute on one GPU.
    """
    replicas, sharing = grid(rank.world_size, network, parallel)
    if rank.world_size == 1:
        yield ProcessGroup()
        return
    on_gpu = device.torch_device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device.torch_device)
    _join(rank, on_gpu=on_gpu)
    with ExitStack() as watch:
        watch.enter_context(Watch(rank))
        ProcessGroup(rank, unwatch=watch.close).assert_same_everywhere(
            {"the device": device.torch_device.type, "the grid of replicas by towers": f"{replicas} × {sharing}"}
        )
        ranks = torch.arange(rank.world_size).view(replicas, sharing)
        sides = (ranks.T.tolist(), ranks.tolist())
        subgroups: list[Any] = [dist.new_subgroups_by_enumeration(lists, timeout=ANSWER)[0] for lists in sides]
        mesh = DeviceMesh.from_group(subgroups, device.torch_device.type, mesh=ranks, mesh_dim_names=("data", "tower"))
        group = ProcessGroup(rank, mesh, ShardedTowers(subgroups[1]) if sharing > 1 else LocalTowers(), watch.close)
        if on_gpu:
            _refuse_shared_gpus(group, device)
        for subgroup in subgroups:  # a group is connected by its first use, which should not wait for the first update
            dist.all_reduce(torch.zeros(1, device=device.torch_device), group=subgroup)
        yield group
        group.barrier()
    dist.destroy_process_group()


def _join(rank: Rank, *, on_gpu: bool) -> None:
    """Wait for all ranks. Tensors in host memory travel by gloo, those on GPUs by NCCL."""
    store = open_store(rank)
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo", rank=rank.rank, world_size=rank.world_size, timeout=ANSWER,
            store=dist.PrefixStore("groups", store),  # type: ignore[attr-defined]
        )  # fmt: skip
    except dist.DistError as error:
        raise not_met(rank, first_line(error)) from None


def grid(processes: int, network: Network, parallel: Parallel | None) -> tuple[int, int]:
    """Replicas, and processes that share the towers of each; two processes share a network of two towers by default.

    Raises UserError if the network cannot be shared so.
    """
    if parallel is None:
        parallel = "tower" if processes == network.towers == 2 else "data"
    if parallel == "data" or processes == 1:
        return processes, 1
    sharing = max(2, network.towers)
    check_shardable(network, sharing)
    if processes % sharing:
        raise UserError(
            f"{processes} processes cannot share networks of {sharing} towers.",
            fix=f"Start a multiple of {sharing}, or give every process a whole network with --parallel data.",
            exit_code=Exit.USAGE,
        )
    return processes // sharing, sharing


def _refuse_shared_gpus(group: ProcessGroup, device: Device) -> None:
    everywhere: list[Any] = [None] * group.rank.world_size
    dist.all_gather_object(everywhere, str(torch.cuda.get_device_properties(device.torch_device).uuid))
    for rank, gpu in enumerate(everywhere):
        if gpu in everywhere[:rank]:
            raise group.abort(
                UserError(
                    f"Ranks {everywhere.index(gpu)} and {rank} have the same GPU.",
                    fix="Start one process per GPU, or lend every process a GPU of its own.",
                    exit_code=Exit.NO_DEVICE,
                )
            )
