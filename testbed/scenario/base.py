"""What every table of a scenario file shares: strictness, and the shapes of names and times.

No table is defined here. Types are strict (a number in quotes is an error, not a number), unknown
keys are errors, and infinities are refused.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Table(BaseModel):
    """A table of the file; frozen, so that a loaded scenario cannot change under a run."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


#: an id of a node, place or radio: it becomes part of file names, tags and link names ("a>b")
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]

LatitudeDeg = Annotated[float, Field(ge=-90, le=90)]
LongitudeDeg = Annotated[float, Field(ge=-180, le=180)]
#: of the duration of the run, so that a short run has the same plot as a long one
Share = Annotated[float, Field(ge=0, le=1)]
