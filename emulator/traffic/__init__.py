"""Traffic in virtual time: flows that make packets inside the compiled loop, and what becomes of each flow.

`flows` is what a user states, `layout` what kernels read, `arrivals` when packets come, `sizes` how long
they are, `agenda` whose packet is next, `tally` what is counted, `results` what is told of it.
"""
