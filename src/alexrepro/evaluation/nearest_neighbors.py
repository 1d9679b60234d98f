"""Figure 4 of a run: top-5 predictions for test images, and nearest neighbors among the training images (§6.1).

Features are the activations of the last hidden stage for the center crop, before dropout. Only the nearest neighbors
are kept during the search, so memory does not grow with the training set; they are saved every minute, and the same
search continues there. B batch, Q queries, N neighbors, D units.
"""

from collections.abc import Callable
from time import monotonic
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexrepro.data.loading.loader import Loader
from alexrepro.data.loading.sampling import evaluation_plan, generator
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import UserError
from alexrepro.evaluation.inference import (
    averages,
    check_compatible,
    hidden_activations,
    last_hidden,
    load_model,
    read_images,
)
from alexrepro.evaluation.metrics import check_finite, score
from alexrepro.model.alexnet import AlexNet
from alexrepro.paper.results import FIGURE_4_GUESSES, FIGURE_4_NEIGHBORS, FIGURE_4_QUERIES
from alexrepro.progress import progress, say
from alexrepro.runs.predictions import Neighbors, load_search, save_neighbors, save_search
from alexrepro.runs.run import Run

BATCH = 128  # changes the time only
SAVE_EVERY_SECONDS = 60.0
DRAW = 0  # the test images are the same for every run: nobody picks them


def find_neighbors(run: Run, *, train: Store, test: Store, device: Device) -> Neighbors:
    """Predict eight test images and search the neighbors of five others among all training images; saved in the run.

    Raises UserError if the run has no checkpoint, or if a store does not fit it.
    """
    check_compatible(run.recipe, train)
    if train.manifest.classes != test.manifest.classes:
        what = f"{train.path} and {test.path} have other classes."
        raise UserError(what, fix="Choose stores of the run's data set with --store.")
    model, step = load_model(run, test, device)
    shown, queries = _rows_drawn(test)
    images, query_images = read_images(test, shown), read_images(test, queries)
    with hidden_activations(cast(AlexNet, model.network)) as features:

        def read(pixels: Tensor) -> tuple[Tensor, Tensor]:
            """Probabilities (B, K) and features (B, D) of stored images (B, 3, 256, 256)."""
            found = averages(model, pixels.to(device.torch_device), crops=("center",), device=device)
            check_finite(found["center"])
            return found["center"], features.pop()

        probabilities, _ = read(torch.from_numpy(images).permute(0, 3, 1, 2))
        _, wanted = read(torch.from_numpy(query_images).permute(0, 3, 1, 2))
        mark = f"step {step}, {last_hidden(run.recipe.network)}, {train.manifest.digest}, {test.manifest.digest}"
        distances, rows = _search(lambda pixels: read(pixels)[1], wanted, train, (run, mark))
    scores = score(probabilities, torch.from_numpy(test.labels[shown]).to(probabilities.device))
    found = Neighbors(
        epochs=step // run.environment["steps_per_epoch"], stage=last_hidden(run.recipe.network),
        test_store=test.path.name, train_store=train.path.name, searched=len(train),
        class_names=tuple(test.manifest.class_names), names=tuple(map(test.name, [*shown, *queries])),
        neighbor_names=tuple(tuple(map(train.name, line)) for line in rows.tolist()),
        images=images, labels=test.labels[shown],
        top5=scores.top5.cpu().numpy(), probabilities=scores.probabilities.cpu().numpy(),
        queries=query_images, query_labels=test.labels[queries],
        neighbors=np.stack([read_images(train, line) for line in rows.tolist()]),
        neighbor_labels=train.labels[rows], distances=distances,
    )  # fmt: skip
    save_neighbors(run, found)
    run.search_file.unlink(missing_ok=True)
    return found


def _search(
    features_of: Callable[[Tensor], Tensor], wanted: Tensor, train: Store, kept: tuple[Run, str]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Distances from the wanted features, (Q, D), and rows of the nearest training images, (Q, N) each, earlier first.

    Euclidean; features_of: of stored images (B, 3, 256, 256). kept: where the search is saved, and its mark.
    """
    nearest, rows = wanted.new_empty(len(wanted), 0), wanted.new_empty(len(wanted), 0, dtype=torch.int64)
    done, found = load_search(*kept)
    if found:
        nearest, rows = (torch.from_numpy(found[name]).to(wanted.device) for name in ("distances", "rows"))
        say(f"Continuing after {done:,} of {len(train):,} images.")
    loader, saved_at = Loader(train, batch=BATCH, side_px=train.side_px), monotonic()
    with progress(f"neighbors in {train.path.name}", total=len(train), done=done) as advance, loader:
        for batch in loader.batches(evaluation_plan(len(train)), first=done // BATCH):
            distances = torch.cdist(wanted, features_of(batch.crops), compute_mode="donot_use_mm_for_euclid_dist")
            here = batch.draws.rows.to(rows.device).expand(len(wanted), -1)
            ordered = torch.cat([nearest, distances], 1).sort(dim=1, stable=True)
            rows = torch.cat([rows, here], 1).gather(1, ordered.indices)[:, :FIGURE_4_NEIGHBORS]
            nearest = ordered.values[:, :FIGURE_4_NEIGHBORS]
            advance(len(batch), "")
            done += len(batch)
            if monotonic() - saved_at > SAVE_EVERY_SECONDS and done % BATCH == 0:
                saved_at = monotonic()
                save_search(*kept, done, {"distances": nearest.cpu().numpy(), "rows": rows.cpu().numpy()})
    return nearest.cpu().numpy(), rows.cpu().numpy()


def _rows_drawn(test: Store) -> tuple[list[int], list[int]]:
    """Rows of the shown images and of the queries, drawn from the name of the split."""
    drawn = generator(DRAW, "figure-4", test.manifest.full_name).permutation(len(test)).tolist()
    return drawn[:FIGURE_4_GUESSES], drawn[FIGURE_4_GUESSES : FIGURE_4_GUESSES + FIGURE_4_QUERIES]
