"""Acting on the network: what policies propose is validated, ordered, verified, and undone where wrong."""

from testbed.twin.act.engine import Engine

__all__ = ["Engine"]
