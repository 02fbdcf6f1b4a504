"""Recorded measurements of real networks and skies, and how the models compare with them.

One module a comparison, found by its name with dashes for underscores (`rain-exceedance` is
`testbed.measured.rain_exceedance`). Each has `Parameters`, a frozen dataclass whose fields carry their
unit in the name, and `compare(files, parameters) -> Comparison`.
"""
