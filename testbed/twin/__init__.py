"""The twin: what an operator could believe about the network, and how good that belief is.

Its process is started from `testbed.twin.__main__`; `observations` is what the supervisor uses to decide
which telemetry it may see, `scoring` what the report uses afterwards. Importing this package is cheap.
"""
