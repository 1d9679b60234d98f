"""`--gpus N` and `--cpu-ranks N`: the same command in so many processes, through torch's elastic launcher.

The launcher starts them, forwards signals, ends all when one fails, and passes on their exit code.
"""

import logging
import os
import signal
import sys
from dataclasses import fields
from uuid import uuid4

import torch
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from alexrepro.distributed.heartbeat import SAVING_SECONDS
from alexrepro.distributed.process_group import Parallel, grid
from alexrepro.distributed.rank import OURS, Rank
from alexrepro.errors import Exit, UserError
from alexrepro.paper.network import Network
from alexrepro.stop_signals import asked, code_of


def launch_if_asked(
    rank: Rank, network: Network, *, gpus: int | None, processes: int | None, device: str, parallel: Parallel | None
) -> None:
    """End as the launcher of several processes, with their exit code, if the options ask for them.

    Raises UserError if they contradict each other, or if so many processes cannot share the network.
    """
    wanted = processes_asked(gpus=gpus, processes=processes, device=device) if rank.world_size == 1 else 1
    if wanted > 1:
        grid(wanted, network, parallel)
        sys.exit(launch(wanted))


def processes_asked(*, gpus: int | None, processes: int | None, device: str) -> int:
    """How many processes the options ask for. Raises UserError if they contradict each other or GPUs are missing."""
    if processes is not None:
        if gpus is not None or device != "cpu":
            raise UserError(
                "--cpu-ranks is for the processor; on GPUs there is one process for each.",
                fix="Use --device cpu --cpu-ranks N, or --gpus N.",
                exit_code=Exit.USAGE,
            )
        return processes
    if gpus is None:
        return 1
    if device not in ("auto", "cuda"):
        raise UserError(
            f"--gpus {gpus} and --device {device} contradict each other.",
            fix=f"Leave one of them out, or use --device cpu --cpu-ranks {gpus}.",
            exit_code=Exit.USAGE,
        )
    found = torch.cuda.device_count()
    if found < gpus:
        raise UserError(
            f"--gpus {gpus} asks for more than torch can use here: {found or 'no'} GPU{'s' if found > 1 else ''}.",
            fix=f"Train on the processor with: --device cpu --cpu-ranks {gpus}.",
            exit_code=Exit.NO_DEVICE,
        )
    return gpus


def launch(processes: int) -> int:
    """Run this program's command line in so many processes on this host; returns the exit code.

    Raises UserError naming the rank that failed first, if it could not say so itself.
    """
    logging.disable(logging.CRITICAL)  # torch reports at length what is said below in a line
    os.environ.setdefault("OMP_NUM_THREADS", str(Rank(local_world_size=processes).processors))
    wanted = {
        "min_nodes": 1, "max_nodes": 1, "nproc_per_node": processes, "max_restarts": 0,
        "run_id": OURS + uuid4().hex, "rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "local_addr": "localhost",
        "signals_to_handle": ",".join(number.name for number in asked()), "shutdown_timeout": SAVING_SECONDS,
    }  # fmt: skip
    known = {field.name for field in fields(LaunchConfig)}  # torch 2.11 has no shutdown_timeout
    config = LaunchConfig(**{name: value for name, value in wanted.items() if name in known})  # type: ignore[arg-type]
    try:
        elastic_launch(config, sys.executable)("-u", "-m", "alexrepro", *sys.argv[1:])
    except SignalException as arrived:
        return int(code_of(arrived.sigval))
    except ChildFailedError as error:
        return _code_of(*error.get_first_failure())
    return int(Exit.OK)


def _code_of(rank: int, failure: ProcessFailure) -> int:
    """The exit code of a rank that has said why it ended; raises UserError for one that has not."""
    if failure.exitcode in set(Exit):
        return failure.exitcode
    code, how, fix = Exit.WORKER_FAILED, "failed, as said above", "Repair what failed"
    if failure.exitcode < 0:
        by = signal.Signals(-failure.exitcode)
        how, fix = f"was ended by {by.name}", "Unless it is said above, see whether memory ran out or someone ended it"
        if by in asked():  # before its first update, or a second time
            code, fix = code_of(by), "What was saved before is kept"
    raise UserError(
        f"Rank {rank} (process {failure.pid}) {how}; the other ranks were ended.",
        fix=f"{fix}; run the same command again, and it continues from the last checkpoint.",
        exit_code=code,
    )
