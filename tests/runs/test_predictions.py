"""The predictions for every image agree with the counts, and come back from their file as they were."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import UserError
from alexrepro.evaluation.evaluate import evaluate
from alexrepro.runs.evaluation import evaluations_in
from alexrepro.runs.predictions import About, Predictions, read_predictions, write_predictions

from ..toy import Train

ABOUT = About("run", 1, "set-test", "ten", "5704e", "9e0ce55", ("a", "b"), ("apple", "bee"))
UNLABELED = Predictions(
    ABOUT, pa.chunked_array([["x.JPEG", "y.JPEG"]]), labels=np.array([-1, -1]), top5=np.array([[0, 1], [1, 0]]),
    probabilities=np.array([[0.75, 0.25], [1.0, 0.0]], dtype=np.float32), log_probs=np.zeros(2), ranks=np.zeros(2, int),
)  # fmt: skip


def test_predictions_have_the_counts_of_their_evaluation_and_name_their_run_and_store(
    toy: Train, stores: dict[str, Store], device: Device, tmp_path: Path
) -> None:
    run, store = toy(tmp_path), stores["test"]
    evaluate(run, store, crops="ten", device=device)

    for saved in evaluations_in(run.folder):
        file = run.predictions(saved.split, saved.crops)
        table, about = pq.read_table(file).to_pandas(), read_predictions(file).about
        assert table["image"].tolist() == [store.name(row) for row in range(18)]
        assert table["row"].tolist() == list(range(18))
        assert table["label"].tolist() == store.labels.tolist()
        assert (table["rank"] < 1).sum() == saved.top1_correct == (table["top1"] == table["label"]).sum()
        assert (table["rank"] < 5).sum() == saved.top5_correct
        assert -table["log_prob"].mean() == pytest.approx(saved.loss, rel=1e-12)  # only the order of the sum differs
        assert (table["prob1"] + table["prob2"]).to_numpy() == pytest.approx(np.ones(18), abs=1e-6)  # two classes
        assert table[["top3", "prob5"]].isna().all(axis=None)
        assert (about.run, about.split, about.crops) == (str(run.folder), saved.split, saved.crops)
        assert (about.store, about.preprocessing) == (store.manifest.digest, saved.preprocessing)
        assert about.classes == store.manifest.classes


def test_predictions_without_labels_come_back_with_gaps(tmp_path: Path) -> None:
    write_predictions(UNLABELED, tmp_path / "p.parquet")

    table, found = pq.read_table(tmp_path / "p.parquet"), read_predictions(tmp_path / "p.parquet")

    assert [table[name].null_count for name in ("label", "log_prob", "rank")] == [2, 2, 2]
    for name in ("about", "names", "labels", "top5", "probabilities"):
        assert np.array_equal(getattr(found, name), getattr(UNLABELED, name))


@pytest.mark.parametrize("content", [b"", b"PAR1 nothing PAR1"], ids=["empty", "broken"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.parquet").write_bytes(content)

    with pytest.raises(UserError, match="cannot be read as predictions"):
        read_predictions(tmp_path / "p.parquet")
