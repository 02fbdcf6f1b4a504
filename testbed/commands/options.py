"""Options that several commands share, and what they write."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from pathlib import Path
from typing import Annotated

import typer

from testbed.errors import BadInput


def _writable(option: str, path: Path | None, folder: bool = False) -> Path | None:
    """Refuse a file or folder that cannot be written before the work is done, not after it.

    Whatever is made to try it is removed again.
    """
    if path is None:
        return None
    tried = path / f".testbed-{os.getpid()}" if folder else path
    missing = list(itertools.takewhile(lambda one: not one.exists(), tried.parents))
    new = not tried.exists()
    try:
        tried.parent.mkdir(parents=True, exist_ok=True)
        tried.open("ab").close()
        if new:
            tried.unlink()
    except OSError as error:
        reason = "there is a file of that name" if isinstance(error, FileExistsError) else error.strerror
        raise BadInput(f"{option} {path}: cannot be written ({reason})") from None
    finally:
        for made in missing:
            with contextlib.suppress(OSError):
                made.rmdir()
    return path


def writable_file(parameter: typer.CallbackParam, path: Path | None) -> Path | None:
    return _writable(parameter.opts[0], path)


def writable_folder(parameter: typer.CallbackParam, path: Path | None) -> Path | None:
    return _writable(parameter.opts[0], path, folder=True)


def readable_file(parameter: typer.CallbackParam, path: Path | None) -> Path | None:
    """Refuse a file that cannot be read before the work is begun that needs it last."""
    if path is not None:
        try:
            path.open("rb").close()
        except OSError as error:
            raise BadInput(f"{parameter.opts[0]} {path}: cannot be read ({error.strerror})") from None
    return path


JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="Also write what is printed, as JSON.",
        callback=writable_file,
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a key: run.duration_s=20, deviations=[]"),
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, such as runs/laptop-...")]


def write_json(path: Path | None, content: object) -> None:
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--json {path}: cannot be written ({error.strerror})") from None
