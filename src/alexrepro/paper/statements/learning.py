"""P21 to P34: what training shows, how it learns, and how testing looks (§4, §5)."""

from alexrepro.paper.statements.statement import Statement

_CHANGES = "tests/recipes/test_variations.py::test_a_variation_changes_what_its_claim_names_and_nothing_else"
_CROPS = "tests/data/loading/test_crops.py::test_training_crops_equal_the_reference"
_DEFAULTS = "tests/paper/test_training.py::test_the_defaults_are_the_numbers_of_section_5"
_INITIAL = "tests/model/test_alexnet.py::test_initial_weights_have_the_deviations_and_biases_of_the_recipe"

REGULARIZATION = (
    Statement(
        "P21",
        "§4.1",
        "Random 224×224 crops of the 256×256 image and their mirror images enlarge the training set 2048 times.",
        "departs",
        (
            "tests/paper/test_training.py::test_crops_and_mirrors_number_2178_where_2048_is_printed",
            "tests/data/loading/test_sampling.py::test_offsets_reach_from_0_to_32_in_both_axes",
            "tests/data/loading/test_sampling.py::test_about_half_of_the_images_are_mirrored",
            _CROPS,
        ),
        in_2012="Offsets 0 to 32 in each axis, both included: convdata_jpeg.py.",
        fields=("augmentation.crops", "augmentation.flips", "augmentation.last_offset_px"),
        note="2048 = 32 × 32 × 2 leaves out the last row and column of offsets; all 33 × 33 × 2 = 2178 are used.",
    ),
    Statement(
        "P22",
        "§4.1",
        "Without these crops and mirror images the network overfits badly.",
        "not run",
        (
            "recipe no-crops",
            _CHANGES,
            "tests/data/loading/test_sampling.py::test_without_crops_and_flips_only_the_center_is_seen",
        ),
        note="Compare the training loss and the errors of both: alexrepro ablate.",
    ),
    Statement(
        "P23",
        "§4.1",
        "Testing shows the four corners, the center and their mirror images, and averages the ten softmax outputs.",
        "as printed",
        (
            "tests/data/loading/test_crops.py::test_ten_crops_come_in_the_order_of_the_2012_code",
            "tests/data/loading/test_crops.py::test_mirrored_crops_follow_the_originals",
            "tests/evaluation/test_inference.py::test_one_pass_averages_ten_crops_and_keeps_the_center",
        ),
    ),
    Statement(
        "P24",
        "§4.1",
        "Each image has multiples of the principal components of RGB added, each by its eigenvalue times a Gaussian "
        "draw of deviation 0.1, drawn once each time the image is used.",
        "departs",
        (
            "tests/data/loading/test_crops.py::test_the_three_readings_of_lambda_differ_by_its_unit",
            _CROPS,
            "tests/data/loading/test_sampling.py::test_thirty_two_consecutive_images_share_crop_and_mirror_but_not_color",
            "tests/data/loading/test_sampling.py::test_color_draws_are_standard_normal_and_new_in_each_epoch",
            "tests/data/store/test_statistics.py::test_color_axes_equal_those_of_a_plain_covariance",
        ),
        in_2012="The stored factors are the square roots of the eigenvalues: convdata_jpeg.py.",
        fields=("augmentation.color_shift.std", "augmentation.color_shift.reading"),
        note="With eigenvalues of pixels 0-255 it exceeds a thousand gray levels; both recipes read deviations.",
    ),
    Statement(
        "P25",
        "§4.1",
        "The color shift lowers the top-1 error by more than 1 %.",
        "not run",
        (
            "recipe no-color-shift",
            _CHANGES,
            "tests/paper/test_results.py::test_every_printed_difference_is_that_of_the_text",
        ),
        note="The notes hold no pair of runs for it.",
    ),
    Statement(
        "P26",
        "§4.1",
        "The CPU makes the next batch while the GPU learns from this one.",
        "as printed",
        ("tests/data/loading/test_loader.py::test_the_next_batches_are_made_while_one_is_used",),
        in_2012="Python code of convdata_jpeg.py.",
        note="Threads or processes decode and cut ahead of the training; how many changes the time only.",
    ),
    Statement(
        "P27",
        "§4.2",
        "In the first two full layers each unit is dropped with probability 0.5 in training and multiplied by 0.5 in "
        "testing.",
        "as printed",
        (
            "tests/model/test_layers.py::test_dropout_does_not_rescale_in_training_and_halves_in_testing",
            "tests/paper/test_network.py::test_what_follows_each_stage_is_what_the_paper_says",
            "tests/model/test_alexnet.py::test_masks_depend_on_the_key_and_the_stage_and_drop_about_half",
            "tests/training/test_train.py::test_units_that_are_dropped_teach_the_next_stage_nothing",
        ),
        fields=("network.dropout", "network.dropout_scales", "network.fc6.order", "network.fc7.order"),
        note="What it does to overfitting and to the number of updates: P54 and P55.",
    ),
)

LEARNING = (
    Statement(
        "P28",
        "§5",
        "Stochastic gradient descent with batches of 128, momentum 0.9 and weight decay 0.0005.",
        "as printed",
        (
            "tests/recipes/test_catalog.py::test_the_training_as_run_is_that_of_layer_params_145",
            _DEFAULTS,
        ),
        fields=("training.batch", "training.momentum", "training.weight_decay"),
    ),
    Statement(
        "P29",
        "§5",
        "The velocity keeps 0.9 of itself, minus decay times rate times weight, minus rate times the mean gradient "
        "of the batch; the weight moves by the velocity.",
        "as printed",
        (
            "tests/training/test_optimizer.py::test_the_update_is_the_printed_rule_through_a_rate_drop",
            "tests/training/test_optimizer.py::test_it_equals_torch_sgd_until_the_rate_drops_and_not_after",
            "tests/training/test_reference.py::test_three_updates_equal_those_of_numpy",
        ),
    ),
    Statement(
        "P30",
        "§5",
        "Weight decay does more than regularize: without it the training error is higher, too.",
        "not run",
        ("recipe no-weight-decay", _CHANGES),
        note="Compare the training losses of both: alexrepro ablate.",
    ),
    Statement(
        "P31",
        "§5",
        "Weights of every layer start as Gaussian draws of deviation 0.01.",
        "as printed",
        (
            "tests/paper/test_training.py::test_weights_start_with_one_deviation_in_every_layer",
            _INITIAL,
        ),
        in_2012="0.03 in conv3, conv4 and conv5: layers-145.cfg.",
        fields=("network.<stage>.weight_std", "network.initial"),
    ),
    Statement(
        "P32",
        "§5",
        "Biases start at 1 in conv2, conv4, conv5 and the hidden full layers, and at 0 elsewhere.",
        "as printed",
        ("tests/paper/test_network.py::test_biases_start_at_one_where_the_paper_says", _INITIAL),
        fields=("network.<stage>.bias",),
    ),
    Statement(
        "P33",
        "§5",
        "One rate for all layers, 0.01 at first, divided by 10 whenever the validation error stops improving: three "
        "times in about 90 epochs.",
        "as printed",
        (
            _DEFAULTS,
            "tests/paper/test_training.py::test_every_layer_learns_at_the_same_rate",
            "tests/training/test_schedule.py::test_the_printed_recipe_divides_by_ten_when_the_error_stalls",
            "tests/training/test_train.py::test_a_validation_error_that_stalls_lowers_the_rate",
        ),
        in_2012="Switched by hand at noted epochs; conv1 and the biases had rates of their own: layer-params-145.cfg.",
        fields=(
            "training.learning_rate",
            "training.bias_learning_rate",
            "training.schedule.kind",
            "training.schedule.factor",
            "training.schedule.drops",
            "training.schedule.patience_epochs",
            "training.epochs",
        ),
        note="How long the error must stall is not said; see the field of patience.",
    ),
    Statement(
        "P34",
        "§5",
        "Training took five to six days on two GTX 580 GPUs of 3 GB.",
        "no test can pin it",
        (),
        note="It needs the GPUs of 2012; a run notes its own machine and images a second.",
    ),
)
