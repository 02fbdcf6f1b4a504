"""A fitted model in a file: JSON with a version, the kind's name, and its parameters.

    {"format": 1, "model": "slots", "parameters": {...}}

What is wrong in one is told by key. Other keys beside these three are notes for people, and are kept out.
"""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from pathlib import Path
from typing import Any, Final

from testbed.errors import BadInput
from testbed.measured.models.contract import Fitted
from testbed.measured.models.generated import KNOTS, Disturbances, Generated, Parameters, Segments

FORMAT: Final = 1
#: a model is far smaller
_MOST_BYTES: Final = 16_000_000
_MOST_SEGMENTS: Final = 4096
_MOST_COMPONENTS: Final = 4


def write(model: Fitted, path: Path, **notes: Any) -> None:
    """Write a model; `notes` are further keys for people, such as what it was calibrated on."""
    path.write_text(text_of(model, **notes), encoding="utf-8")


def text_of(model: Fitted, **notes: Any) -> str:
    """A model as the text of its file."""
    table = {"format": FORMAT, "model": model.name, **notes, "parameters": model.parameters()}
    return json.dumps(table, indent=1, allow_nan=False) + "\n"


def read(path: Path) -> Fitted:
    """The model of a file. Raises `BadInput` naming file and key."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BadInput(f"{path}: is larger than {_MOST_BYTES // 10**6} MB, no model is")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise BadInput(f"{path}: cannot be read ({reason})") from None
    return parse(text, str(path))


def parse(text: str, source: str) -> Fitted:
    """The model of a file's text; `source` is what its mistakes are told of. Raises `BadInput`."""
    from testbed.measured.models import kinds

    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        raise BadInput(f"{source}: is not JSON, a model file is") from None
    if not isinstance(table, dict) or "model" not in table or "parameters" not in table:
        raise BadInput(f"{source}: has no keys model and parameters, a model file has")
    if table.get("format") != FORMAT:
        raise BadInput(f"{source}: format is {_shown(table.get('format'))}, allowed: {FORMAT}")
    known = kinds()
    name = table["model"]
    parts = name.split("+") if isinstance(name, str) else []
    if not parts or any(part not in known for part in parts):
        raise BadInput(f"{source}: model is {_shown(name)}, allowed: {', '.join(known)}")
    try:
        return Generated(name, from_table(table["parameters"]))
    except BadInput as error:
        raise BadInput(f"{source}: {error}") from None


def to_table(content: Parameters) -> dict[str, Any]:
    """Parameters as JSON types."""
    return dict(json.loads(json.dumps(dataclasses.asdict(content))))


def from_table(table: Any) -> Parameters:
    """The parameters of a table. Raises `BadInput` naming the key, the value and what is allowed."""
    content: Parameters = _decode(table, Parameters, "parameters")
    _check(content)
    return content


def _decode(value: Any, kind: Any, key: str) -> Any:
    """`value` as `kind`: a dataclass, a tuple, a number, true or false, or one of these or none."""
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise BadInput(f"{key} is {_shown(value)}, it must be a table")
        fields = {field.name: field for field in dataclasses.fields(kind)}
        for name in value:
            if name not in fields:
                raise BadInput(f"{key}.{name} is no parameter, allowed: {', '.join(fields)}")
        hints = typing.get_type_hints(kind)
        found = {name: _decode(one, hints[name], f"{key}.{name}") for name, one in value.items()}
        for name, field in fields.items():
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if required and name not in found:
                raise BadInput(f"{key}.{name} is missing")
        return kind(**found)  # type: ignore[operator]
    options = typing.get_args(kind)
    if type(None) in options:
        return None if value is None else _decode(value, options[0], key)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise BadInput(f"{key} is {_shown(value)}, it must be a list")
        repeated = options[-1] is Ellipsis
        if not repeated and len(value) != len(options):
            raise BadInput(f"{key} has {len(value)} entries, allowed: {len(options)}")
        kinds_of = [options[0]] * len(value) if repeated else options
        pairs = enumerate(zip(value, kinds_of, strict=True))
        return tuple(_decode(one, of, f"{key}[{index}]") for index, (one, of) in pairs)
    if kind is bool:
        if not isinstance(value, bool):
            raise BadInput(f"{key} is {_shown(value)}, it must be true or false")
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or (kind is int and value != int(value)):
        raise BadInput(
            f"{key} is {_shown(value)}, it must be a {'whole' if kind is int else 'finite'} number"
        )
    return kind(value)


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 40 else text[:37] + "..."


def _check(c: Parameters) -> None:
    if len(c.delay_ms) != KNOTS:
        raise BadInput(f"parameters.delay_ms has {len(c.delay_ms)} entries, allowed: {KNOTS}")
    _table("delay_ms", c.delay_ms, 0.0, 3.6e6)
    _within("white", c.white, 0.0, 100.0)
    if len(c.components) > _MOST_COMPONENTS:
        raise BadInput(f"parameters.components has {len(c.components)} entries, at most {_MOST_COMPONENTS}")
    for index, (constant_s, weight) in enumerate(c.components):
        _within(f"components[{index}][0]", constant_s, 1e-6, 1e9)
        _within(f"components[{index}][1]", weight, 0.0, 100.0)
    _within("loss_enter", c.loss_enter, 0.0, 1.0)
    _within("loss_leave", c.loss_leave, 1e-6, 1.0)
    _within("cell_s", c.cell_s, 1e-3, 1e6)
    for name, these, earliest_s in (("handovers", c.handovers, -3600.0), ("strays", c.strays, 0.0)):
        _check_disturbances(name, these, earliest_s)
    if c.segments is not None:
        _check_segments(c.segments)


def _check_disturbances(name: str, these: Disturbances, earliest_s: float) -> None:
    _within(f"{name}.chance", these.chance, 0.0, 1.0)
    _table(f"{name}.after_s", these.after_s, earliest_s, 3600.0)
    _table(f"{name}.outage_s", these.outage_s, 0.0, 3600.0)
    _table(f"{name}.stall_s", these.stall_s, 0.0, 3600.0)


def _check_segments(s: Segments) -> None:
    _within("segments.length_s", s.length_s, 1e-3, 86_400.0)
    if s.offset_s is not None:
        _within("segments.offset_s", s.offset_s, 0.0, s.length_s)
    _within("segments.begin_s", s.begin_s, -1e11, 1e11)
    _within("segments.count", s.count, 1, _MOST_SEGMENTS)
    for name, low, high in (("level", -100.0, 100.0), ("spread", 0.0, 100.0)):
        values = getattr(s, name)
        if not values:
            raise BadInput(f"parameters.segments.{name} has no entries, it must have one at least")
        _table(f"segments.{name}", values, low, high)
    _within("segments.agreement", s.agreement, -1.0, 1.0)
    for index, value in enumerate(s.correlation):
        _within(f"segments.correlation[{index}]", value, -1.0, 1.0)


def _within(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise BadInput(f"parameters.{key} is {value:g}, allowed: {low:g} to {high:g}")


def _table(key: str, values: tuple[float, ...], low: float, high: float) -> None:
    for index, value in enumerate(values):
        _within(f"{key}[{index}]", value, low, high)
        if index and value < values[index - 1]:
            raise BadInput(f"parameters.{key}[{index}] is {value:g}, allowed: from the one before")
