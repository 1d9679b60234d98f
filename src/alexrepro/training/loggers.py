"""Optional loggers beside metrics.csv, which stays the record: `--log tensorboard|wandb|mlflow`.

Each works in a thread of its own behind a queue, so that none holds an update up, and none can end a run: one that
fails is named once and then left out. A run that goes on tells them only what comes after what they were told.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from queue import Full, Queue
from threading import Event, Thread
from types import TracebackType

from alexrepro.errors import Exit, UserError
from alexrepro.files import read_json, write_json
from alexrepro.progress import say
from alexrepro.runs.run import METRICS, VALIDATION, Run
from alexrepro.training.trackers import MLflow, Rows, TensorBoard, Tracker, WeightsAndBiases

TRACKERS: dict[str, Callable[[], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}
LEFT_OUT = ("step", "epoch", "split", "crops", "images")  # columns that are no curves
BEGIN_SECONDS = 60.0  # in which a logger must have begun; other ranks wait five minutes for the first one
END_SECONDS = 60.0  # in which it may send what still waits
MOST_WAITING = 1_000  # sendings of some 25 updates each


def check_loggers(names: Sequence[str]) -> None:
    """Raise UserError if there is no such logger, or if its package is not installed; imports none."""
    for name in names:
        if name not in TRACKERS:
            raise UserError(f"There is no logger {name}.", fix=f"Name {', '.join(TRACKERS)}.", exit_code=Exit.USAGE)
        spec = find_spec(name)
        if spec is None or spec.origin is None:  # a folder of that name, such as W&B leaves, is no package
            raise UserError(
                f"--log {name} needs a package that is not installed.",
                fix=f'Install it with: pip install "alexrepro[{name}]".',
                exit_code=Exit.MISSING_INPUT,
            )


@dataclass(frozen=True)
class Told:
    """The id under which a logger knows a run, and the last update and validated epoch that it may have been told."""

    id: str
    updates: int = 0
    epochs: int = 0


class Log:
    """What a run tells its loggers, while its context lasts; nothing where there are none."""

    def __init__(self, senders: Sequence["Sender"] = ()) -> None:
        self._senders = senders

    def __enter__(self) -> "Log":
        for sender in self._senders:
            sender.begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        for sender in self._senders:
            sender.end(is_complete=kind is None)

    def updates(self, rows: Sequence[Sequence[object]]) -> None:
        """Tell of updates, each a row of metrics.csv."""
        for sender in self._senders:
            sender.send([_numbers("training", METRICS, row) for row in rows if _number(row[0]) > sender.told.updates])

    def validation(self, step: int, row: Sequence[object]) -> None:
        """Tell of a validation after so many updates, a row of validation.csv."""
        for sender in self._senders:
            if _number(row[0]) > sender.told.epochs:
                sender.send([(step, _numbers("validation", VALIDATION, row)[1])])


def open_log(run: Run, names: Sequence[str]) -> Log:
    """The loggers of a run, to be opened before it drops the rows that it will write again.

    Raises UserError if the package of one is not installed.
    """
    check_loggers(names)
    known = _read(run)
    if known:  # also of those that are not asked for this time: they may be asked for again
        updates = max((int(row["step"]) for row in islice(run.newest_metrics, 1)), default=0)
        epochs = max((int(row["epoch"]) for row in run.validations[-1:]), default=0)
        known = {n: Told(t.id, max(t.updates, updates), max(t.epochs, epochs)) for n, t in known.items()}
        _write(run, known)
    return Log([Sender(name, TRACKERS[name](), run, known.get(name)) for name in dict.fromkeys(names)])


class Sender:
    """One logger in a thread of its own, and what it is yet to be told."""

    def __init__(self, name: str, tracker: Tracker, run: Run, known: Told | None) -> None:
        self.told = known or Told("")
        self._name, self._tracker, self._run = name, tracker, run
        self._known = known.id if known else None
        self._waiting: Queue[Rows | None] = Queue(MOST_WAITING)
        self._has_begun, self._is_off, self._is_complete = Event(), False, False
        self._thread = Thread(target=self._work, name=f"log-{name}", daemon=True)

    def begin(self) -> None:
        """Wait until the logger has begun, but not for ever."""
        self._thread.start()
        if not self._has_begun.wait(BEGIN_SECONDS):
            self._leave(f"it has not begun within {BEGIN_SECONDS:g} seconds")

    def send(self, rows: Rows) -> None:
        """Let the logger be told; returns at once."""
        if rows and not self._is_off:
            self._put(rows)

    def end(self, *, is_complete: bool) -> None:
        """Wait until the logger was told everything, but not for ever."""
        self._is_complete = is_complete
        if not self._is_off:
            self._put(None)
            self._thread.join(END_SECONDS)
        if self._thread.is_alive():
            self._leave(f"it has not ended within {END_SECONDS:g} seconds")

    def _put(self, rows: Rows | None) -> None:
        try:
            self._waiting.put_nowait(rows)
        except Full:
            self._leave("it does not keep up")

    def _work(self) -> None:
        try:
            told = replace(self.told, id=self._tracker.begin(self._run, self._known))
            _write(self._run, {**_read(self._run), self._name: told})
            self._has_begun.set()
            while not self._is_off and (rows := self._waiting.get()) is not None:
                self._tracker.scalars(rows)
            self._tracker.end(is_complete=self._is_complete)
        except Exception as error:  # whatever a package or a network comes up with
            lines = str(error).splitlines()
            self._leave(lines[0] if lines else type(error).__name__)
        finally:
            self._has_begun.set()

    def _leave(self, why: str) -> None:
        """Say once that this logger is left out from now on."""
        if not self._is_off:
            self._is_off = True
            say(f"--log {self._name} is left out from now on: {why.rstrip('.')}. metrics.csv has everything.")


def _numbers(title: str, columns: Sequence[str], row: Sequence[object]) -> tuple[int, dict[str, float]]:
    """The first column as a whole number, and the curves by their names."""
    named = zip(columns, row, strict=True)
    return int(_number(row[0])), {f"{title}/{name}": _number(value) for name, value in named if name not in LEFT_OUT}


def _number(cell: object) -> float:
    return float(str(cell))


def _file(run: Run) -> Path:
    return run.folder / "loggers.json"


def _read(run: Run) -> dict[str, Told]:
    """What loggers know of a run; nothing, saying so, where the file is damaged, since no logger may end a run."""
    if not _file(run).exists():
        return {}
    try:
        return {name: Told(**told) for name, told in read_json(_file(run)).items()}
    except (UserError, TypeError):
        say(f"{_file(run)} is damaged, so loggers begin anew. metrics.csv has everything.")
        return {}


def _write(run: Run, known: dict[str, Told]) -> None:
    write_json(_file(run), {name: asdict(told) for name, told in known.items()})
