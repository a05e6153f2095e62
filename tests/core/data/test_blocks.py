"""Blocks by reference: the same lines as blocks that carry them, or a clear end."""

import gzip

import pytest

from sentneuron.core.config import ReadConfig
from sentneuron.core.data import blocks
from sentneuron.core.data.blocks import FilePart, SourceColumns, cut_blocks
from sentneuron.core.data.lines import MAX_LINE_BYTES
from sentneuron.core.data.readers import open_source
from sentneuron.core.errors import StorageError

TAKEN = SourceColumns(source="in", text_key="text", label_keys=[], choice="")
LINES = b"".join(b'{"text": "line %d"}\n' % number for number in range(100)) + b'{"text": "the end"}'


@pytest.fixture
def cut(tmp_path, monkeypatch):
    """Cut bytes in a file into small blocks, by reference or not."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 256)

    def cut_bytes(content, *, by_reference, **options):
        (tmp_path / "in").write_bytes(content)
        with open_source(str(tmp_path / "in"), ReadConfig(**options)) as source:
            return list(cut_blocks(source, TAKEN, by_reference=by_reference))

    return cut_bytes


@pytest.mark.parametrize("head", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_a_plain_file_is_cut_into_parts_that_others_can_read(cut, head):
    parts, whole = (cut(head + LINES, by_reference=by_reference) for by_reference in (True, False))
    assert len(parts) > 5
    assert all(isinstance(part.data, FilePart) for part in parts)
    assert all(isinstance(block.data, bytes) for block in whole)
    assert b"".join(part.content for part in parts) == LINES
    for part, block in zip(parts, whole, strict=True):
        assert (part.content, part.first_line, part.first_offset) == (
            block.content,
            block.first_line,
            block.first_offset,
        )


def test_what_is_not_on_disk_as_it_is_read_travels_with_the_block(cut):
    for content, options in ((gzip.compress(LINES), {}), (LINES.decode().encode("utf-16"), {"encoding": "utf-16"})):
        cut_up = cut(content, by_reference=True, **options)
        assert all(isinstance(block.data, bytes) for block in cut_up)
        assert b"".join(block.content for block in cut_up) == LINES


def test_a_line_longer_than_any_travels_without_its_content(cut):
    *_, last = cut(LINES + b"\n" + b"x" * (MAX_LINE_BYTES + 2), by_reference=True)
    assert last.ends_too_long
    assert last.content.endswith(b"\n")


def test_a_file_that_became_shorter_or_went_away_ends_in_one_line(cut, tmp_path):
    *_, last = cut(LINES, by_reference=True)
    (tmp_path / "in").write_bytes(LINES[:-1])
    with pytest.raises(StorageError, match="became shorter while it was read"):
        _ = last.content
    (tmp_path / "in").unlink()
    with pytest.raises(StorageError, match=r"cannot read .*in: No such file"):
        _ = last.content
