"""Programs of the user's behind an IP interface of the emulated network (Linux).

`testbed exec` makes namespaces and a TUN interface and hands the interface's descriptor to the plant, which
therefore needs no privilege. Not here: what the plant does with the frames.
"""
