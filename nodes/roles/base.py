"""What every role is: a small class that a node calls when something happens.

A role holds no socket and reads no clock but its node's; every method returns quickly, and waiting is
done with `Node.at`. The methods here do nothing: a role overrides what it needs.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar, cast

from nodes.node import CommandError, ConfigError, Node
from nodes.transfer import Blob
from nodes.wire import Header, Value

_T = TypeVar("_T")


class Role:
    """A role of `node`; the constructor checks the configuration and raises ConfigError."""

    #: it sends of its own accord, in the node's traffic class; others answer in the class they are asked in
    initiates: ClassVar[bool] = False

    def __init__(self, node: Node) -> None:
        self.node = node
        self.misdirected = 0

    def on_start(self) -> None:
        """The run's time 0 has come."""

    def on_packet(self, header: Header, payload: bytes) -> None:
        """A datagram for this node; pings, acknowledgements and transfers are the node's own work."""
        self.misdirected += 1

    def on_blob(self, blob: Blob) -> None:
        """A transfer for this node, complete."""
        self.misdirected += 1

    def on_transit(self, header: Header, payload: bytes) -> None:
        """A packet for another node that was to come by this one."""
        self.misdirected += 1

    def on_command(self, name: str, arguments: dict[str, Any]) -> str:
        """Carry out a command and say what was done; CommandError when it cannot be."""
        raise CommandError(f"{self.node.id} knows no command {name!r}")

    def on_quiesce(self) -> None:
        """Offer no new traffic from now on, go on answering."""

    def close(self) -> None:
        """The node ends."""

    def fields(self) -> dict[str, Value]:
        """The role's own numbers in the `node` record of each second."""
        return {}

    def counters(self) -> dict[str, int]:
        """The role's own numbers in the last word of the node."""
        return {"misdirected": self.misdirected}

    # --- configuration -------------------------------------------------------------------------

    def number(self, key: str, default: float, low: float = 0.0, high: float = 1e15) -> float:
        """A number of the node's section; ConfigError outside `low` to `high`."""
        value = self.node.config.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ConfigError(f"{self.node.id}: {key} = {value!r} must be a number from {low:g} to {high:g}")
        return value

    def pair(self, key: str, default: tuple[float, float]) -> tuple[float, float]:
        """A range [low, high] of the node's section, or one number for both."""
        value = self.node.config.get(key, list(default))
        values = value if isinstance(value, list | tuple) else [value, value]
        numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        if len(values) != 2 or not numeric or not 0 <= values[0] <= values[1]:
            raise ConfigError(f"{self.node.id}: {key} = {value!r} must be [low, high] with 0 <= low <= high")
        return float(values[0]), float(values[1])

    def text(self, key: str, default: str = "") -> str:
        """A string of the node's section."""
        return self._typed(key, default, str, "a string")

    def texts(self, key: str) -> list[str]:
        """A list of strings of the node's section, empty when it is not there."""
        values: list[str] = self._typed(key, [], list, "a list of strings")
        if not all(isinstance(v, str) for v in values):
            raise ConfigError(f"{self.node.id}: {key} = {values!r} must be a list of strings")
        return values

    def port(self, key: str) -> int:
        """The port of the node that `key` names; 0 when the key is absent or empty."""
        name = self.text(key)
        return self.node.port_of(name, key) if name else 0

    def _typed(self, key: str, default: _T, kind: type, what: str) -> _T:
        value = self.node.config.get(key, default)
        if not isinstance(value, kind):
            raise ConfigError(f"{self.node.id}: {key} = {value!r} must be {what}")
        return cast(_T, value)
