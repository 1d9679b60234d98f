"""P52 to P57: single sentences of §3.4, §4.1, §4.2, §5 and Figure 2 beside the ones that P1 to P51 tell of."""

from alexrepro.paper.statements.statement import Statement

_CHANGES = "tests/recipes/test_variations.py::test_a_variation_changes_what_its_claim_names_and_nothing_else"

FURTHER = (
    Statement(
        "P52",
        "§3.4",
        "Networks with overlapping windows are slightly more difficult to overfit.",
        "not run",
        ("recipe non-overlapping-pooling", _CHANGES),
        note="Compare the training losses and the errors of both: alexrepro ablate. The notes hold no training loss.",
    ),
    Statement(
        "P53",
        "Figure 2",
        "The input has 150,528 dimensions.",
        "as printed",
        ("tests/paper/test_network.py::test_the_input_has_150_528_values",),
        fields=("network.input_px", "network.channels"),
    ),
    Statement(
        "P54",
        "§4.2",
        "Without dropout the network overfits badly.",
        "not run",
        ("recipe no-dropout", _CHANGES),
        note="Six epochs on small photographs tell nothing of it: there dropout only costs "
        "(docs/results/small-scale-ablations.md).",
    ),
    Statement(
        "P55",
        "§4.2",
        "Dropout about doubles the number of updates until training converges.",
        "not run",
        ("recipe no-dropout", _CHANGES),
        note="It needs both networks trained to their ends.",
    ),
    Statement(
        "P56",
        "§5",
        "Biases of 1 speed up the first stages of learning, as they give the ReLUs positive inputs.",
        "measured",
        ("recipe as-run-2012", "tests/paper/test_network.py::test_biases_start_at_one_where_the_paper_says"),
        fields=("network.<stage>.bias",),
        note="Six epochs of as-run-2012 on photographs at 112 px, one seed: 2.6 points better than with biases of 0 "
        "(docs/results/small-scale-ablations.md). With the printed weights of 0.01, biases of 0.1 leave chance sooner "
        "(docs/results/pilot.md).",
    ),
    Statement(
        "P57",
        "§4.1",
        "So augmentation is, in effect, free.",
        "not run",
        ("tests/diagnostics/test_bench.py::test_the_slower_of_loader_and_step_decides_the_time",),
        note="alexrepro bench measures both; beside a GPU it was not measured.",
    ),
)
