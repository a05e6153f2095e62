"""Every `sentneuron` command in README.md and docs/ runs, in the order in which it is written."""

import re
import shlex
from pathlib import Path

import pytest

from sentneuron.cli import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands_of(page: Path) -> list[str]:
    """The lines of a page's shell blocks that run `sentneuron` itself; set-up lines are `.ci/run`'s."""
    lines = [line for block in SHELL.findall(page.read_text(encoding="utf-8")) for line in block.splitlines()]
    return [line for line in lines if re.match(r"(\S+ \| )?sentneuron ", line)]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_runs(page, world, monkeypatch, capsys):
    (world / "examples").symlink_to(ROOT / "examples")
    for line in commands_of(page):
        words = shlex.split(line, comments=True)
        assert words[0] == "sentneuron", f"{page.name}: {line}"
        assert main(words[1:]) == 0, f"{page.name}: {line}\n{capsys.readouterr().err}"


def test_the_readme_shows_all_five_commands():
    shown = {line.split()[1] for line in commands_of(ROOT / "README.md")}
    assert {"shard", "train", "transfer", "classify", "generate"} <= shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_picture_and_page_that_is_linked_exists(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
