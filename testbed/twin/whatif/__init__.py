"""What if: candidates for action, tried in virtual time from the present belief.

`job` says what is asked and answered, `plan` what actions come to, `traffic` and `replicate` run them,
`summary` concludes, `pool` is where it happens. Nothing is carried out in the network.
"""

from testbed.twin.whatif.job import DELAY, TASK, Change, Job, Measures, Outcome, Report, Spread, Trial, trial
from testbed.twin.whatif.pool import Inline, Pool, finish, run

__all__ = [
    "DELAY", "TASK", "Change", "Inline", "Job", "Measures", "Outcome", "Pool", "Report", "Spread", "Trial",
    "finish", "run", "trial",
]  # fmt: skip
