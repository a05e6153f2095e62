"""Throw damaged and made-up input at the readers for a while, and say what was tried and what was found.

    python benchmarks/fuzz.py [--seconds 120] [--seed 1] [--target lines]

Every case comes from `TARGET/SEED/NUMBER` alone, which is printed for each finding: `--only TARGET/SEED/NUMBER` runs
one again. A finding is anything but our own errors, a case that takes over ten seconds, or a broken promise of the
target. No engine runs: models are not opened, nothing is trained.
"""

import argparse
import contextlib
import copy
import gzip
import io
import json
import os
import pkgutil
import random
import re
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import typer

from sentneuron.cli import app, main
from sentneuron.core.config import InputFormat, ReadConfig, ShardConfig
from sentneuron.core.data.manifest import checksum, parse_manifest
from sentneuron.core.data.readers import BadRow, open_source
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import SentneuronError, UsageError

CASE_SECONDS = 10
PIECES = [
    "<br />",
    "&amp;lt;",
    "&#0;",
    "&#xD800;",
    "\ud800",
    "\u202e",
    "é",
    "中",
    "👨‍👩‍👧",
    "\x00",
    "\x1b[31m",
    "\r",
    "\n",
    " ",
    "<",
    ">",
]
BYTES = [
    b'{"text": "a", "label": 1}',
    b"\n",
    b"\r\n",
    b'"',
    b"\\u",
    b"[",
    b"{",
    b"}",
    b",",
    b"\xff",
    b"\x00",
    b"NaN",
    b"9" * 50,
]
OPENED = (b'"text"', b"'text'", b"text,label\n", b"[" * 2000, b"{" * 2000, b"\xef\xbb\xbf", b"PAR1", b"\x1f\x8b\x08")
VALUES = [
    "",
    "0",
    "-1",
    "nan",
    "inf",
    "1e400",
    "9" * 4301,
    "9" * 4000,
    ".",
    "..",
    "/",
    "-",
    "--",
    "a=b",
    "²",
    "\udcff",
    "in",
    "*",
    "[x",
]


def lines(draw: random.Random) -> None:
    """Shard a file of records and rubbish: every line is a document or a reject."""
    content = b"".join(
        draw.choice((*BYTES, *OPENED, draw.randbytes(draw.randint(0, 9)))) for _ in range(draw.randint(1, 60))
    )
    Path("in").write_bytes(content)
    form: InputFormat | None = draw.choice([None, "ndjson", "text", "csv", "tsv", "json", "python"])
    config = ShardConfig(
        inputs=("in",),
        output="out",
        shards=1,
        split=(1,),
        workers=1,
        max_bad=1.0,
        force=True,
        read=ReadConfig(format=form),
    )
    report = write_shards(config)
    assert report.num_read == report.num_kept + sum(report.skipped.values()), "records were lost"


def good_file(draw: random.Random) -> bytes:
    """Return a file that can be read, of some format."""
    rows = [{"text": f"text {number} é", "label": number % 3} for number in range(draw.randint(1, 50))]
    kind = draw.randrange(4)
    if kind == 0:
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), sink, write_page_checksum=draw.random() < 0.5)
        return sink.getvalue()
    text = (
        "\n".join(map(json.dumps, rows)) if kind < 3 else "text,label\n" + "".join(f'"{r["text"]}",1\n' for r in rows)
    )
    return gzip.compress(text.encode()) if kind == 2 else text.encode()


def files(draw: random.Random) -> None:
    """Flip bits in, cut, or repeat parts of a good file, and read it to its end."""
    data = bytearray(good_file(draw))
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(data) + 1)
        change = draw.randrange(4)
        if change == 0 and data:
            data[place % len(data)] ^= 1 << draw.randrange(8)
        elif change == 1:
            del data[place:]
        elif change == 2:
            data[place:place] = draw.randbytes(draw.randint(1, 20))
        else:
            data[place:place] = data[place : place + draw.randint(1, 200)]
    Path("in").write_bytes(data)
    with open_source("in", ReadConfig()) as source:
        assert all(isinstance(row.reason, str) for row in source.rows() if isinstance(row, BadRow))


def cleaner(draw: random.Random) -> None:
    """Clean a text: bytes of the rule's kind, with an index for each character, the same one by one and together."""
    rule = TextRule(keep_unicode=draw.random() < 0.5)
    text = "".join(draw.choice((*PIECES, chr(draw.randrange(0x110000)), "word ")) for _ in range(draw.randint(0, 80)))
    data, offsets = rule.clean_with_offsets(text)
    assert data == rule.clean_all([text])[0], "one and many differ"
    assert len(offsets) == len(text), "an offset is missing"
    assert offsets == sorted(offsets), "offsets are out of order"
    assert data[:2] + data[-1:] == b"\n  ", "no padding"
    assert b"\n" not in data[1:], "a line break"
    assert rule.keep_unicode or data.isascii(), "not ASCII"
    data.decode()


def manifests(draw: random.Random) -> None:
    """Put something else into a manifest whose checksum is right."""
    values = copy.deepcopy(MANIFEST)
    inside: Any = values
    while True:
        key = draw.choice(list(inside) if isinstance(inside, dict) else range(len(inside)))
        if not (isinstance(inside[key], dict | list) and inside[key]) or draw.random() < 0.3:
            break
        inside = inside[key]
    inside[key] = draw.choice(
        [None, -1, 0, 1 << 63, 10**300, 1.5, "", "../x", [], {}, [None], True, "train/00000.parquet"]
    )
    values["checksum"] = checksum(values)
    parse_manifest(json.dumps(values).encode(), "manifest.json")


MANIFEST: dict[str, Any] = {
    "format": "sentneuron-shards",
    "version": 2,
    "text": TextRule().to_dict(),
    "settings": {"shards": 1},
    "files": [
        {
            "path": "train/00000.parquet",
            **{"documents": 3, "bytes": 9, "file_bytes": 99, "sha256": "00"},
            **{"row_group_bytes": [4, 5], "row_group_documents": [1, 2], "row_group_checksums": ["a", "b"]},
        }
    ],
}


def words(draw: random.Random) -> None:
    """Run any words as a command line, with engines that refuse: one line, and never the code of a bug."""
    name = draw.choice(["shard", "train", "transfer", "classify", "generate", "trian"])
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # the group's
    options = [option for param in commands[name].params for option in param.opts] if name in commands else ["-x"]
    given = [name]
    for _ in range(draw.randint(0, 6)):
        given += draw.choice(
            [[draw.choice(options)], [draw.choice(VALUES)], [draw.choice(options), draw.choice(VALUES)]]
        )
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(given)
    text = err.getvalue().replace("9" * 99, "")
    assert code != 1, f"{given}: {text}"
    assert len(re.findall("^error: ", text, re.MULTILINE)) == (code != 0), f"{given}: {text}"
    assert "\x1b" not in text, f"{given}: a control character"


def refuse(*arguments: Any, **options: Any) -> None:
    """Stand in for an engine."""
    raise UsageError("an engine was reached")


TARGETS: dict[str, Callable[[random.Random], None]] = {
    "lines": lines,
    "files": files,
    "cleaner": cleaner,
    "manifests": manifests,
    "words": words,
}
ENGINES = {
    "words": (
        "sentneuron.core.data.sharding.write_shards",
        "sentneuron.core.training.loop.train",
        "sentneuron.core.transfer.transfer.transfer",
        "sentneuron.core.transfer.classify.classify",
        "sentneuron.core.model.checkpoint.load_model",
        "sentneuron.core.launch.launcher.launch",
    )
}


def run_case(case: str) -> str | None:
    """Run `TARGET/SEED/NUMBER`; return what was found, None where all is well."""

    def too_slow(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"over {CASE_SECONDS} s")

    target = case.partition("/")[0]
    signal.signal(signal.SIGALRM, too_slow)
    signal.alarm(CASE_SECONDS)
    try:
        with contextlib.ExitStack() as stack:
            for name in ENGINES.get(target, ()):
                stack.enter_context(mock.patch(name, refuse))
            TARGETS[target](random.Random(case))
    except SentneuronError:
        pass
    except Exception:
        return traceback.format_exc(limit=-4)
    finally:
        signal.alarm(0)
    return None


def command_line() -> argparse.Namespace:
    """Read this script's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=TARGETS)
    parser.add_argument("--only", metavar="TARGET/SEED/NUMBER")
    return parser.parse_args()


def fuzz(targets: list[str], *, seconds: float, seed: int) -> tuple[Counter[str], dict[str, str]]:
    """Give each target its share of the time; return the cases tried, and one case for each different finding."""
    for name in {name for target in targets for name in ENGINES.get(target, ())}:
        pkgutil.resolve_name(name)  # importing torch takes longer than a case may
    tried: Counter[str] = Counter()
    found: dict[str, str] = {}
    for target in targets:
        end = time.monotonic() + seconds / len(targets)
        while time.monotonic() < end:
            case = f"{target}/{seed}/{tried[target]}"
            finding = run_case(case)
            tried[target] += 1
            if finding is not None and finding not in found.values():
                found[case] = finding
    return tried, found


if __name__ == "__main__":
    asked = command_line()
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        if asked.only:
            print(run_case(asked.only) or "nothing found")
            sys.exit()
        tried, found = fuzz([asked.target] if asked.target else list(TARGETS), seconds=asked.seconds, seed=asked.seed)
        os.chdir(here)
    for case, finding in found.items():
        print(f"{case}:\n{finding}")
    for target, number in tried.items():
        num_found = sum(case.startswith(target) for case in found)
        print(f"{target}: {number:,} cases, seed {asked.seed}, {num_found} different findings")
    sys.exit(bool(found))
