"""What generate.py writes about Python: the reference from its docstrings, and a page as a notebook and a script."""

import ast
import inspect
import json
import re
from collections.abc import Iterator
from textwrap import dedent

import alexrepro
from alexrepro import api

RULE = """\
`import alexrepro` gives the names on this page; [From Python](../how-to/from-python.md) shows them in use.

**What is public**: the names on this page with the parameters, attributes and columns that it names, the [command
line](cli.md), and the files described in [The store](store-format.md) and [The run folder](run-folder.md). Everything
else is private: any module below `alexrepro`, and any attribute that is not named here, may change in any version."""
FUNCTIONS = ("recipe", "build", "load", "open_store", "evaluations", "report")
CLASSES = {  # and their public members
    "Trained": ("recipe", "classes", "mean_image", "network", "predict", "evaluate", "metrics", "validation"),
    "StoredImages": ("path", "split", "classes", "wnids", "labels", "names", "mean_image", "color_axes"),
    "Evaluation": ("top1_error", "top5_error"),
    "Recipe": ("but", "fields", "digest", "to_toml"),
    "AlexNet": ("forward", "named_kernels"),
    "UserError": (),
}
WITH_FIELDS = ("Evaluation", "Recipe")
BLOCK = re.compile(r"^```(python)?\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
NOTEBOOK = {
    "metadata": {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    },
    "nbformat": 4,
    "nbformat_minor": 5,
}


def reference() -> str:
    """The page of the public names: their signatures and docstrings."""
    assert sorted([*FUNCTIONS, *CLASSES]) == sorted(alexrepro.__all__)
    first, _, rest = _text(api).partition("\n\n")
    parts = ["# Python", RULE, rest or first]
    for name in FUNCTIONS:
        function = getattr(alexrepro, name)
        parts += [f"## {name}", _code(_signature(_parsed(function))), _text(function)]
    for name, members in CLASSES.items():
        parts += [f"## {name}", *_class(getattr(alexrepro, name), members)]
    return "\n\n".join(parts) + "\n"


def _class(found: type, members: tuple[str, ...]) -> Iterator[str]:
    items = _parsed(found).body
    yield _text(found)
    if found.__name__ in WITH_FIELDS:
        yield _code(
            "\n".join(ast.unparse(item).partition(" = ")[0] for item in items if isinstance(item, ast.AnnAssign))
        )
    functions = {item.name: item for item in items if isinstance(item, ast.FunctionDef)}
    for name in members:
        is_property = any("property" in ast.unparse(decorator) for decorator in functions[name].decorator_list)
        returned = ast.unparse(functions[name].returns)
        yield f"### {found.__name__}.{name}"
        yield _code(f"{name}: {returned}" if is_property else _signature(functions[name]))
        yield _text(getattr(found, name))


def _parsed(found: object) -> ast.FunctionDef | ast.ClassDef:
    """The definition of a function or class."""
    return ast.parse(dedent(inspect.getsource(found))).body[0]


def _signature(function: ast.FunctionDef) -> str:
    arguments = ast.unparse(function.args).removeprefix("self").removeprefix(", ")
    return f"{function.name}({arguments.replace('=', ' = ')}) -> {ast.unparse(function.returns)}"


def _text(found: object) -> str:
    return inspect.getdoc(found) or ""


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def script(page: str) -> str:
    """The Python of a page of Markdown, which `make check` type-checks as users would."""
    blocks = [block[2] for block in BLOCK.finditer(page) if block[1]]
    title = page.partition("\n")[0].removeprefix("# ")
    return "\n".join([f'"""{title}: the Python of the page of this name, in one piece."""\n', *blocks])


def notebook(page: str) -> str:
    """A page of Markdown as a Jupyter notebook: its Python, and what it types at a prompt, can be run."""
    cells, end = [], 0
    for block in BLOCK.finditer(page):
        cells += [("markdown", page[end : block.start()]), ("code", block[2] if block[1] else _typed(block[2]))]
        end = block.end()
    cells.append(("markdown", page[end:]))
    kept = [(kind, text.strip()) for kind, text in cells if text.strip()]
    found = [_cell(kind, text, f"cell-{number}") for number, (kind, text) in enumerate(kept)]
    return json.dumps({"cells": found, **NOTEBOOK}, indent=1, ensure_ascii=False) + "\n"


def _typed(lines: str) -> str:
    """Commands for the shell, by the notebook's own Python: its programs need not be on the PATH.

    A notebook gives them a terminal, where each state of a progress bar would stay as a line; a pipe has none.
    """
    typed = (line.replace("alexrepro", '!"{sys.executable}" -m alexrepro', 1) for line in lines.splitlines())
    return "\n".join(["import sys\n", *(f"{line} 2>&1 | cat" for line in typed)])


def _cell(kind: str, text: str, name: str) -> dict[str, object]:
    more = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "id": name, "metadata": {}, **more, "source": text.splitlines(keepends=True)}
