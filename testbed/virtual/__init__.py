"""A whole run in virtual time: plant, nodes, telemetry and the twin's own core, without processes or clocks.

The twin is given what it would be given live, filtered the same way, and nothing else.
"""
