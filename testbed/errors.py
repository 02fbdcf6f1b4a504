"""The errors a user is told in one sentence, each with the exit status it ends the command with."""

from __future__ import annotations


class TestbedError(Exception):
    """Anything that ends a command with a sentence instead of a traceback."""

    __test__ = False  # not a test class, whatever its name
    exit_status = 1


class BadInput(TestbedError):  # noqa: N818 - the input is bad, the program is not
    """The input is wrong; the sentence names file, key, value and what is allowed."""

    exit_status = 2


class EnvironmentProblem(TestbedError):  # noqa: N818
    """The environment cannot do it; the sentence says what would fix that."""

    exit_status = 3
