"""Errors of the channel's set-up. Kernels return codes; these carry the sentence a reader sees."""

from __future__ import annotations


class WorldError(ValueError):
    """A world cannot be built from what was given. The text is one sentence that says what is wrong."""


class ElementsError(WorldError):
    """Orbital elements are malformed. The text names the line or record."""


class MissingPackageError(WorldError):
    """The environment lacks a package that this world needs. The text says which, and what would do."""
