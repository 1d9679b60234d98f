"""The architecture: who may import whom, what stands in one place only, and how long a file may be."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

import alexrepro
from alexrepro.cli.app import app

SOURCE = Path(__file__).parents[1] / "src" / "alexrepro"
FILES = sorted(SOURCE.rglob("*.py"))

LAYERS = (
    {"errors"},
    {"files", "keys", "processors", "stop_signals"},
    {"progress"},
    {"locks"},
    {"paper"},
    {"recipes"},
    {"runs"},
    {"model", "data"},
    {"device", "host_copies"},
    {"distributed"},
    {"evaluation"},
    {"training"},
    {"diagnostics"},
    {"reports"},
    {"api"},
    {"cli"},
    {"__main__", "__init__"},
)
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}

ONLY = {
    "PIL": ("data/store/decode.py", "data/sources/miniature.py", "data/sources/small_sets.py"),
    "simplejpeg": ("data/store/decode.py",),
    "pyarrow": (
        "data/store/shard_rows.py",
        "data/store/store.py",
        "data/sources/*",
        "runs/predictions.py",
        "reports/*",
    ),
    "pandas": ("runs/*", "reports/*", "api.py"),
    "torch.distributed": ("model/tower_parallel.py", "distributed/*"),
}
REPORTS_SEE = {"errors", "files", "keys", "locks", "paper", "processors", "progress", "recipes", "reports", "runs"}
# Numbers that hardly mean anything else. Powers of ten, halves, 48, 90 and 128 are left out: they mean too many things.
CONSTANTS = {
    0.0005, 0.9,  # weight decay and momentum (§5)
    0.75, 2e-5, 4e-5,  # normalization: exponent (§3.3), and scale over size in layer.py's parsers
    0.03,  # standard deviation of initial weights in conv3, conv4 and conv5 (layers-145.cfg)
    0.02, 0.002,  # learning rate of biases (layer-params-145.cfg and -2010.cfg)
    1.1,  # the input is divided by it with the color shift (convdata_jpeg.py)
    121.78, 37.094, 19.721,  # standard deviations of the principal components of RGB
    0.2175, 0.0188, 0.0045,  # eigenvalues of RGB in later code
    96, 384, 4096, 9216,  # maps of conv1, conv3 and conv4; units of a hidden full layer; inputs of fc6 (§3.5)
    11, 224, 227,  # side of conv1's kernels and of the input (§3.5), and of the input elsewhere
    253_440, 60_965_224, 659_272,  # neurons of conv1 in Figure 2; parameters; neurons
}  # fmt: skip
ELSEWHERE = {
    ("model/normalization.py", 0.75): "a faster way to the same power; every other exponent is computed as well",
    ("model/norm_kernels.py", 0.75): "the same",
    ("data/sources/miniature.py", 0.03): "fraction of gray images",
}
FILE_LINES = 250
FUNCTION_LINES = 50
COMMAND_LINES, GROUP = 80, "cli/recipes.py"  # a file of cli; the group of three commands has 100
PARAMETERS = 6
KERNELS = "model/norm_kernels.py"  # whose functions run on a GPU, which has no objects to hold their numbers


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def place(file: Path) -> str:
    """Where a file stands below the package, such as `data/store/store.py`."""
    return file.relative_to(SOURCE).as_posix()


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports anywhere in it, with the names it takes from it, as dotted names."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.module
            yield from (node.module, *(f"{node.module}.{name.name}" for name in node.names))


def own_part(module: str) -> str | None:
    """The part of the house that a dotted name belongs to; None for other packages and for the package itself."""
    words = module.split(".")
    return words[1] if words[0] == "alexrepro" and len(words) > 1 and words[1] in RANK else None


def part_of(file: Path) -> str:
    """The part of the house that a file belongs to."""
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def functions() -> Iterator[tuple[Path, ast.FunctionDef]]:
    """Every function with the file in which it stands."""
    for file in FILES:
        yield from ((file, node) for node in ast.walk(tree_of(file)) if isinstance(node, ast.FunctionDef))


def test_every_file_belongs_to_a_known_part() -> None:
    assert {part_of(file) for file in FILES} - set(RANK) == set()


def test_imports_point_downward_only() -> None:
    found = [(file, part_of(file), own_part(module)) for file in FILES for module in imports(file)]

    upward = {
        f"{place(file)} imports {part}"
        for file, here, part in found
        if part is not None and part != here and RANK[part] >= RANK[here]
    }

    assert upward == set()


def test_reports_import_runs_paper_and_recipes_only() -> None:
    files = [file for file in FILES if part_of(file) == "reports"]
    found = {(place(file), own_part(module)) for file in files for module in imports(file)}

    assert {(name, part) for name, part in found if part is not None and part not in REPORTS_SEE} == set()


def test_run_files_reports_and_the_command_line_load_no_torch() -> None:
    parts = ("runs", "reports")
    modules = [f"alexrepro.{place(file)[:-3].replace('/', '.')}" for file in FILES if part_of(file) in parts]
    modules.append("alexrepro.cli.app")
    code = f"import sys, importlib\nfor m in {modules}: importlib.import_module(m)\nprint('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"


def test_the_package_loads_nothing_before_a_name_of_it_is_used() -> None:
    code = (
        "import sys, alexrepro\n"
        "print(*[name for name in sys.modules if name.partition('.')[0] in ('torch', 'pandas')])\n"
        "print(*[name for name in sys.modules if name.startswith('alexrepro.')])"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"\n\n"
    assert [name for name in alexrepro.__all__ if not hasattr(alexrepro, name)] == []


def test_paper_and_recipes_import_the_standard_library_only() -> None:
    files = [file for file in FILES if part_of(file) in {"errors", "files", "keys", "processors", "paper", "recipes"}]

    foreign = {
        f"{place(file)} imports {module}"
        for file in files
        for module in imports(file)
        if module.split(".")[0] not in sys.stdlib_module_names | {"alexrepro"}
    }

    assert foreign == set()


@pytest.mark.parametrize("package", ONLY)
def test_a_library_is_imported_in_its_places_only(package: str) -> None:
    users = {place(file) for file in FILES if any(f"{module}.".startswith(f"{package}.") for module in imports(file))}

    assert {user for user in users if not any(fnmatch(user, pattern) for pattern in ONLY[package])} == set()


def test_no_file_is_over_its_budget() -> None:
    lines = {place(file): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}

    assert {name: count for name, count in lines.items() if count > FILE_LINES} == {}
    commands = {name: count for name, count in lines.items() if name.startswith("cli/") and name != GROUP}
    assert {name: count for name, count in commands.items() if count > COMMAND_LINES} == {}
    assert lines[GROUP] <= COMMAND_LINES + 20


def test_no_function_is_over_its_budget() -> None:
    lines = {f"{place(file)}: {node.name}": (node.end_lineno or 0) - node.lineno + 1 for file, node in functions()}

    assert {name: count for name, count in lines.items() if count > FUNCTION_LINES} == {}


def test_no_function_has_more_than_six_parameters() -> None:
    commands = {command.callback.__name__ for command in app.registered_commands if command.callback}
    counts = {
        f"{place(file)}: {node.name}": len(
            [arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs) if arg.arg != "self"]
        )
        for file, node in functions()
        if not (part_of(file) == "cli" and node.name in commands) and place(file) != KERNELS
    }

    assert {name: count for name, count in counts.items() if count > PARAMETERS} == {}


def test_only_the_device_and_distribution_know_cuda() -> None:
    users = {
        part_of(file)
        for file in FILES
        for node in ast.walk(tree_of(file))
        if (isinstance(node, ast.Attribute) and node.attr in {"cuda", "is_cuda"})
        or (isinstance(node, ast.Constant) and isinstance(node.value, str) and re.match(r"cuda(:|$)", node.value))
    }

    assert users == {"device", "distributed"}


def test_a_constant_of_2012_stands_in_paper_or_recipes_only() -> None:
    found = {
        (place(file), node.value)
        for file, tree in ((file, tree_of(file)) for file in FILES)
        if part_of(file) not in {"paper", "recipes"}
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and type(node.value) in {int, float} and node.value in CONSTANTS
    }

    assert found - ELSEWHERE.keys() == set()
