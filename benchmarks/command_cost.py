"""What a command costs, with all of its processes: CPU-seconds, and the peak of anonymous memory."""

import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

LOOK_SECONDS = 0.02
STOPPED = 75  # the exit code of a training that was stopped and has saved


def descendants(process: int) -> Iterator[int]:
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            yield child
            with suppress(OSError):
                yield from descendants(child)


def anonymous_mb(process: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def measured(command: list[str], folder: Path, until: Callable[[], bool] | None = None) -> dict[str, float | str]:
    """Run a command, until it ends or a condition holds; its cost, or its last words if it fails."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with (folder / "said.txt").open("w") as said:
        program = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
    peak, over = {"program": 0.0, "workers": 0.0}, threading.Event()

    def look() -> None:
        seen: list[int] = []
        while not over.wait(LOOK_SECONDS):
            before, seen = seen, list(descendants(os.getpid()))
            for process in (process for process in seen if process in before):  # not one between fork and exec
                who = "program" if process == program.pid else "workers"
                peak[who] = max(peak[who], anonymous_mb(process))

    looking = threading.Thread(target=look)
    looking.start()
    while until and program.poll() is None and not until():
        time.sleep(0.05)
    if until:
        program.send_signal(signal.SIGTERM)
    code = program.wait()
    with suppress(ChildProcessError):
        while True:
            os.wait()
    over.set()
    looking.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if code not in (0, STOPPED if until else 0):
        return {"failed": (folder / "said.txt").read_text()[-400:]}
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_s": round(cpu, 2), "wall_s": round(time.monotonic() - began, 1), "mb": round(peak["program"]),
            "worker_mb": round(peak["workers"])}  # fmt: skip
