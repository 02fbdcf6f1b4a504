"""Policies: what proposes actions. One class each; see `base` for what a policy is and how to add one."""

from testbed.twin.policies.base import Candidate, Cause, InForce, Policy, View, build, names_of, ways_back

__all__ = ["Candidate", "Cause", "InForce", "Policy", "View", "build", "names_of", "ways_back"]
