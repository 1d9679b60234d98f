"""What `make gpu-check` computes without a GPU: its tables, the groups of kernels, and its verdicts."""

import pytest

from alexrepro.device import Device
from benchmarks.gpu_check.contenders import CPU, layouts
from benchmarks.gpu_check.gradients import LIMITS, Limit, gradients_on, reference, relative_errors, verdict
from benchmarks.gpu_check.kernels import Kernel, by_group, group_of
from benchmarks.gpu_check.page import COLUMNS, slug, table
from benchmarks.gpu_check.study import Budget

NAMES = {
    "sm90_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_f32_nhwckrsc_nhwc_tilesize128x128x64": "convolutions",
    "void cudnn::ops::nchwToNhwcKernel<__nv_bfloat16>": "convolutions",
    "nvjet_hsh_128x256_64x4_2x1_v_bz_coopA_NNN": "matrix products",
    "void cublasLt::splitKreduce_kernel<32, 16, int, float>": "matrix products",
    "spatial_lrn_backward": "normalization",
    "triton_poi_fused_max_pool2d_with_indices_backward_relu_7": "pooling",
    "Memcpy DtoD (Device -> Device)": "rest",
}


@pytest.mark.parametrize(("name", "group"), NAMES.items())
def test_kernels_are_grouped_by_their_names(name: str, group: str) -> None:
    assert group_of(name) == group


def test_groups_sum_times_and_launches() -> None:
    sums = by_group([Kernel("lrn", 0.25, 2.0), Kernel("lrn_backward", 0.5, 1.0), Kernel("fill", 0.125, 1.0)])

    assert (sums["normalization"], sums["rest"], sums["pooling"]) == ((0.75, 3.0), (0.125, 1.0), (0.0, 0.0))


def test_a_table_shortens_its_widest_column_to_fit() -> None:
    lines = table(("ms", "kernel"), [["0.1", "k" * 200], ["0.2", "a|b"]]).splitlines()

    assert max(map(len, lines)) == COLUMNS
    assert lines[1:] == ["| ---: | --- |", f"| 0.1 | {'k' * 89}… |", "| 0.2 | a¦b |"]


def test_a_tensor_over_its_limit_fails() -> None:
    errors = {"conv1.weight": 0.1, "fc8.weight": 1e-3, "fc8.bias": 2e-3}

    assert verdict(errors, Limit(0.2, 1e-2)) == ("conv1.weight", 0.1, 2e-3, True)
    assert not verdict(errors, Limit(0.05, 1e-2)).passed
    assert not verdict(errors, Limit(0.2, 1e-3)).passed


@pytest.mark.parametrize("name", ["conv1.weight", "fc8.bias"])
def test_nan_fails_wherever_it_is(name: str) -> None:
    errors = dict.fromkeys(("conv1.weight", "conv1.bias", "fc8.weight", "fc8.bias"), 0.0) | {name: float("nan")}

    assert not verdict(errors, LIMITS["bf16"]).passed


def test_the_first_layout_leaves_nothing_out() -> None:
    named = layouts()

    assert next(iter(named)) == "fast"
    assert len(named) == len(set(named.values())) == 8


def test_names_of_gpus_become_names_of_files() -> None:
    assert slug("NVIDIA GeForce RTX 4090 (24 GB)") == "nvidia-geforce-rtx-4090-24-gb"


def test_a_budget_keeps_time_for_what_follows() -> None:
    budget = Budget(100.0)

    assert budget.has(40.0, until=0.5)
    assert not budget.has(60.0, until=0.5)


@pytest.mark.parametrize("precision", ["float64", "bf16"])
def test_gradients_of_the_fast_path_pass_on_a_device_that_computes(precision: str) -> None:
    case = {"recipe": "tiny", "precision": precision, "path": "fast"}
    found = gradients_on(Device(CPU), case, layouts()["fast, no norms"])  # Triton's kernels need a GPU

    assert verdict(relative_errors(found, reference("tiny")), LIMITS[precision]).passed
