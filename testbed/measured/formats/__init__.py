"""Readers of recorded measurements, one module a format; `open_measurement` finds out which."""

from testbed.measured.formats.opening import open_measurement

__all__ = ["open_measurement"]
