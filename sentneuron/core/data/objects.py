"""Records of NDJSON, JSON arrays, Python-dict lines and plain text."""

import ast
import codecs
import json
import warnings
from collections.abc import Callable, Iterator

import msgspec

from sentneuron.core.data.lines import MAX_LINE_BYTES, TOO_LONG, ByteLines
from sentneuron.core.data.records import BLANK, NOT_UTF8, BadRow, Row
from sentneuron.core.errors import DataError

ARRAY_BLOCK_BYTES = 1 << 20


class RefusedError(Exception):
    """A record that cannot be read; `reason` is fit for counting."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_text(lines: ByteLines) -> Iterator[Row | BadRow]:
    """Yield each line as the field `text`."""
    return _read_lines(lines, lambda line: {"text": parse_text(line)})


def read_ndjson(lines: ByteLines) -> Iterator[Row | BadRow]:
    """Yield each line's JSON object."""
    return _read_lines(lines, parse_json)


def read_python(lines: ByteLines) -> Iterator[Row | BadRow]:
    """Yield each line's Python dict; literals only, nothing is run."""
    return _read_lines(lines, parse_python)


def parse_text(line: bytes) -> str:
    """Return a line of text.

    Raises:
        RefusedError: it is blank, or not UTF-8.
    """
    if not line.strip():
        raise RefusedError(BLANK)
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise RefusedError(NOT_UTF8) from None


def parse_json(line: bytes) -> dict[str, object]:
    """Parse a line's JSON object.

    What msgspec refuses (NaN, lone surrogates) gets a second chance with the standard library.

    Raises:
        RefusedError: it is none.
    """
    try:
        value = msgspec.json.decode(line)
    except Exception:
        # Not ValueError alone: deep nesting is a RecursionError.
        return parse_json_slowly(line)
    return _as_object(value)


def parse_json_slowly(line: bytes) -> dict[str, object]:
    """Parse a line's JSON object with the standard library.

    Raises:
        RefusedError: it is none.
    """
    return _parse_object(line, json.loads, "not JSON")


def parse_python(line: bytes) -> dict[str, object]:
    """Parse a line's Python dict.

    Raises:
        RefusedError: it is none.
    """
    with warnings.catch_warnings():
        # "\d" in a review is a SyntaxWarning.
        warnings.simplefilter("ignore")
        return _parse_object(line, ast.literal_eval, "not a Python literal")


def _parse_object(line: bytes, parse: Callable[[str], object], refusal: str) -> dict[str, object]:
    try:
        value = parse(line.decode().strip())
    except UnicodeDecodeError:
        raise RefusedError(NOT_UTF8) from None
    except Exception:
        # Whatever one line raises, RecursionError and MemoryError too, the next one is read.
        raise RefusedError(refusal if line.strip() else BLANK) from None
    return _as_object(value)


def _as_object(value: object) -> dict[str, object]:
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return value
    raise RefusedError("not an object")


def _read_lines(lines: ByteLines, parse: Callable[[bytes], dict[str, object]]) -> Iterator[Row | BadRow]:
    for line in lines:
        place = lines.place(line.number, line.offset)
        if line.is_too_long:
            yield BadRow(TOO_LONG, place)
            continue
        try:
            yield Row(parse(line.content), place)
        except RefusedError as refused:
            yield BadRow(refused.reason, place)


def read_json_array(lines: ByteLines) -> Iterator[Row | BadRow]:
    """Yield the objects of one JSON array, without holding more than one of them and a block.

    Raises:
        DataError: the array is broken or cut; what stands after a break cannot be told apart.
    """
    array = _ArrayText(lines)
    array.skip_space()
    array.take("[")
    array.skip_space()
    if array.peek() == "]":
        return
    while True:
        yield array.element()
        array.skip_space()
        separator = array.take(",]")
        if separator == "]":
            return
        array.skip_space()


class _ArrayText:
    """The text of a JSON array around the position reached; grows at its end and is cut at its beginning."""

    def __init__(self, lines: ByteLines) -> None:
        self._lines = lines
        # Bytes that are no UTF-8 survive as lone surrogates and spoil only their own element.
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
        self._decoder = json.JSONDecoder()
        self._buffer = ""
        self._position = 0
        self._line = 1
        self._offset = lines.first_offset
        self._is_at_end = False

    def element(self) -> Row | BadRow:
        """Take one value."""
        place = self._lines.place(self._line, self._offset)
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._position)
                is_whole = end < len(self._buffer) or self._is_at_end
            except json.JSONDecodeError as error:
                # Cut in the middle of a string, a number or an escape: the next block decides.
                may_be_cut = "Unterminated" in error.msg or error.pos >= len(self._buffer) - 12
                if self._is_at_end or not may_be_cut:
                    raise self._broken() from error
                is_whole = False
            except (ValueError, RecursionError) as error:
                raise self._broken() from error
            if is_whole:
                break
            if len(self._buffer) - self._position > MAX_LINE_BYTES:
                raise self._broken()
            self._grow()
        is_utf8 = self._advance(end)
        if not is_utf8:
            return BadRow(NOT_UTF8, place)
        return Row(value, place) if isinstance(value, dict) else BadRow("not an object", place)

    def skip_space(self) -> None:
        """Go to the next character that is not white space."""
        while True:
            rest = self._buffer[self._position : self._position + 4096]
            length = len(rest) - len(rest.lstrip(" \t\r\n"))
            self._advance(self._position + length)
            if length < len(rest) or not (rest or self._grow()):
                return

    def peek(self) -> str:
        """Return the next character, "" at the end."""
        return self._buffer[self._position : self._position + 1]

    def take(self, expected: str) -> str:
        """Take one character, which must be one of `expected`."""
        character = self.peek()
        if not character or character not in expected:
            raise self._broken()
        self._advance(self._position + 1)
        return character

    def _advance(self, end: int) -> bool:
        """Move to `end`; say whether what was passed is UTF-8."""
        passed = self._buffer[self._position : end]
        self._position = end
        self._line += passed.count("\n")
        self._offset += len(passed.encode("utf-8", errors="surrogateescape"))
        return passed.isascii() or not any("\udc80" <= character <= "\udcff" for character in passed)

    def _grow(self) -> bool:
        # About as much again as there is, so that a long element is not tried at every block.
        pending = len(self._buffer) - self._position
        block = self._lines.stream.read(min(max(ARRAY_BLOCK_BYTES, pending), 8 << 20))
        self._is_at_end = not block
        self._buffer = self._buffer[self._position :] + self._utf8.decode(block, final=self._is_at_end)
        self._position = 0
        return bool(block)

    def _broken(self) -> DataError:
        what = "the JSON array ends too early" if self._is_at_end and not self.peek() else "the JSON array is broken"
        return DataError(f"{self._lines.name}:{self._line}: {what}", hint="repair it, or give one object a line")
