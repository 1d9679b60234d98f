"""S35 to S44: where the released testing, pictures and averages differ from the text, or fill its gaps."""

from alexrepro.paper.statements.statement import Statement

_CROPS = "tests/data/loading/test_crops.py"
_MEMBERS = "tests/paper/test_logbook.py::test_the_winning_average_has_three_pretrained_members_and_four_others"

TESTING = (
    Statement(
        "S35",
        "layer.cu HiddenSexLayer",
        "Dropout multiplies by a 0/1 mask in training and by a half otherwise; nothing is scaled up in training.",
        "as run",
        (
            "tests/recipes/test_conformance.py::test_a_network_of_2012_is_what_its_files_say",
            "tests/model/test_layers.py::test_dropout_does_not_rescale_in_training_and_halves_in_testing",
            "tests/training/test_reference.py::test_three_updates_equal_those_of_numpy",
        ),
        fields=("network.dropout", "network.dropout_scales"),
    ),
    Statement(
        "S36",
        "convdata_jpeg.py",
        "The ten crops: top left, top right, center, bottom left, bottom right, then mirrored.",
        "as run",
        (
            f"{_CROPS}::test_ten_crops_come_in_the_order_of_the_2012_code",
            f"{_CROPS}::test_mirrored_crops_follow_the_originals",
        ),
    ),
    Statement(
        "S37",
        "layer.cu LogregCostLayer",
        "Probabilities of the crops are averaged, not logits; loss and both errors come from the average.",
        "as run",
        ("tests/evaluation/test_evaluate.py::test_counts_and_loss_equal_a_plain_loop_over_images",),
    ),
    Statement(
        "S38",
        "layer_kernels.cu",
        "Classes that tie for the first place, or for the fifth, share the credit.",
        "departs",
        (
            "tests/evaluation/test_evaluate.py::test_a_network_that_says_the_same_of_every_class_earns_nothing",
            "tests/evaluation/test_metrics.py::test_counts_are_those_of_numpy_with_the_lower_class_first",
        ),
        note="Among equals the lower number comes first, so that answers can be counted exactly.",
    ),
    Statement(
        "S39",
        "avg-test.py",
        "An average of networks is a weighted sum of their ten-crop probabilities; avg-valid.py can tune the weights "
        "on the validation split, and whether it was used is unknown.",
        "not run",
        (
            "tests/evaluation/test_ensemble.py::test_an_average_equals_a_plain_loop_over_its_members",
            "tests/paper/test_logbook.py::test_the_average_of_five_gains_over_its_members",
        ),
        note="Equal weights, or those that are given; none are tuned.",
    ),
    Statement(
        "S40",
        "shownet.py",
        "conv1's kernels are drawn scaled together from 0 to 1, sixteen in a row, one pixel apart.",
        "as run",
        (
            "tests/reports/experiments/test_figures.py::test_kernels_are_scaled_together_in_a_black_frame_and_the_first_one_is_at_the_top_left",
            "tests/reports/experiments/test_figures.py::test_forty_eight_kernels_are_three_rows_of_sixteen",
        ),
    ),
    Statement(
        "S41",
        "findsimilar.py",
        "Neighbors are the nearest image of each training batch, so two of one batch never appear together.",
        "departs",
        ("tests/evaluation/test_nearest_neighbors.py::test_the_neighbors_are_those_of_a_plain_search",),
        note="Here the search is over all training images, as the paper says.",
    ),
)

MORE_DATA = (
    Statement(
        "S42",
        "layers-146-2011.cfg",
        "The sixth layer: 128 kernels of 3×3 in each tower on the pooled maps of both, with a ReLU and neither norm "
        "nor pooling.",
        "not run",
        (
            "tests/recipes/test_conformance.py::test_a_network_of_2012_is_what_its_files_say",
            "tests/recipes/test_cuda_convnet2.py::test_a_sixth_conv_layer_reads_the_pooled_maps_of_the_fifth",
            "recipe net-146-2012-2011",
        ),
        note="Its recipes can be trained on whatever data there are.",
    ),
    Statement(
        "S43",
        "initw.py",
        "The network of the starred row learned the 2012 data first, then autumn 2009, then autumn 2011, then 2012 "
        "again with a new last layer.",
        "not reproducible here",
        (
            "tests/recipes/test_cuda_convnet2.py"
            "::test_a_network_of_the_chain_begins_with_all_of_the_one_before_but_its_last_stages",
            "tests/training/test_fine_tune.py::test_the_named_stages_begin_where_the_earlier_run_ended",
            "recipe net-146-2012-2011",
        ),
        fields=("training.init_from_stages",),
        note="The chain of recipes is there; the collections of 2009 and 2011 are no longer handed out.",
    ),
    Statement(
        "S44",
        "names of the submitted files",
        "The average of five is of 131, 135, 137, 145 and 145f, four different configurations and one on other "
        "images; that of seven leaves out 135 and adds three pre-trained networks.",
        "not run",
        (
            _MEMBERS,
            "tests/paper/test_logbook.py::test_the_five_of_the_average_are_not_five_runs_of_one_network",
            "tests/evaluation/test_ensemble.py::test_an_average_equals_a_plain_loop_over_its_members",
        ),
        note="All members have recipes, but 145f sees images of another store, which an average cannot mix in.",
    ),
)
