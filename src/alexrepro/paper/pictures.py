"""What the paper prints in its figures, captions and running text beyond tables of errors."""

from alexrepro.paper.results import CAPTION_CONV1_NEURONS

# Figure 1: ReLUs reach this training error on CIFAR-10 this many times sooner than tanh.
FIGURE_1_TRAINING_ERROR = 0.25
FIGURE_1_TIMES_SOONER = 6
FIGURE_1_HIGHEST_ERROR = 0.75  # where its axis ends
PARAMETERS = "60 million"  # abstract
NEURONS = "650,000"  # abstract
# Figure 2's caption, stage by stage.
CAPTION_NEURONS = {
    "conv1": CAPTION_CONV1_NEURONS,
    "conv2": 186_624,
    "conv3": 64_896,
    "conv4": 64_896,
    "conv5": 43_264,
    "fc6": 4_096,
    "fc7": 4_096,
    "fc8": 1_000,
}
FIGURE_3_KERNELS_PER_ROW = 16  # shownet.py; 48 and 48 kernels are three rows and three
FIGURE_4_GUESSES = 8  # images on the left
FIGURE_4_QUERIES = 5  # images on the right
FIGURE_4_NEIGHBORS = 6  # training images next to each
VALIDATION_TEST_GAP = 0.001  # §6: validation and test errors differ by no more than 0.1 %
