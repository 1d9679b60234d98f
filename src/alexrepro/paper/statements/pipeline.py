"""S19 to S34: where the released schedule and data differ from the text, or fill its gaps."""

from alexrepro.paper.statements.statement import Statement

_PLAN = "tests/data/loading/test_sampling.py"
_CROPS = "tests/data/loading/test_crops.py"
_SHOWN = "tests/recipes/test_catalog.py::test_the_crops_as_run_are_those_of_convdata_jpeg"
_SWITCHED_OFF = (
    "tests/training/test_train.py::test_a_schedule_that_switches_the_color_shift_off_trains_as_if_there_were_none"
)
_SCRIPT = "tests/recipes/test_catalog.py::test_the_schedule_of_2012_has_the_epochs_of_the_notebook"

SCHEDULE = (
    Statement(
        "S19",
        "layer-params-145.cfg",
        "Rates were divided by hand at noted epochs, and training was stopped in epoch 91.",
        "as run",
        (
            _SCRIPT,
            "tests/recipes/test_catalog.py::test_the_training_as_run_is_that_of_layer_params_145",
            "tests/training/test_schedule.py::test_rates_follow_the_notebook",
        ),
        fields=("training.schedule.kind", "training.schedule.at", "training.epochs"),
        note="The counter was read at the moment of the change, so an epoch may be off by one.",
    ),
    Statement(
        "S20",
        "layer-params-145.cfg",
        "conv1's rate is divided by 10 earlier than the others', and then set to 0 for the rest of the training.",
        "as run",
        (_SCRIPT, "tests/training/test_schedule.py::test_rates_follow_the_notebook"),
        fields=("training.schedule.at",),
        note="The text says that all layers have one rate.",
    ),
    Statement(
        "S21",
        "layer-params-145.cfg",
        "Biases have a rate of their own, at first twice that of the weights, and it does not fall with theirs.",
        "as run",
        (
            "tests/recipes/test_conformance.py::test_a_network_of_2012_is_what_its_files_say",
            _SCRIPT,
            "tests/recipes/test_catalog.py::test_the_schedule_of_2010_has_the_epochs_of_its_notebook",
        ),
        in_2012="145-2010 ends with a tenth of it. What held before the end is inferred from run4.sh.",
        fields=("training.bias_learning_rate", "training.learning_rate", "training.schedule.at"),
    ),
    Statement(
        "S22",
        "layer-params-145.cfg",
        "The color shift is switched off for the last part of the training.",
        "as run",
        (_SCRIPT, "tests/training/test_schedule.py::test_rates_follow_the_notebook", _SWITCHED_OFF),
        fields=("training.schedule.at",),
    ),
)

DATA = (
    Statement(
        "S23",
        "convdata_jpeg.py",
        "Images were kept as JPEG files of the finished 256×256 square; names of folders suggest quality 85.",
        "departs",
        ("tests/data/store/test_decode.py::test_a_stored_jpeg_has_the_tables_of_quality_95_and_halved_chroma",),
        note="A store has quality 95 or raw pixels. The notes suggest that the second compression cost over half a "
        "point.",
    ),
    Statement(
        "S24",
        "make-data of cuda-convnet2",
        "No released file resizes an image; the author's tool of 2014 averages areas when shrinking and is bicubic "
        "when enlarging.",
        "silent, chosen",
        (
            "tests/data/store/test_decode.py::test_shrinking_is_bilinear_and_enlarging_bicubic",
            "tests/data/store/test_decode.py::test_an_odd_margin_is_rounded_down",
            "tests/data/store/test_decode.py::test_the_long_side_is_rounded_half_up",
        ),
        note="Antialiased bilinear when shrinking, bicubic when enlarging, margins rounded down; the manifest says so.",
    ),
    Statement(
        "S25",
        "convdata_jpeg.py",
        "Batch files come in one cyclic order and are never shuffled again.",
        "as run",
        (
            "tests/recipes/test_catalog.py::test_the_training_as_run_is_that_of_layer_params_145",
            f"{_PLAN}::test_the_2012_order_is_the_same_in_every_epoch",
        ),
        fields=("training.shuffle_every_epoch",),
        note="The text is silent; as-printed draws a new order each epoch.",
    ),
    Statement(
        "S26",
        "data.cu",
        "A batch never reaches into the next file, so the last of each file can be smaller than 128.",
        "departs",
        ("tests/data/loading/test_loader.py::test_each_image_comes_once_and_the_last_batch_is_smaller",),
        fields=("training.batch",),
        note="A file of 1024 images makes eight full batches, so only the end of an epoch is short, here too.",
    ),
    Statement(
        "S27",
        "convdata_jpeg.py",
        "32 consecutive images share one crop and one mirror draw, so a batch has four of them.",
        "as run",
        (_SHOWN, f"{_PLAN}::test_thirty_two_consecutive_images_share_crop_and_mirror_but_not_color"),
        fields=("augmentation.images_per_crop",),
        note="The text is silent; as-printed draws for each image.",
    ),
    Statement(
        "S28",
        "convdata_jpeg.py",
        "Offsets of crops go from 0 to 32 in each axis, both included.",
        "as run",
        (f"{_PLAN}::test_offsets_reach_from_0_to_32_in_both_axes",),
        fields=("augmentation.last_offset_px",),
    ),
    Statement(
        "S29",
        "convdata_jpeg.py",
        "Every crop has the middle of the mean image subtracted, wherever it was cut and whether or not it is "
        "mirrored.",
        "as run",
        (
            _SHOWN,
            f"{_CROPS}::test_training_crops_equal_the_reference",
            f"{_CROPS}::test_evaluation_crops_are_the_ten_crops_minus_the_mean",
        ),
        fields=("augmentation.mean",),
    ),
    Statement(
        "S30",
        "convdata_jpeg.py",
        "The color shift is a tenth of the deviation along each principal component, times a Gaussian draw for each "
        "image.",
        "as run",
        (
            f"{_CROPS}::test_the_three_readings_of_lambda_differ_by_its_unit",
            f"{_CROPS}::test_training_crops_equal_the_reference",
            f"{_PLAN}::test_thirty_two_consecutive_images_share_crop_and_mirror_but_not_color",
        ),
        in_2012="The stored deviations are not released; the author's tool of 2014 has some for 0-255 pixels.",
        fields=("augmentation.color_shift.reading", "augmentation.color_shift.std"),
        note="The components are computed from the training store.",
    ),
    Statement(
        "S31",
        "convdata_jpeg.py",
        "With the color shift the whole input is divided by 1.1; in testing, and once the shift is off, it is not.",
        "as run",
        (
            _SHOWN,
            f"{_CROPS}::test_training_crops_equal_the_reference",
            f"{_CROPS}::test_evaluation_crops_are_the_ten_crops_minus_the_mean",
            _SWITCHED_OFF,
        ),
        fields=("augmentation.color_shift.divide_by",),
    ),
    Statement(
        "S32",
        "convdata_jpeg.py",
        "Some networks saw the uncropped image on a gray canvas, the mean over all pixels and channels, and had this "
        "one number subtracted.",
        "not run",
        (
            "tests/data/store/test_resize.py::test_padding_shows_the_whole_image_in_the_middle_of_a_canvas",
            f"{_CROPS}::test_training_crops_equal_the_reference",
            "tests/recipes/test_cuda_convnet2.py::test_145f_sees_whole_images_minus_one_number",
            "recipe net-145f",
        ),
        fields=("augmentation.square", "augmentation.mean"),
        note="One such network, 145f, is in both averages; its result was not noted.",
    ),
    Statement(
        "S33",
        "layer-params-106.cfg",
        "Images that could not be read were silently left out: 149,998 of 150,000 were tested in July 2012.",
        "departs",
        ("tests/data/store/test_prepare.py::test_defects_are_listed_and_never_filled_in",),
        note="They are left out here, too, but listed with the reason, and a table gives the number tested.",
    ),
    Statement(
        "S34",
        "txt-preds.py",
        "Classes are numbered in the order of the development kit, which is not the sorted order of their WordNet "
        "names.",
        "as run",
        (
            "tests/data/sources/test_sources.py::test_labels_of_ilsvrc2010_are_its_ids_less_one",
            "tests/data/sources/test_layouts.py::test_the_ids_of_2012_are_kept_beside_the_sorted_classes",
        ),
        note="For 2012 a store sorts the names and keeps the kit's numbers beside them; the errors do not depend on "
        "it.",
    ),
)
