"""The plant: the world as it really is in a run, in a process of its own.

It alone knows the deviations and the hidden parameters. What leaves it is packets, delayed as they are,
and telemetry; the supervisor passes on to the twin only what an operator could observe.
"""
