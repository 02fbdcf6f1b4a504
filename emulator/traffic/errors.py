"""What is wrong with traffic that cannot be made, in one sentence."""

from __future__ import annotations


class TrafficError(ValueError):
    """Flows cannot be made from what was given. The text is one sentence that says what is wrong."""
