"""Readers of recorded measurements, one module a format; `open_measurement` finds out which."""

from testbed.measured.formats.opening import SHIPPED, open_measurement, shipped

__all__ = ["SHIPPED", "open_measurement", "shipped"]
