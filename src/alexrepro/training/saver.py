"""Writes the checkpoints of a run, by a thread where a GPU can go on meanwhile.

The order on the disk is the same: the rows of metrics.csv and validation.csv first, then the name of the checkpoint of
their steps, and one checkpoint at a time.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from alexrepro.runs import checkpoint
from alexrepro.runs.checkpoint import Checkpoint
from alexrepro.runs.run import Run


class Saver:
    """Writes the checkpoints of a run; a context that ends once all is written.

    is_behind: whether a thread writes them. Its errors are raised by the next call, unchanged.
    """

    def __init__(self, run: Run, *, is_behind: bool) -> None:
        self.is_behind = is_behind
        self._run = run
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="saver")  # starts with the first checkpoint
        self._writing: Future[None] | None = None
        self._held: Checkpoint | None = None  # by the training's thread, which alone frees pinned memory

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._thread.shutdown()  # waits
        if error is None:
            self.finish()

    def save(self, saved: Checkpoint) -> None:
        """Write a checkpoint, behind the training if it is so; its tensors must not change meanwhile."""
        self.finish()
        if not self.is_behind:
            self._write(saved)
            return
        self._held = saved
        self._writing = self._thread.submit(self._write, saved)

    def check(self) -> None:
        """Raise the error of a checkpoint that could not be written; does not wait."""
        if self._writing is not None and self._writing.done():
            self.finish()

    def finish(self) -> None:
        """Wait until the last checkpoint is on the disk, and raise its error if there was one."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()
        self._held = None

    def _write(self, saved: Checkpoint) -> None:
        self._run.sync_rows()
        checkpoint.save(self._run.checkpoints, saved)
