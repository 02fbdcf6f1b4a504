"""Readers of recorded measurements, one module a format; `open_measurement` finds out which."""
