"""Every `sentneuron` command in README.md and docs/ runs, in the order in which it is written, and so does Python.

Those of docs/cluster.md need more machines than a test has: there every line is read by what would run it.
"""

import re
import runpy
import shlex
from pathlib import Path

import pytest
from torch.distributed.run import get_args_parser

from sentneuron.cli import main
from sentneuron.core.launch.plan import make_plan

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CLUSTER = ROOT / "docs/cluster.md"
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)


def lines_of(page: Path) -> list[str]:
    """The lines of a page's shell blocks."""
    return [line for block in SHELL.findall(page.read_text(encoding="utf-8")) for line in block.splitlines()]


def commands_of(page: Path) -> list[str]:
    """Those that run `sentneuron` itself; set-up lines are `.ci/run`'s."""
    return [line for line in lines_of(page) if re.match(r"(\S+ \| )?sentneuron ", line)]


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page != CLUSTER], ids=lambda page: page.name)
def test_every_command_of_a_page_runs(page, world, monkeypatch, capsys):
    (world / "examples").symlink_to(ROOT / "examples")
    for line in commands_of(page):
        words = shlex.split(line, comments=True)
        assert words[0] == "sentneuron", f"{page.name}: {line}"
        assert main(words[1:]) == 0, f"{page.name}: {line}\n{capsys.readouterr().err}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if PYTHON.search(page.read_text("utf-8"))], ids=lambda page: page.name
)
def test_every_python_block_of_a_page_prints_what_stands_below_it(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    blocks = PYTHON.findall(page.read_text(encoding="utf-8"))
    mark = "-" * 20
    script = tmp_path / "page.py"
    script.write_text("".join(f"{code}\nprint({mark!r})\n" for code, _ in blocks), encoding="utf-8")
    runpy.run_path(str(script))
    assert capsys.readouterr().out.split(f"{mark}\n") == [*(output for _, output in blocks), ""]


@pytest.mark.parametrize("line", lines_of(CLUSTER))
def test_every_command_for_a_cluster_is_understood(line, settings_of):
    program, *words = shlex.split(line, comments=True)
    if program == "torchrun":
        asked = get_args_parser().parse_args(words)
        assert (asked.module, asked.training_script) == (True, "sentneuron")
        settings_of(asked.training_script_args)
    elif program == "srun":
        settings_of(words[words.index("sentneuron") + 1 :])
    elif program == "sentneuron":
        settings = settings_of(words)
        assert make_plan(settings.launch, device=settings.device, environ={}, count=lambda: 8)
    else:  # nothing but a program of the cluster's and a file of ours, which tests/test_cluster_files.py reads
        assert program in ("sbatch", "kubectl")
        assert [word for word in words if (ROOT / word).is_file()]


def test_print_launch_prints_the_line_that_stands_below_it(monkeypatch, capsys):
    lines = lines_of(CLUSTER)
    [number] = [number for number, line in enumerate(lines) if line.endswith("--print-launch")]
    monkeypatch.setattr("torch.cuda.device_count", lambda: 8)
    assert main(shlex.split(lines[number])[1:]) == 0
    assert capsys.readouterr().out.splitlines() == [lines[number + 1]]


def test_the_slurm_example_runs_the_line_of_the_page():
    [line] = [line for line in lines_of(CLUSTER) if line.startswith("srun ") and "--gpus" not in line]
    assert line.replace("reviews.shards", '"${@:-reviews.shards}"') in (ROOT / "examples/slurm.sh").read_text()


def test_the_readme_shows_all_five_commands():
    shown = {line.split()[1] for line in commands_of(ROOT / "README.md")}
    assert {"shard", "train", "transfer", "classify", "generate"} <= shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_picture_and_page_that_is_linked_exists(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
