"""Traffic in virtual time: flows that make packets inside the compiled loop, and what becomes of each flow.

`flows` is what a user states, `layout` what kernels read, `arrivals` when packets come, `sizes` how long
they are, `agenda` whose packet is next, `servers` what works before it answers, `steer` what changes while
it runs, `tally` what is counted, `results` what is told of it.
"""
