"""What a node can be. A role's module is imported only when a node takes the role."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nodes.roles.base import Role

#: role -> module and class
ROLES: Final = {
    "sensor": ("nodes.roles.sensor", "Sensor"),
    "edge": ("nodes.roles.edge", "EdgeServer"),
    "gateway": ("nodes.roles.gateway", "Gateway"),
    "relay": ("nodes.roles.relay", "Relay"),
    "broker": ("nodes.roles.broker", "Broker"),
    "probe": ("nodes.roles.probe", "Probe"),
}


class UnknownRoleError(ValueError):
    """No role of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"role {name!r} is not known; the roles are {', '.join(ROLES)}")


def load(name: str) -> type[Role]:
    """The class of a role; UnknownRoleError lists the known ones."""
    if name not in ROLES:
        raise UnknownRoleError(name)
    module, attribute = ROLES[name]
    role: type[Role] = getattr(import_module(module), attribute)
    return role
