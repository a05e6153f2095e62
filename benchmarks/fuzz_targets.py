"""What `fuzz.py` does with made-up input: one function a target, each of which draws a case and keeps a promise."""

import contextlib
import copy
import gzip
import io
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import typer

from sentneuron.cli import app, main
from sentneuron.core.config import InputFormat, ReadConfig, ShardConfig
from sentneuron.core.data.manifest import checksum, parse_manifest
from sentneuron.core.data.readers import BadRow, open_source
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import UsageError
from sentneuron.core.training.resume import RunState, load_run, save_run

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


def models(draw: random.Random) -> None:
    """Damage a resume file, or put another value into a sound one: what is loaded is what was written, or refused."""
    path = Path("model.resume.pt")
    run = RunState(
        identity={"num_streams": 2, "nhid": 3},
        hidden=[(torch.ones(2, 3), torch.zeros(2, 3))],
        model={"bias": torch.arange(3.0)},
        optimizer={"num_updates": 1, "moments": {"step": torch.ones(())}},
    )
    if draw.random() < 0.5:
        name = draw.choice(list(vars(run)))
        setattr(run, name, draw.choice([None, -1, 1 << 70, 1.5, "", [], {}, True, [()], {"num_streams": 0}, {1: 2}]))
    save_run(path, run)
    if draw.random() < 0.7:
        data = bytearray(path.read_bytes())
        place = draw.randrange(len(data))
        if draw.random() < 0.7:
            data[place] ^= 1 << draw.randrange(8)
        else:
            data[place:] = draw.randbytes(draw.choice([0, 1, 100]))
        path.write_bytes(data)
    loaded = load_run(path)
    for name, value in vars(run).items():
        assert repr(getattr(loaded, name)) == repr(value), f"{name} is another"


def refuse(*arguments: Any, **options: Any) -> None:
    """Stand in for an engine."""
    raise UsageError("an engine was reached")


TARGETS: dict[str, Callable[[random.Random], None]] = {
    "lines": lines,
    "files": files,
    "cleaner": cleaner,
    "manifests": manifests,
    "models": models,
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
"""What a target replaces by `refuse`."""
