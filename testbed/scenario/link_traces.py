"""Recordings that link models replay: from files into the scenario, and from there to series.

A run's folder needs no other file: the columns of a recording that are used go packed into the scenario, and
are read again from it. How a text is read is `emulator.links.series`.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from testbed.scenario.link_models import DelayTrace, LossTrace, Mahimahi, ModelTable, RateTrace
from testbed.scenario.messages import Origin, ScenarioError

if TYPE_CHECKING:
    from emulator.links.model import Series

Finding = tuple[str, object, str]
Trace = DelayTrace | RateTrace | LossTrace | Mahimahi

#: key of a model -> what is recorded there
QUANTITIES: Final = {"delay_trace": "delay", "rate_trace": "rate", "loss_trace": "loss", "mahimahi": ""}
_TABLES: Final[Mapping[str, type[Trace]]] = {
    "delay_trace": DelayTrace,
    "rate_trace": RateTrace,
    "loss_trace": LossTrace,
    "mahimahi": Mahimahi,
}


def resolve(document: dict[str, Any], path: Path, origin: Origin) -> None:
    """Replace the paths of recordings by their content, in a document that is not validated yet."""
    models = document.get("models")
    for name, model in models.items() if isinstance(models, dict) else ():
        for key in QUANTITIES.keys() & model.keys() if isinstance(model, dict) else ():
            table = model[key]
            given = table.get("file") if isinstance(table, dict) else None
            if not isinstance(given, str) or not given:
                continue
            where = f"models.{name}.{key}"
            # On the command line a path is relative to where the command runs.
            base = Path() if origin.from_option(f"{where}.file") else path.parent
            try:
                trace = _TABLES[key].model_validate(table)
            except ValidationError:
                continue  # the schema says what is wrong with it
            content = _read(base / given, key, trace, f"{origin.of(where)}: {where}")
            table.update(file="", content=content)


def _read(path: Path, key: str, trace: Any, where: str) -> str:
    from emulator.errors import WorldError
    from emulator.links import series

    try:
        text = series.read_text(path)
        # Read here once for its mistakes: later nobody knows any more which file the text came from.
        _parse(text, key, trace, str(path))
        if key != "mahimahi":
            text = series.two_columns(text, QUANTITIES[key], _columns(trace), str(path))
    except WorldError as error:
        raise ScenarioError(f"{where}: {error}") from None
    return pack(text)


def pack(text: str) -> str:
    """A text as a scenario carries it: compressed, in base 64."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpack(content: str) -> str:
    """The text that was packed; ValueError when it is none, or longer than a recording may be."""
    from emulator.links.series import TEXT_BYTES_MAX

    try:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(base64.b64decode(content, validate=True), TEXT_BYTES_MAX)
        if not unpacker.eof:
            raise ValueError("the packed text ends too early or is too long")
        return raw.decode()
    except (binascii.Error, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"not a packed text ({error})") from None


@lru_cache(maxsize=64)
def series(key: str, trace: Trace) -> Series:
    """The series of a model's recording, `key` being one of `QUANTITIES`. Raises ValueError, one sentence."""
    return _parse(unpack(trace.content), key, trace, "recording")


def _columns(trace: Any) -> Any:
    from emulator.links.series import Columns

    return Columns(trace.time, trace.time_unit, trace.value, trace.unit)


def _parse(text: str, key: str, trace: Any, source: str) -> Series:
    from emulator.links.series import parse_csv_series, parse_mahimahi

    if isinstance(trace, Mahimahi):
        return parse_mahimahi(
            text, opportunity_bytes=trace.opportunity_bytes, start_s=trace.start_s, source=source
        )
    return parse_csv_series(
        text,
        QUANTITIES[key],
        _columns(trace),
        factor=trace.factor,
        missing=trace.missing,
        interpolation=trace.interpolation,
        repeat=trace.repeat,
        start_s=trace.start_s,
        source=source,
    )


def findings(models: Mapping[str, ModelTable]) -> Iterator[Finding]:
    """What does not fit together in the recordings of models."""
    for name, model in models.items():
        for key in QUANTITIES:
            trace = getattr(model, key)
            if trace is None:
                continue
            where = f"models.{name}.{key}"
            if not trace.content:
                yield f"{where}.file", "", "the path of a recording"
                continue
            try:
                series(key, trace)
            except ValueError as error:
                yield f"{where}.content", "given", f"such that it can be read; {error}"
        if model.mahimahi is not None and model.rate_trace is not None:
            yield (
                f"models.{name}.rate_trace",
                "given",
                "absent beside mahimahi, which says when packets leave",
            )
