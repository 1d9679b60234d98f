"""S1 to S18: where the released network and its update differ from the text, or say what the text does not."""

from alexrepro.paper.statements.statement import Statement

_ORDER = "tests/model/test_alexnet.py::test_the_stages_run_in_the_order_of_the_2012_configuration"
_UPDATE = "tests/training/test_optimizer.py::test_the_update_is_the_printed_rule_through_a_rate_drop"
_TRAINING = "tests/recipes/test_catalog.py::test_the_training_as_run_is_that_of_layer_params_145"
_FILES = "tests/recipes/test_conformance.py::test_a_network_of_2012_is_what_its_files_say"
_NORMS = "tests/recipes/test_conformance.py::test_norms_of_2012_divide_alpha_by_their_window_and_stop_at_the_tower"
_REFERENCE = "tests/training/test_reference.py::test_three_updates_equal_those_of_numpy"  # the network a second time

SIZES = (
    Statement(
        "S1",
        "layer.py LocalLayerParser",
        "Sizes of convolutions are rounded up, and taps outside the image count as zero: 224 pixels give 55, with "
        "three columns and rows of zeros on the right and below only.",
        "as run",
        (
            "tests/paper/test_network.py::test_224_gives_55_by_rounding_up_with_three_zeros_after",
            "tests/model/test_layers.py::test_conv1_sees_zeros_on_the_right_and_below_only",
        ),
        fields=("network.input_px", "network.conv1.pad_px", "network.rounding"),
        note="The text gives 224 and 55 and no padding; both recipes round up.",
    ),
    Statement(
        "S2",
        "layer.py PoolLayerParser",
        "Sizes of pooling are rounded up, too, and windows are clipped at the border.",
        "as run",
        (
            "tests/model/test_layers.py::test_pooling_clips_its_last_window",
            "tests/paper/test_network.py::test_non_overlapping_pools_round_up",
        ),
        fields=("network.pool.size_px", "network.pool.stride_px"),
        note="It matters with windows of 2×2 and on small images; the printed network divides evenly.",
    ),
    Statement(
        "S3",
        "cuda-convnet conv_util.cu",
        "In the backward pass of max pooling every input equal to the largest gets the gradient.",
        "departs",
        (
            "tests/paper/test_departures.py::test_of_equal_inputs_one_gets_the_gradient_of_pooling",
            "tests/paper/test_departures.py::test_ties_at_zero_pass_nothing_back_through_the_relu",
        ),
        note="torch gives it to one of them. Most ties are zeros of a ReLU, which pass nothing further back.",
    ),
)

ORDER = (
    Statement(
        "S4",
        "layers-145.cfg",
        "conv1 is normalized and pooled before its ReLU, so that negative responses enlarge the divisor.",
        "as run",
        (_FILES, _ORDER, _REFERENCE),
        fields=("network.conv1.order",),
    ),
    Statement(
        "S5",
        "layers-145.cfg [cnorm2]",
        "After conv2's normalization comes a second one that the paper does not mention, over 5×5 pixels of the same "
        "map.",
        "as run",
        (
            _FILES,
            "tests/paper/test_network.py::test_the_same_map_norm_divides_its_scale_by_25",
            "tests/model/test_normalization.py::test_same_map_norm_equals_its_formula",
            _REFERENCE,
        ),
        in_2012="Networks 106 and 120 to 136 subtract the local mean inside its divisor as well.",
        fields=(
            "network.conv2.order",
            "network.same_map_norm.size_px",
            "network.same_map_norm.k",
            "network.same_map_norm.alpha",
            "network.same_map_norm.beta",
        ),
    ),
    Statement(
        "S6",
        "layers-145.cfg",
        "conv5 is pooled before its ReLU.",
        "as run",
        (_FILES, "tests/paper/test_departures.py::test_max_pooling_and_relu_commute"),
        fields=("network.conv5.order",),
        note="Both orders give the same numbers.",
    ),
    Statement(
        "S7",
        "layers-145.cfg",
        "Windows of response normalization stop at the border of a tower.",
        "as run",
        (
            _NORMS,
            "tests/model/test_normalization.py::test_the_2012_reading_is_torchs_local_response_norm_within_each_tower",
            "tests/model/test_normalization.py::test_the_printed_reading_crosses_the_seam_between_towers",
        ),
        fields=("network.norm.per_tower",),
        note="Only the two maps on each side of the seam differ.",
    ),
    Statement(
        "S8",
        "layer.py NormLayerParser",
        "The factor of the sum of squares is α divided by the n maps of a window.",
        "as run",
        (
            _NORMS,
            "tests/paper/test_network.py::test_alpha_is_divided_only_when_asked",
            "tests/model/test_normalization.py::test_the_2012_reading_is_torchs_local_response_norm_within_each_tower",
        ),
        fields=("network.norm.divide_alpha_by_n", "network.norm.alpha", "network.norm.n"),
    ),
    Statement(
        "S9",
        "layer-params-145.cfg",
        "k is 2 from network 135 on; #134 tried 0.25, earlier networks, and the code by default, have 1.",
        "as run",
        (_FILES,),
        fields=("network.norm.k",),
    ),
    Statement(
        "S10",
        "layers-137.cfg",
        "Networks conv94 to 141 feed conv2 a blurred 56×56 copy of the image as well, and have 64 kernels in conv1.",
        "not run",
        (
            _FILES,
            "tests/model/test_side_input.py::test_the_side_input_is_blurred_and_every_fourth_pixel",
            "recipe net-137",
        ),
        fields=("network.side_input",),
        note="Needed for the submitted averages only.",
    ),
)

START_AND_UPDATE = (
    Statement(
        "S11",
        "layers-145.cfg",
        "Weights of conv3, conv4 and conv5 start with a deviation of 0.03.",
        "as run",
        (_FILES,),
        fields=("network.<stage>.weight_std",),
        note="The printed 0.01 there leaves logits that hardly depend on the image.",
    ),
    Statement(
        "S12",
        "layer.py",
        "Initial weights are drawn without a fixed seed, so no run can be repeated.",
        "departs",
        (
            "tests/data/loading/test_sampling.py::test_the_same_seed_and_epoch_give_the_same_plan",
            "tests/model/test_alexnet.py::test_initial_weights_depend_on_the_seed_alone",
            "tests/model/test_alexnet.py::test_masks_depend_on_the_key_and_the_stage_and_drop_about_half",
            "tests/training/test_resumes.py::test_a_stopped_run_continues_to_the_same_bits",
        ),
        note="Every draw is keyed by seed and place, so that a run can be repeated and continued.",
    ),
    Statement(
        "S13",
        "layer.cu",
        "Gradients are summed and divided by the cases of their own batch, so the noted rates are the printed ones.",
        "as run",
        (
            "tests/paper/test_departures.py::test_the_gradient_is_the_mean_over_the_batch",
            "tests/data/loading/test_loader.py::test_each_image_comes_once_and_the_last_batch_is_smaller",
        ),
        fields=("training.learning_rate", "training.batch"),
    ),
    Statement(
        "S14",
        "weights.cu",
        "Momentum and gradient first, then decay from the weight before the step, then the step; all gradients are "
        "computed before any weight moves. The rate sits inside the velocity.",
        "as run",
        (
            _UPDATE,
            "tests/training/test_optimizer.py::test_it_equals_torch_sgd_until_the_rate_drops_and_not_after",
            _REFERENCE,
        ),
        note="The same as the printed rule.",
    ),
    Statement(
        "S15",
        "layer.cu WeightLayer",
        "Biases follow the same rule with the same momentum and never decay.",
        "as run",
        (_UPDATE, _REFERENCE),
        fields=("training.bias_decay", "training.momentum"),
        note="The text prints the rule for weights only; neither recipe decays biases.",
    ),
    Statement(
        "S16",
        "layer-params-145.cfg",
        "Every weight matrix decays alike, conv1's and the last one's included; limits of the norm of weights are "
        "switched off.",
        "as run",
        (_FILES,),
        fields=("network.<stage>.decay_factor", "training.weight_decay"),
    ),
    Statement(
        "S17",
        "weights.cu",
        "A rate of 0 freezes a layer: no gradient, no decay, no motion left from before, and nothing is passed back "
        "below it.",
        "as run",
        (
            "tests/training/test_optimizer.py::test_a_rate_of_zero_freezes_a_stage_altogether",
            "tests/training/test_train.py::test_frozen_stages_stay_as_they_were",
            "tests/training/test_train.py::test_a_stage_that_was_frozen_goes_on_as_if_it_had_had_next_to_no_rate",
        ),
    ),
    Statement(
        "S18",
        "layer.cu",
        "All arithmetic is in single precision.",
        "as run",
        (_TRAINING,),
        fields=("training.precision",),
        note="The text is silent; half precision is a change of the recipe, since it changes the numbers.",
    ),
)
