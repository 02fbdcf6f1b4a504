"""One link, one model, one packet, as the kernels of an impairment take them.

The key of the link, and with it every random number in these tests, was chosen once.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from emulator.jit import records
from emulator.links.model import LinkModel
from emulator.links.random import link_key
from emulator.links.state import LINK, MODEL, NEVER, PACKET

KEY: Final = link_key(20261120, "left", "right")
MS: Final = 1_000_000
S: Final = 1_000_000_000
#: packets of a statistical test
MANY: Final = 1_000_000
#: standard deviations that 99 % of normal values are within
Z99: Final = 2.5758293035489004


def model(**settings: Any) -> Any:
    """A row of models of these settings."""
    rows = np.zeros(1, MODEL)
    made = LinkModel("tested", **settings)
    made.check()
    made.write(rows[0])
    return records(rows)


def links(count: int = 1, **fields: Any) -> Any:
    """Links at rest."""
    rows = np.zeros(count, LINK)
    rows["key"] = KEY + np.arange(count, dtype=np.uint64)
    rows["medium"] = -1
    rows["tx_event_ns"] = NEVER
    for name, value in fields.items():
        rows[name] = value
    return records(rows)


def packets(count: int = 1, **fields: Any) -> Any:
    """Packets number 0, 1, ... of port 1."""
    rows = np.zeros(count, PACKET)
    rows["number"] = np.arange(count)
    rows["port"] = 1
    rows["length"] = 1000
    for name, value in fields.items():
        rows[name] = value
    return records(rows)
