"""A twin's belief as bytes that can be kept: what was frozen, behind a checksum, with what it belongs to.

Here it is decided whether a snapshot fits a twin: undamaged, of this version of the program, of this public
knowledge, of this run. How objects become data is `freeze`'s.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any, Final

import msgspec

from testbed.twin.freeze import SnapshotError

FORMAT: Final = 3
_MAGIC: Final = b"twin-belief\x00"
_CHECK_BYTES: Final = 16


class Kept(msgspec.Struct):
    """A snapshot without its checksum."""

    format: int
    #: digest of the twin's own sources: the layout of its classes
    program: str
    #: digest of the public knowledge
    knowledge: str
    #: last window that was closed
    window: int
    #: when the run began, ns on the host's monotonic clock
    start_ns: int
    data: dict[str, Any]
    #: what was known by who works with the twin
    beside: dict[str, Any] | None = None


def seal(
    data: dict[str, Any], knowledge: str, window: int, start_ns: int, beside: dict[str, Any] | None = None
) -> bytes:
    """Frozen data with what is needed to tell later whether it fits: `Kept`, behind a checksum.

    `knowledge`: digest of the twin's public knowledge (`digest_of`).
    """
    body = msgspec.msgpack.encode(Kept(FORMAT, program_digest(), knowledge, window, start_ns, data, beside))
    return _MAGIC + _check(body) + body


def unseal(snapshot: bytes, knowledge: str, start_ns: int) -> Kept:
    """What was sealed; SnapshotError when it is damaged, or of another twin or run."""
    start = len(_MAGIC) + _CHECK_BYTES
    if not snapshot.startswith(_MAGIC) or len(snapshot) <= start:
        raise SnapshotError("this is no snapshot of a twin's belief")
    checksum, content = snapshot[len(_MAGIC) : start], snapshot[start:]
    if _check(content) != checksum:
        raise SnapshotError("the snapshot is damaged: its checksum does not fit")
    try:
        body = msgspec.msgpack.decode(content, type=Kept)
    except msgspec.DecodeError as error:
        raise SnapshotError(f"the snapshot has another layout: {error}") from None
    if body.format != FORMAT:
        raise SnapshotError(f"the snapshot has format {body.format}, only {FORMAT} can be read")
    if body.program != program_digest():
        raise SnapshotError("the snapshot was made by another version of the twin")
    if body.knowledge != knowledge:
        raise SnapshotError("the snapshot belongs to another network or other settings")
    if body.start_ns != start_ns:
        raise SnapshotError("the snapshot belongs to another run")
    return body


def _check(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:_CHECK_BYTES]


def digest_of(knowledge: object) -> str:
    """Digest of public knowledge: equal when every published value is."""
    plain = msgspec.to_builtins(knowledge, enc_hook=lambda thing: type(thing).__qualname__, str_keys=True)
    return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()


@functools.cache
def program_digest() -> str:
    """Digest of the twin's sources."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for source in (*sorted(folder.rglob("*.py")), folder.parents[1] / "nodes" / "wire.py"):
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()
