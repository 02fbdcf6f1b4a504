"""A file of a measurement as bytes: plain or gzip, its beginning, blocks of whole lines.

What the bytes mean is for the readers of the formats. Nothing here holds more than a block.
"""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from testbed.errors import BadInput

_GZIP: Final = b"\x1f\x8b"
#: of other compressions and archives, with their names
_PACKED: Final = {
    b"PK\x03\x04": "zip",
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf": "7z",
}
#: bytes that are looked at to tell the format
HEAD: Final = 1 << 16
#: bytes of a block of lines: large enough for whole arrays to pay, small beside what is read
BLOCK: Final = 1 << 22
_LONGEST_LINE: Final = 1 << 20


class Source:
    """One file, plain or gzip. Raises `BadInput` when it cannot be read, is empty, or is packed otherwise."""

    def __init__(self, path: Path, name: str = "") -> None:
        self.path = path
        #: as the user gave it
        self.name = name or str(path)
        try:
            mode = path.stat().st_mode
            if not stat.S_ISREG(mode):
                what = "is a folder, name a file in it" if stat.S_ISDIR(mode) else "is not an ordinary file"
                raise BadInput(f"{self.name}: {what}")
            with path.open("rb") as file:
                start = file.read(8)
        except OSError as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else _why(error)
            raise BadInput(f"{self.name}: {reason}") from None
        if not start:
            raise BadInput(f"{self.name}: is empty")
        for magic, packing in _PACKED.items():
            if start.startswith(magic):
                raise BadInput(
                    f"{self.name}: is packed with {packing}, allowed: files that are plain or gzip"
                )
        self.packed = start.startswith(_GZIP)
        self.head = self._first()
        if not self.head.strip(b"\xef\xbb\xbf \t\r\n"):
            raise BadInput(f"{self.name}: is empty")

    def open(self) -> IO[bytes]:
        """The bytes, unpacked; reading them may raise what `broken` puts into a sentence."""
        return gzip.open(self.path, "rb") if self.packed else self.path.open("rb")  # type: ignore[return-value]

    def chunks(self, size: int = BLOCK) -> Iterator[bytes]:
        """The bytes in pieces of `size`, the last one shorter. Raises `BadInput` where gzip breaks off."""
        try:
            with self.open() as file:
                while piece := file.read(size):
                    yield piece
        except (OSError, EOFError, zlib.error) as error:
            raise self.broken(error) from None

    def blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        """The bytes in blocks of whole lines; only the last may end without a line's end.

        Raises `BadInput` for a line of more than a mebibyte.
        """
        rest = b""
        for chunk in self.chunks(size):
            end = chunk.rfind(b"\n") + 1
            if not end:
                rest += chunk
                if len(rest) > _LONGEST_LINE:
                    raise BadInput(f"{self.name}: has a line of more than {_LONGEST_LINE} bytes, so no text")
                continue
            yield rest + chunk[:end]
            rest = chunk[end:]
        if rest:
            yield rest

    def broken(self, error: Exception) -> BadInput:
        """What went wrong while the bytes were read, as a sentence."""
        if self.packed and isinstance(error, EOFError):
            return BadInput(f"{self.name}: is a gzip file that breaks off; its end is missing")
        if self.packed and isinstance(error, gzip.BadGzipFile | zlib.error):
            return BadInput(f"{self.name}: is a damaged gzip file ({error})")
        return BadInput(f"{self.name}: {_why(error)}")

    def _first(self) -> bytes:
        return next(self.chunks(HEAD), b"")


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return f"cannot be read ({os.strerror(error.errno)})"
    return f"cannot be read ({error})"
