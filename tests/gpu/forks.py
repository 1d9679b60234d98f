"""Runs programs in forks of this process, which has loaded torch, its compiler and our code once, and used no device.

A line of stdin lists the programs that run side by side, as JSON; a line of stdout has their exit codes.
"""

import atexit
import ctypes
import gc
import json
import os
import signal
import sys
from importlib import import_module
from multiprocessing import forkserver
from unittest.mock import patch

LOADED = (
    "torch._inductor.compile_fx", "triton.compiler", "alexrepro.cli.app", "alexrepro.diagnostics.preflight",
    "alexrepro.model.gpu_norm", "alexrepro.training.train",
)  # fmt: skip
LOADED_BY_WORKERS = ("alexrepro.data.store.fork_server", "alexrepro.data.loading.loader")


def serve() -> None:
    with patch("torch._C._cuda_getDeviceCount", return_value=0):  # after it, torch 2.11 refuses devices to forks
        for name in LOADED:
            import_module(name)
    forkserver.set_forkserver_preload(list(LOADED_BY_WORKERS))
    forkserver.ensure_running()
    gc.freeze()  # a collection would copy every page of what is loaded
    for line in sys.stdin:
        children = [fork(**program) for program in json.loads(line)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(codes), flush=True)


def fork(*, arguments: list[str], environment: dict[str, str], folder: str, output: str, seconds: int) -> int:
    """Start `alexrepro ARGUMENTS` in a folder, for this many seconds at most; the number of its process."""
    with patch.dict(os.environ, environment):
        child = os.fork()
        if child:
            return child
        try:
            signal.alarm(seconds)
            os.chdir(folder)
            for number, path in enumerate((os.devnull, f"{output}.out", f"{output}.err")):
                os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
            os._exit(run(arguments))
        finally:
            os._exit(1)


def run(arguments: list[str]) -> int:
    """The program as `python -m alexrepro` runs it, without freeing all that is loaded; its exit code."""
    sys.argv = ["alexrepro", *arguments]
    forkserver._forkserver.ensure_running = lambda: None  # that of the parent serves all
    sys.modules["torch._dynamo.config"].disable = "TORCHDYNAMO_DISABLE" in os.environ
    from alexrepro.__main__ import main

    code = 0
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).null_gpu_finish()
    return code


if __name__ == "__main__":
    serve()
    os._exit(0)  # as above
