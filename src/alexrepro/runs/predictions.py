"""What is found for each image: the predictions of a split, as Parquet, and what Figure 4 shows, as safetensors.

Both files are described in docs/reference/run-folder.md. G = 5, or fewer classes.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from alexrepro.errors import Exit, UserError
from alexrepro.files import csv_text, write_bytes, write_text, write_whole
from alexrepro.paper.results import Crops
from alexrepro.progress import say
from alexrepro.runs.evaluation import LOWER_FIRST, TOP, Member
from alexrepro.runs.run import Run

ABOUT = b"alexrepro"  # the key of the metadata
ROWS_AT_ONCE = 2**14  # in memory, and in a group of the file

SCHEMA = pa.schema(
    [("image", pa.string()), ("row", pa.int32()), ("label", pa.int32())]
    + [(f"top{rank}", pa.int32()) for rank in range(1, TOP + 1)]
    + [(f"prob{rank}", pa.float32()) for rank in range(1, TOP + 1)]
    + [("log_prob", pa.float64()), ("rank", pa.int32())]
)


@dataclass(frozen=True)
class About:
    """The run and split of these predictions: `classes` and `class_names` in the order of the labels.

    store: its digest. preprocessing: as in the evaluation. members: those of an ensemble.
    """

    run: str
    epochs: int
    split: str
    crops: Crops
    store: str
    preprocessing: str
    classes: tuple[str, ...]
    class_names: tuple[str, ...]
    ties: str = LOWER_FIRST
    members: tuple[Member, ...] = ()


@dataclass(frozen=True)
class Predictions:
    """One row for each image of a store, in stored order.

    names: (N,) file names, as Arrow keeps them. labels: (N,), -1 where unlabeled. top5: (N, G) classes, the most
    probable first. probabilities: (N, G) theirs, float32. log_probs: (N,) log p of the true class. ranks: (N,) how many
    classes come before the true one. The last two say nothing where there is no label.
    """

    about: About
    names: pa.ChunkedArray
    labels: NDArray[np.int64]
    top5: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    log_probs: NDArray[np.float64]
    ranks: NDArray[np.int32]

    def wrong(self, top: int) -> NDArray[np.bool_]:
        """Whether the true class of each image is not among the `top` most probable, (N,)."""
        return self.ranks >= top


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write predictions as Parquet, whole or not at all."""
    about = json.dumps(asdict(predictions.about), ensure_ascii=False).encode()
    schema = SCHEMA.with_metadata({ABOUT: about})

    def write(temporary: Path) -> None:
        with pq.ParquetWriter(temporary, schema) as writer:
            for first in range(0, max(len(predictions.labels), 1), ROWS_AT_ONCE):
                writer.write_table(_table(predictions, slice(first, first + ROWS_AT_ONCE), schema))
                pa.default_memory_pool().release_unused()  # otherwise it keeps 30 MB

    write_whole(path, write)


def _table(predictions: Predictions, rows: slice, schema: pa.Schema) -> pa.Table:
    """Some rows of predictions as a table."""
    labels = predictions.labels[rows]
    columns: dict[str, NDArray[Any]] = {"label": labels, "rank": predictions.ranks[rows]}
    columns["log_prob"] = predictions.log_probs[rows]
    known = dict.fromkeys(columns, labels >= 0)  # those of the other columns always are
    columns["row"] = np.arange(rows.start, rows.start + len(labels))
    for name, ranked in (("top", predictions.top5[rows]), ("prob", predictions.probabilities[rows])):
        columns |= {f"{name}{rank}": column for rank, column in enumerate(ranked.T, start=1)}
    arrays = {
        field.name: _array(columns[field.name], field.type, known.get(field.name))
        if field.name in columns
        else pa.nulls(len(labels), field.type)
        for field in schema
    }
    return pa.table(arrays | {"image": predictions.names[rows].combine_chunks()}, schema=schema)


def _array(values: NDArray[Any], kind: pa.DataType, known: NDArray[np.bool_] | None) -> pa.Array:
    """Numbers as a column, null where they are not known. From memory, since `pa.array` loads pandas: 30 MB."""
    numbers = np.ascontiguousarray(values, kind.to_pandas_dtype())
    bits = None if known is None else pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.Array.from_buffers(kind, len(numbers), [bits, pa.py_buffer(numbers)])


def probabilities_file(path: Path, about: About, *, images: int) -> NDArray[np.float32]:
    """A safetensors file for the probabilities of every class, as a mapped array, (N, K), that fills it."""
    shape = images, len(about.classes)
    named = ("run", "epochs", "split", "crops", "store", "preprocessing")
    facts = {name: str(getattr(about, name)) for name in named} | {"classes": ",".join(about.classes)}
    tensor = {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * shape[0] * shape[1]]}
    header = json.dumps({"__metadata__": facts, "probabilities": tensor}).encode()
    header += b" " * (-len(header) % 8)  # as safetensors aligns its tensors
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return np.memmap(path, np.float32, "r+", offset=8 + len(header), shape=shape)


def read_predictions(path: Path) -> Predictions:
    """The predictions in a Parquet file. Raises UserError if it is not one that `write_predictions` wrote."""
    try:
        with pq.ParquetFile(path) as file:  # one column after the other, which takes half of the memory
            if not file.schema_arrow.equals(SCHEMA):
                raise ValueError("it has other columns")
            fields = json.loads(file.schema_arrow.metadata[ABOUT])
            members = tuple(Member(**member) for member in fields.pop("members"))
            classes, class_names = tuple(fields.pop("classes")), tuple(fields.pop("class_names"))
            about = About(**fields, classes=classes, class_names=class_names, members=members)
            ranked = range(1, min(TOP, len(classes)) + 1)
            return Predictions(
                about,
                names=_read(file, "image"),
                labels=_read(file, "label").fill_null(-1).to_numpy().astype(np.int64),
                top5=np.stack([_read(file, f"top{rank}").to_numpy() for rank in ranked], axis=1),
                probabilities=np.stack([_read(file, f"prob{rank}").to_numpy() for rank in ranked], axis=1),
                log_probs=_read(file, "log_prob").fill_null(np.nan).to_numpy(),
                ranks=_read(file, "rank").fill_null(-1).to_numpy(),
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read as predictions: {error}.",
            fix="Make it anew with: alexrepro evaluate RUN.",
            exit_code=Exit.BAD_DATA,
        ) from None


def _read(file: pq.ParquetFile, column: str) -> pa.ChunkedArray:
    pa.default_memory_pool().release_unused()  # of the column before
    return file.read([column])[column]


@dataclass(frozen=True)
class Neighbors:
    """What Figure 4 shows, and where its pictures come from. G = 5, N neighbors; images are uint8 (..., 256, 256, 3).

    class_names: by label. names: of the shown test images, then of the queries. neighbor_names: of each query's
    neighbors, the nearest first. images, labels: of the shown test images. top5: (8, G) classes, the most probable
    first; probabilities: (8, G) theirs. queries: the five test images. neighbors: (5, N, ...) training images;
    distances: (5, N).
    """

    epochs: int
    stage: str
    test_store: str
    train_store: str
    searched: int
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    neighbor_names: tuple[tuple[str, ...], ...]
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    top5: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    queries: NDArray[np.uint8]
    query_labels: NDArray[np.int64]
    neighbors: NDArray[np.uint8]
    neighbor_labels: NDArray[np.int64]
    distances: NDArray[np.float32]

    def rows(self) -> Iterator[dict[str, str | int | float | None]]:
        """One row for each prediction of a shown image and each neighbor of a query; None is an empty cell."""
        names, shown = self.class_names, len(self.labels)
        for image, label, top5, known in zip(self.names, self.labels, self.top5, self.probabilities, strict=False):
            facts = {"part": "predictions", "image": image, "true_class": names[label]}
            for rank, (one, probability) in enumerate(zip(top5, known, strict=True), start=1):
                of = {"neighbor": None, "class": names[one], "probability": float(probability), "distance": None}
                yield {**facts, "rank": rank, **of}
        for query, image in enumerate(self.names[shown:]):
            labels, distances = self.neighbor_labels[query], self.distances[query]
            facts = {"part": "neighbors", "image": image, "true_class": names[self.query_labels[query]]}
            for rank, name in enumerate(self.neighbor_names[query], start=1):
                distance = float(distances[rank - 1])
                of = {"neighbor": name, "class": names[labels[rank - 1]], "probability": None, "distance": distance}
                yield {**facts, "rank": rank, **of}


def save_neighbors(run: Run, found: Neighbors) -> None:
    """Write what Figure 4 shows: arrays as tensors, the rest as JSON in the metadata; and a table without pixels."""
    tensors = {
        name: np.ascontiguousarray(value) for name, value in vars(found).items() if isinstance(value, np.ndarray)
    }
    about = {"about": json.dumps({name: value for name, value in vars(found).items() if name not in tensors})}
    write_bytes(run.neighbors_file, save(tensors, about))
    write_text(run.neighbors_table, csv_text(found.rows()))


def save_search(run: Run, mark: str, searched: int, nearest: dict[str, NDArray[Any]]) -> None:
    """Keep the nearest neighbors among the first images of a search; mark: of the search."""
    about = {"mark": mark, "searched": str(searched)}
    tensors = {name: np.ascontiguousarray(value) for name, value in nearest.items()}
    write_bytes(run.search_file, save(tensors, about))


def load_search(run: Run, mark: str) -> tuple[int, dict[str, NDArray[Any]]]:
    """How many images were searched, and the nearest neighbors among them; none if it was another search."""
    with suppress(FileNotFoundError, SafetensorError, ValueError, KeyError, TypeError):
        with safe_open(run.search_file, framework="numpy") as file:
            about = file.metadata()
        if about["mark"] == mark:
            return int(about["searched"]), load_file(run.search_file)
    return 0, {}


def load_neighbors(run: Run) -> Neighbors | None:
    """What Figure 4 shows of a run; None where `features` was not run, or its file is damaged, saying so."""
    path = run.neighbors_file
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads(file.metadata()["about"])
        facts["neighbor_names"] = map(tuple, facts["neighbor_names"])
        facts |= {name: tuple(facts[name]) for name in ("class_names", "names", "neighbor_names")}
        return Neighbors(**facts | load_file(path))
    except (SafetensorError, ValueError, KeyError, TypeError):
        say(f"Skipped: {path} is damaged; write it again with: alexrepro features {run.folder}")
        return None
