"""House rules, checked on the syntax tree. Each rule is a function from a tree to the lines that break it."""

import ast
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "sentneuron").rglob("*.py"))
CORE = [path for path in PACKAGE if path.is_relative_to(ROOT / "sentneuron/core")]
EVERYTHING = [*PACKAGE, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]
LIGHT = [
    *(ROOT / "sentneuron" / name for name in ("__init__.py", "__main__.py", "cli.py")),
    *(ROOT / "sentneuron/core" / name for name in ("errors.py", "atomic.py", "values.py")),
    *sorted((ROOT / "sentneuron/core/config").glob("*.py")),
    *sorted((ROOT / "sentneuron/commands").glob("*.py")),
]
HEAVY = {"torch", "pandas", "sklearn", "matplotlib", "pyarrow", "numpy", "scipy"}


UNSAFE = {
    "eval",
    "exec",
    "os.system",
    "os.popen",
    "joblib.load",
    "pandas.read_pickle",
    "shelve.open",
    "yaml.load",
    "yaml.unsafe_load",
    "torch.hub.load",
    "torch.jit.load",
    "torch.package.PackageImporter",
    *(
        f"{module}.{name}"
        for module in ("pickle", "_pickle", "cloudpickle", "dill", "marshal")
        for name in ("load", "loads", "Unpickler")
    ),
}
TORCH_LOAD = ("torch.load", "torch.serialization.load")


def full_names(nodes):
    """Map what names stand for after the imports: `np` for `numpy`, `load` for `torch.load`."""
    found = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def unsafe_names(tree):
    """C3: what runs what a file or a text says, called or handed on, under whatever name; the safe `torch.load` only
    where it is called as such."""
    nodes = list(ast.walk(tree))
    known = full_names(nodes)
    is_safe = {
        id(node.func)
        for node in nodes
        if isinstance(node, ast.Call)
        and any(keyword.arg == "weights_only" and ast.unparse(keyword.value) == "True" for keyword in node.keywords)
    }
    for node in nodes:
        if not isinstance(node, ast.Name | ast.Attribute):
            continue
        parts, first = [], node
        while isinstance(first, ast.Attribute):
            parts.append(first.attr)
            first = first.value
        name = ".".join([known.get(first.id, first.id) if isinstance(first, ast.Name) else "", *reversed(parts)])
        if name in UNSAFE or (name in TORCH_LOAD and id(node) not in is_safe):
            yield node.lineno


def unsafe_options(tree):
    """C3 again: options that let a file or a text run code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given = [keyword.value for keyword in node.keywords if keyword.arg in ("shell", "allow_pickle")]
            if any(ast.unparse(value) != "False" for value in given):
                yield node.lineno


def prints(tree):
    """Printing and ending the process are for commands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.exit", "exit", "quit"):
            yield node.lineno


def undocumented(tree):
    """Public functions, classes and methods without a docstring; a method named by its base class needs none, and an
    overload has the implementation's."""
    for owner in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
        is_base = isinstance(owner, ast.Module) or not owner.bases
        for node in owner.body:
            is_definition = isinstance(node, ast.FunctionDef | ast.ClassDef)
            is_definition &= "overload" not in map(ast.unparse, getattr(node, "decorator_list", []))
            if is_definition and is_base and not node.name.startswith("_") and not ast.get_docstring(node):
                yield node.lineno


def imports(tree, *, at_import_time=False):
    """Yield (line, dotted module) of every import; `at_import_time` leaves out those in functions and for typing."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif at_import_time and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        elif at_import_time and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo.extend(node.orelse)
        else:
            todo.extend(ast.iter_child_nodes(node))


def heavy_imports(tree):
    """What takes seconds to import and must wait until work starts."""
    return [line for line, module in imports(tree, at_import_time=True) if module.split(".")[0] in HEAVY]


def click_imports(tree):
    """Click, which Typer has inside."""
    return [line for line, module in imports(tree) if module.split(".")[0] == "click" or "typer._click" in module]


def command_imports(tree):
    """What core must not know: commands, and what they print with."""
    banned = ("sentneuron.commands", "sentneuron.cli", "typer", "rich")
    return [line for line, module in imports(tree) if any(f"{module}.".startswith(f"{name}.") for name in banned)]


@cache
def tree_of(path):
    return ast.parse(path.read_text("utf-8"))


def offences(rule, paths, *words):
    """Files and lines that break a rule; of files that have none of `words`, where some are given, no tree is made."""
    texts = {path: path.read_text("utf-8") for path in paths}
    any_word = re.compile(rf"\b({'|'.join(words)})\b" if words else "")
    looked_at = [path for path, text in texts.items() if any_word.search(text)]
    return [f"{path.relative_to(ROOT)}:{line}" for path in looked_at for line in rule(tree_of(path))]


def test_nothing_runs_what_a_file_says():
    assert offences(unsafe_names, EVERYTHING, *{name.rpartition(".")[2] for name in (*UNSAFE, *TORCH_LOAD)}) == []
    assert offences(unsafe_options, EVERYTHING, "shell", "allow_pickle") == []


def test_core_does_not_print_or_exit():
    assert offences(prints, CORE, "print", "exit", "quit") == []


def test_core_does_not_know_the_commands():
    assert offences(command_imports, CORE) == []


def test_click_is_never_imported():
    assert offences(click_imports, EVERYTHING, "_?click") == []


def test_modules_on_the_way_to_help_import_nothing_heavy():
    assert offences(heavy_imports, LIGHT) == []


def test_public_names_have_docstrings():
    assert offences(undocumented, PACKAGE) == []


def test_modules_have_a_docstring():
    trees = {str(path.relative_to(ROOT)): tree_of(path) for path in PACKAGE}
    assert [name for name, tree in trees.items() if tree.body and not ast.get_docstring(tree)] == []


def test_no_module_is_longer_than_300_lines():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in PACKAGE}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_no_modules_import_each_other_in_a_circle():
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in PACKAGE}
    graph = {}
    for name, path in names.items():
        wanted = {module for _, module in imports(tree_of(path), at_import_time=True)}
        wanted |= {module.rpartition(".")[0] for module in wanted}
        graph[name] = wanted & names.keys() - {name, "sentneuron"}
    assert any(graph.values())
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (unsafe_names, "pickle.load(file)"),
        (unsafe_names, "import pickle as p\np.loads(text)"),
        (unsafe_names, "from pickle import Unpickler as Reader\nReader(file)"),
        (unsafe_names, "class Reader(pickle.Unpickler): ..."),
        (unsafe_names, "import pandas as pd\npd.read_pickle(path)"),
        (unsafe_names, "torch.load(path)"),
        (unsafe_names, "torch.load(path, weights_only=False)"),
        (unsafe_names, "torch.load(path, weights_only=flag)"),
        (unsafe_names, "torch.load(path, **options)"),
        (unsafe_names, "import torch as t\nt.load(path)"),
        (unsafe_names, "from torch import load\nload(path)"),
        (unsafe_names, "from torch import serialization as s\ns.load(path)"),
        (unsafe_names, "load = torch.load\nload(path)"),
        (unsafe_names, "map(torch.load, paths)"),
        (unsafe_names, "eval(text)"),
        (unsafe_options, "np.load(path, allow_pickle=True)"),
        (unsafe_options, "np.load(path, allow_pickle=allow)"),
        (unsafe_options, "subprocess.run(line, shell=True)"),
        (prints, "def f():\n    print(1)"),
        (undocumented, "def f(): ..."),
        (undocumented, "class A:\n    '''A.'''\n    def f(self): ..."),
        (heavy_imports, "import torch.nn"),
        (heavy_imports, "try:\n    from pandas import DataFrame\nexcept ImportError: pass"),
        (click_imports, "from click import echo"),
        (click_imports, "import typer._click.core"),
        (command_imports, "from sentneuron.commands.console import Console"),
        (command_imports, "from sentneuron import cli"),
        (command_imports, "import rich.text"),
    ],
)
def test_a_rule_finds_what_it_forbids(rule, code):
    assert list(rule(ast.parse(code)))


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (unsafe_names, "torch.load(path, weights_only=True)\nast.literal_eval(line)\nmodel.eval()\nnp.load(path)"),
        (unsafe_names, "import torch as t\nt.load(path, weights_only=True)\nyaml.safe_load(text)\npickle.dumps(a)"),
        (heavy_imports, "def f():\n    import torch"),
        (heavy_imports, "if TYPE_CHECKING:\n    import torch"),
        (undocumented, "@overload\ndef f(a: int) -> int: ...\ndef f(a):\n    'F.'"),
        (undocumented, "def _f(): ...\nclass A(Base):\n    '''A.'''\n    def f(self): ..."),
    ],
)
def test_a_rule_lets_pass_what_it_does_not_mean(rule, code):
    assert list(rule(ast.parse(code))) == []
