"""From Python: the Python of the page of this name, in one piece."""

import alexrepro

network = alexrepro.build(alexrepro.recipe("as-run-2012"))
trained = alexrepro.load("runs/tiny")
store = alexrepro.open_store("stores/ilsvrc2010-miniature-test")
evaluation = trained.evaluate(store, crops="ten")
print(evaluation.top1_error, evaluation.top5_error)
alexrepro.evaluations("runs")

changed = alexrepro.recipe("as-run-2012", network__norm=None, training__batch=256)
print(changed.digest, f"{changed.network.parameters:,} parameters")

from torch.utils.data import DataLoader

image, label = store[0]
print(store.names[0], store.classes[label], tuple(image.shape))

training = alexrepro.open_store("stores/ilsvrc2010-miniature-train")
print(tuple(training.mean_image.shape), training.color_axes.eigenvalues)
images, labels = next(iter(DataLoader(training, batch_size=16, shuffle=True)))

crops = (images - trained.mean_image)[:, :, 16:240, 16:240]
probabilities = trained.network(crops).softmax(1)
print((probabilities.argmax(1) == labels).float().mean())

from pathlib import Path

photos = sorted(Path("stores").glob("**/*.JPEG"))[:2]
trained.predict(photos, crops="ten")

trained.metrics().groupby("epoch")["loss"].mean()

trained.validation()

alexrepro.report("table-1")[["label", "split", "crops", "top1_error", "top5_error", "note"]]

try:
    alexrepro.recipe("as-run-2021")
except alexrepro.UserError as error:
    print(error)
