"""What a command says about the stores it chooses: a store without labels is not the same as none."""

import pytest

from alexrepro.cli.stores import labeled_store, store_of, validation_store
from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.data.store.store import Store
from alexrepro.diagnostics.preflight import check_stores
from alexrepro.errors import Exit, UserError
from alexrepro.recipes.catalog import TINY


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    """The miniature without the classes of its validation and test photos."""
    root = tmp_path_factory.mktemp("miniature")
    write_miniature(root / "source", train_per_class=1, val_per_class=1, test_per_class=1)
    for truth in root.rglob("*_ground_truth.txt"):
        truth.unlink()
    return prepare(root / "source", out=root / "stores", workers=1, options=Options(side_px=32))


def test_training_says_that_the_validation_store_has_no_labels(
    stores: dict[str, Store], capsys: pytest.CaptureFixture[str]
) -> None:
    found = validation_store(stores["train"])

    assert found is None
    assert f"the validation store {stores['val'].path} has no labels" in capsys.readouterr().err


def test_testing_says_that_the_validation_store_has_no_labels(stores: dict[str, Store]) -> None:
    train = stores["train"]

    with pytest.raises(UserError, match=r"miniature-val-.* has no labels") as refused:
        labeled_store(train.manifest.dataset, TINY, classes=train.manifest.classes, folder=train.path.parent)

    assert "Put ILSVRC2010_validation_ground_truth.txt next to the images" in refused.value.fix
    assert refused.value.exit_code == Exit.MISSING_INPUT


def test_doctor_says_which_stores_have_no_labels_and_what_labels_them(stores: dict[str, Store]) -> None:
    found = {finding.what: finding for finding in check_stores([store.path for store in stores.values()])}

    assert [finding.verdict for finding in found.values()] == ["ok", "warning", "warning"]
    assert "ILSVRC2010_test_ground_truth.txt" in found[f"store {stores['test'].path.name}"].advice


@pytest.mark.parametrize("named", ["", "ilsvrc2010-miniature"])
def test_a_store_is_named_by_its_folder_and_data_set(stores: dict[str, Store], named: str) -> None:
    folder = stores["train"].path.parent

    assert store_of("train", folder / named).path == stores["train"].path
    assert store_of("train", stores["train"].path).path == stores["train"].path
