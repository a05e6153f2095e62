"""Lines of a byte stream with numbers and offsets, each of bounded length; and other encodings turned into UTF-8."""

import codecs
import io
from collections.abc import Iterator
from typing import Any, NamedTuple

from sentneuron.core.data.compression import BLOCK_BYTES, Replayed
from sentneuron.core.data.records import Place
from sentneuron.core.errors import UsageError

MAX_LINE_BYTES = 16 << 20
TOO_LONG = "longer than 16 MB"


class Line(NamedTuple):
    """One line."""

    content: bytes
    """Without its end; empty where it is too long."""
    end: bytes
    """LF, CR LF, or nothing at the end of a file."""
    number: int
    offset: int
    is_too_long: bool


class ByteLines:
    """The text of one file as UTF-8 bytes, from `first_offset` on; iterating gives its lines.

    `path` is where others can read the same bytes at the same offsets, None where they cannot.
    """

    def __init__(
        self,
        stream: io.BufferedReader,
        name: str,
        *,
        first_offset: int = 0,
        has_offsets: bool = True,
        path: str | None = None,
    ) -> None:
        self.stream = stream
        self.name = name
        self.path = path
        self.first_offset = first_offset
        self.has_offsets = has_offsets

    def ahead(self, num_lines: int, num_bytes: int) -> "ByteLines":
        """Return the first lines, up to about `num_bytes`; they are read again by whoever reads these lines."""
        head = bytearray()
        for _ in range(num_lines):
            head += self.stream.readline(num_bytes - len(head))
        data = bytes(head)
        self.stream = io.BufferedReader(Replayed(data, self.stream), BLOCK_BYTES)
        return ByteLines(
            io.BufferedReader(io.BytesIO(data)), self.name, first_offset=self.first_offset, has_offsets=self.has_offsets
        )

    def place(self, number: int, offset: int | None) -> Place:
        """Return the place of a record that starts there."""
        return Place(self.name, number, offset if self.has_offsets else None)

    def __iter__(self) -> Iterator[Line]:
        offset = self.first_offset
        number = 0
        readline = self.stream.readline
        while content := readline(MAX_LINE_BYTES):
            number += 1
            length = len(content)
            is_too_long = False
            if not content.endswith(b"\n") and length == MAX_LINE_BYTES:
                while rest := readline(1 << 20):
                    is_too_long = is_too_long or rest != b"\n"
                    length += len(rest)
                    if rest.endswith(b"\n"):
                        break
            if is_too_long:
                content = b"\n"
            end = b"\r\n" if content.endswith(b"\r\n") else content[-1:] if content.endswith(b"\n") else b""
            yield Line(content.removesuffix(end), end, number, offset, is_too_long)
            offset += length


class Transcoded(io.RawIOBase):
    """A stream in another encoding as UTF-8; what cannot be decoded becomes the byte 0xFF, which UTF-8 never has.

    So a line with such bytes is found where every line is checked, and counted like one of a UTF-8 file.
    """

    def __init__(self, stream: io.BufferedReader, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="sentneuron.mark")
        self._ready = b""
        self._is_at_end = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._is_at_end:
            block = self._stream.read1(1 << 16)
            self._is_at_end = not block
            text = self._decoder.decode(block, final=self._is_at_end)
            self._ready = text.encode("utf-8", errors="surrogateescape")
        piece = self._ready[: len(buffer)]
        self._ready = self._ready[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)


def mark_undecodable(error: UnicodeError) -> tuple[str, int]:
    """Decode what cannot be decoded as a lone surrogate that `surrogateescape` writes as the byte 0xFF."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


codecs.register_error("sentneuron.mark", mark_undecodable)


def is_utf8(encoding: str) -> bool:
    """Say whether an encoding's name means UTF-8, with or without BOM.

    Raises:
        UsageError: there is no such encoding of text.
    """
    try:
        name = codecs.lookup(encoding).name
        # Decoding nothing finds no fault with codecs that are none of text, such as base64.
        b"x".decode(encoding, errors="replace")
    except (LookupError, ValueError):
        raise UsageError(
            f"--encoding {encoding} is unknown", hint="give a name such as utf-8, latin-1, cp1252 or utf-16"
        ) from None
    return name in ("utf-8", "utf-8-sig", "ascii")
