"""Attenuation tables on disk, so that the ITU-R maps are asked once for a path, not in every run.

One small file a path in the user's cache directory, named by what the path is. Files are replaced in one
step and carry a digest: what another process writes at the same time, or a damaged file, costs a new
look-up at most. Files of another release of the itur package are not read where there is one to ask
instead. A directory that cannot be written, or a user without one, only costs time in the next run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulator.cache import user_directory

#: changes with what a table holds or how it is computed
_VERSION = "2"
#: files kept, some 8 kB each; the oldest go first
_BOUND = 2000
_DIGEST_BYTES = 16


def directory() -> Path:
    """Where the tables are kept."""
    return user_directory() / f"attenuation-{_VERSION}"


def load(key: str, length: int) -> NDArray[np.float64] | None:
    """The numbers kept under this name, None where there are not `length` of them as they were written."""
    try:
        content = _file(key).read_bytes()
    except (OSError, RuntimeError):  # the latter: of a user whose home is not known
        return None
    digest, models = content[:_DIGEST_BYTES], content[_DIGEST_BYTES : 2 * _DIGEST_BYTES]
    numbers = content[2 * _DIGEST_BYTES :]
    if len(numbers) != 8 * length or digest != _digest(key, models, numbers):
        return None
    if models != (_models() or models):
        return None
    return np.frombuffer(numbers, dtype="<f8").astype(np.float64)


def save(found: dict[str, NDArray[np.float64]]) -> None:
    """Keep numbers by name; at most `_BOUND` files stay."""
    models = _models() or bytes(_DIGEST_BYTES)
    with contextlib.suppress(OSError, RuntimeError):
        directory().mkdir(parents=True, exist_ok=True)
        for key, values in found.items():
            numbers = values.astype("<f8").tobytes()
            file = _file(key)
            temporary = file.with_suffix(f".{os.getpid()}")
            try:
                temporary.write_bytes(_digest(key, models, numbers) + models + numbers)
                temporary.replace(file)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
        files = [(entry.stat().st_mtime_ns, entry.path) for entry in os.scandir(directory())]
        for _, old in sorted(files)[:-_BOUND]:
            Path(old).unlink(missing_ok=True)


def _file(key: str) -> Path:
    return directory() / hashlib.blake2b(key.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _digest(key: str, models: bytes, numbers: bytes) -> bytes:
    return hashlib.blake2b(key.encode() + b"\0" + models + numbers, digest_size=_DIGEST_BYTES).digest()


@cache
def _models() -> bytes | None:
    """Which release of the itur package is there, as a digest; None without one."""
    try:
        return hashlib.blake2b(version("itur").encode(), digest_size=_DIGEST_BYTES).digest()
    except PackageNotFoundError:
        return None
