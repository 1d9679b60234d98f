"""P1 to P20: the data, the network and its counts (§1, §2, §3.5, abstract, Figure 2)."""

from alexrepro.paper.statements.statement import Statement

_TABLE = "tests/paper/test_network.py::test_each_layer_holds_what_the_table_says"
_OWN = "tests/paper/test_network.py::test_stages_that_read_their_own_tower_are_conv2_conv4_and_conv5"
_ORDER = "tests/paper/test_network.py::test_what_follows_each_stage_is_what_the_paper_says"
_TEXT = "tests/paper/test_network.py::test_the_defaults_are_the_text_of_section_3"
_SHOWN = "tests/paper/test_training.py::test_the_defaults_are_the_text_of_sections_2_and_4"
_REFERENCE = "tests/training/test_reference.py::test_three_updates_equal_those_of_numpy"  # the network a second time


def _conv(name: str) -> tuple[str, ...]:
    return tuple(f"network.{name}.{field}" for field in ("maps", "kernel_px", "stride_px", "pad_px", "reads"))


DATA = (
    Statement(
        "P1",
        "§1, §2",
        "ImageNet as a whole: more than 15 million labeled images in about 22,000 categories.",
        "no test can pin it",
        (),
        note="The collection of autumn 2011 is no longer handed out; no number of it enters the code.",
    ),
    Statement(
        "P2",
        "§2",
        "The challenge's part: 1000 classes of about 1000 images; 1.2 million to train on, 50,000 for validation and "
        "150,000 for testing.",
        "as printed",
        (
            "tests/paper/test_network.py::test_each_layer_holds_what_the_table_says",
            "tests/paper/test_results.py::test_notes_of_the_2010_test_split_are_whole_counts_of_150_000_images",
            "tests/data/sources/test_sources.py::test_the_release_of_2012_is_known_by_its_1000_classes_and_the_photos_of_each_split",
        ),
        in_2012="1,261,406 training images in 2010 and 1,281,167 in 2012, whose test split has 100,000.",
        note="A store holds what was found; defects are listed, and tables give the number of images.",
    ),
    Statement(
        "P3",
        "§2",
        "Only the edition of 2010 has public test labels, so most experiments were done on it.",
        "as printed",
        (
            "tests/paper/test_results.py::test_the_two_runs_of_a_difference_share_its_split",
            "tests/data/sources/test_sources.py::test_labels_of_ilsvrc2010_are_its_ids_less_one",
            "tests/data/sources/test_sources.py::test_without_its_ground_truth_the_test_split_is_unlabeled",
        ),
        in_2012="The differences for normalization and pooling were noted on the validation split of 2012: "
        "layer-params-147.cfg, layer-params-148.cfg.",
    ),
    Statement(
        "P4",
        "§2",
        "Two measures: how often the label is not the first guess, and how often not among the first five.",
        "as printed",
        (
            "tests/evaluation/test_metrics.py::test_counts_are_those_made_by_hand",
            "tests/evaluation/test_metrics.py::test_an_error_is_the_share_of_images_that_were_not_right",
        ),
    ),
    Statement(
        "P5",
        "§2",
        "Images are scaled so that the shorter side has 256 pixels, then cut to the middle 256×256.",
        "as printed",
        (
            _SHOWN,
            "tests/data/store/test_decode.py::test_an_odd_margin_is_rounded_down",
            "tests/data/store/test_decode.py::test_the_square_is_the_middle_of_the_resized_image",
        ),
        fields=("augmentation.square",),
        note="The text names neither filter nor encoding; see the row on resizing.",
    ),
    Statement(
        "P6",
        "§2",
        "The only other preparation is to subtract the training set's mean at each pixel; values stay raw.",
        "as printed",
        (
            "tests/data/loading/test_crops.py::test_training_crops_equal_the_reference",
            "tests/data/loading/test_crops.py::test_evaluation_crops_are_the_ten_crops_minus_the_mean",
            "tests/data/store/test_statistics.py::test_mean_image_equals_the_plain_mean",
            _SHOWN,
            _TEXT,
        ),
        in_2012="The middle of the mean image is subtracted from every crop: convdata_jpeg.py.",
        fields=("augmentation.mean", "network.input_std"),
    ),
)

ARCHITECTURE = (
    Statement(
        "P7",
        "§3.5",
        "Eight layers with weights, five convolutional and three fully connected; a softmax over 1000 classes; "
        "training maximises the mean log-probability of the right label.",
        "as printed",
        (
            "tests/paper/test_network.py::test_layers_stand_in_the_order_of_the_table",
            _TABLE,
            "tests/paper/test_departures.py::test_the_gradient_is_the_mean_over_the_batch",
            "tests/paper/test_departures.py::test_the_loss_is_the_mean_negative_log_of_the_true_classes_probability",
        ),
        fields=("network.stages",),
    ),
    Statement(
        "P8",
        "§3.5",
        "conv1: 96 kernels of 11×11×3, 4 pixels apart, on an input of 224×224×3.",
        "as printed",
        (_TABLE, "tests/paper/test_network.py::test_the_input_has_150_528_values"),
        fields=("network.input_px", *_conv("conv1")),
    ),
    Statement(
        "P9",
        "§3.5",
        "conv2: 256 kernels of 5×5×48 on the normalized and pooled maps of their own GPU.",
        "as printed",
        (_TABLE, _OWN, _ORDER),
        fields=_conv("conv2"),
    ),
    Statement(
        "P10",
        "§3.5",
        "conv3: 384 kernels of 3×3×256, which see the maps of both GPUs.",
        "as printed",
        (_TABLE, _OWN),
        fields=_conv("conv3"),
    ),
    Statement(
        "P11",
        "§3.5",
        "conv4: 384 kernels of 3×3×192 on the maps of their own GPU.",
        "as printed",
        (_TABLE, _OWN),
        fields=_conv("conv4"),
    ),
    Statement(
        "P12",
        "§3.5",
        "conv5: 256 kernels of 3×3×192 on the maps of their own GPU.",
        "as printed",
        (_TABLE, _OWN),
        fields=_conv("conv5"),
    ),
    Statement(
        "P13",
        "§3.5",
        "4096 units in each hidden full layer and 1000 in the last; each sees the whole layer before it.",
        "as printed",
        (_TABLE,),
        fields=("network.fc6.maps", "network.fc7.maps", "network.fc8.maps", "network.fc6.reads"),
    ),
    Statement(
        "P14",
        "§3.5",
        "A ReLU follows every layer with weights; the last has the softmax instead.",
        "as printed",
        (_ORDER, "tests/model/test_layers.py::test_an_operation_that_the_network_lacks_is_skipped"),
        fields=("network.activation", "network.<stage>.order"),
    ),
    Statement(
        "P15",
        "§3.5",
        "Response normalization follows conv1 and conv2; pooling follows both of them and conv5; nothing of either "
        "kind stands between conv3, conv4 and conv5.",
        "as printed",
        (_ORDER, _REFERENCE),
        fields=("network.<stage>.order",),
    ),
    Statement(
        "P16",
        "§3.3",
        "Each response is divided by (k + α · sum of squares over n neighboring maps)^β, with k = 2, n = 5, α = "
        "10⁻⁴, β = 0.75; it comes after the ReLU, and windows span all maps of the layer.",
        "as printed",
        (
            _ORDER,
            "tests/model/test_normalization.py::test_the_printed_reading_crosses_the_seam_between_towers",
            "tests/model/test_normalization.py::test_response_norm_equals_the_printed_formula",
            _REFERENCE,
        ),
        fields=(
            "network.norm.k",
            "network.norm.n",
            "network.norm.alpha",
            "network.norm.beta",
            "network.norm.divide_alpha_by_n",
            "network.norm.per_tower",
            "network.conv1.order",
        ),
    ),
    Statement(
        "P17",
        "§3.4",
        "Max pooling over windows of 3×3 pixels, 2 pixels apart, so that they overlap.",
        "as printed",
        ("tests/model/test_layers.py::test_overlapping_pooling_takes_the_largest_of_three_by_three",),
        fields=("network.pool.size_px", "network.pool.stride_px"),
    ),
)

COUNTS = (
    Statement(
        "P18",
        "abstract",
        "60 million parameters and 650,000 neurons.",
        "departs",
        (
            "tests/paper/test_network.py::test_there_are_60_965_224_parameters_which_print_as_60_million",
            "tests/paper/test_network.py::test_there_are_659_272_neurons_which_round_to_660_000",
            "tests/paper/test_network.py::test_a_crop_takes_724_406_816_multiply_adds",
            "tests/reports/experiments/test_claims.py::test_the_printed_neurons_are_not_what_the_count_rounds_to",
            "experiment parameters",
        ),
        note="Counted: 60,965,224 weights and biases, which round to 60 million, and 659,272 outputs of learned "
        "layers, which round to 660,000. The paper prints no number of operations: the 4 GFLOPs that are often quoted "
        "are not its own, and a crop takes 724,406,816 multiply-adds, 1.45 GFLOPs.",
    ),
    Statement(
        "P19",
        "Figure 2",
        "Neurons by layer: 253,440 in conv1, then 186,624, 64,896, 64,896, 43,264, 4096, 4096 and 1000.",
        "departs",
        ("tests/paper/test_network.py::test_the_caption_of_figure_2_is_right_except_for_conv1",),
        note="conv1 has 55 × 55 × 96 = 290,400; the caption's first entry is 55 × 48 × 96. The others agree.",
    ),
    Statement(
        "P20",
        "§1",
        "No convolutional layer holds more than 1 % of the parameters.",
        "departs",
        ("tests/paper/test_network.py::test_conv3_and_conv4_hold_more_than_the_printed_one_percent",),
        note="Counted: conv3 holds 1.45 % and conv4 1.09 %; the other three stay below.",
    ),
)
