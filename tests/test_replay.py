"""What cannot be replayed exactly is refused, with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.accounting import DELIVERED, HOP_RECORD
from testbed.errors import BadInput
from testbed.replay import replay
from testbed.store.packets import PacketWriter
from testbed.store.runfile import RunFolder


@pytest.mark.parametrize(
    ("channel", "reason"),
    [
        ({"final": False}, "was broken off"),
        ({"counters": {"ingress": 3, "log_overflow": 0, "fates": {"malformed": 1}}}, "1 packets had not"),
        ({"epochs": {"unrecorded": 2}}, "2 link tables were not recorded"),
        ({"counters": {"ingress": 1, "log_overflow": 5, "fates": {}}}, "5 packet-hops were not recorded"),
    ],
)
def test_a_run_whose_record_has_gaps_is_not_replayed(
    tmp_path: Path, channel: dict[str, Any], reason: str
) -> None:
    folder = RunFolder.create(tmp_path, "gaps")
    hop = np.zeros(1, HOP_RECORD)
    hop["fate"] = DELIVERED
    with PacketWriter(folder.packets_path, 0) as writer:
        writer.write(hop)
    folder.link_table_path.touch()
    whole = {"final": True, "counters": {"ingress": 1, "log_overflow": 0, "fates": {}}}
    folder.write_run({"ports": {}, "nodes": {}, "places": [], "channel": whole | channel})
    with pytest.raises(BadInput, match=reason):
        replay(folder)
