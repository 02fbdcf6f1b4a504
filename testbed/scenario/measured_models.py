"""Measured models that links play: from the files that `testbed validate` writes into the scenario.

`[models.NAME] measured` names the file and the way; `[link] model` is short for all access links: the radios
of terminals, or the fixed links where no place is a terminal. A run's folder needs no other file: the model
goes packed into the scenario. A model of round trips is played half and half: what varies on the way
forward (away from the place that owns the radio, from `a` to `b`), the constant rest on the way backward.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from testbed.errors import BadInput
from testbed.scenario.link_models import MeasuredModel, ModelTable
from testbed.scenario.link_traces import pack, unpack
from testbed.scenario.messages import Origin, ScenarioError

if TYPE_CHECKING:
    from testbed.measured.models.generated import Generated

Finding = tuple[str, object, str]

#: names of the models that `[link] model` makes, by way
_NAMES: Final = {"forward": "measured-forward", "backward": "measured-backward"}
_RADIO_SUFFIX: Final = "-measured"


def resolve(document: dict[str, Any], path: Path, origin: Origin) -> None:
    """Replace the paths of model files by their content, in a document that is not validated yet."""
    link = document.get("link")
    given = link.get("model") if isinstance(link, dict) else None
    if isinstance(link, dict) and isinstance(given, str) and given:
        content = _read(_base("link.model", path, origin) / given, f"{origin.of('link.model')}: link.model")
        if not isinstance(document.setdefault("models", {}), dict):
            return
        for way, name in _NAMES.items():
            document["models"][name] = {"measured": {"content": content, "way": way}}
        link["model"] = ""
        if not _on_radios(document) and not _on_links(document):
            where = origin.of("link.model")
            raise ScenarioError(
                f"{where}: link.model is given, but there are neither terminals nor plain links"
            )
    models = document.get("models")
    for name, model in models.items() if isinstance(models, dict) else ():
        table = model.get("measured") if isinstance(model, dict) else None
        file = table.get("file") if isinstance(table, dict) else None
        if isinstance(table, dict) and isinstance(file, str) and file:
            key = f"models.{name}.measured"
            where = f"{origin.of(key)}: {key}"
            table.update(file="", content=_read(_base(f"{key}.file", path, origin) / file, where))


def _base(key: str, path: Path, origin: Origin) -> Path:
    """On the command line a path is relative to where the command runs."""
    return Path() if origin.from_option(key) else path.parent


def _read(path: Path, where: str) -> str:
    from testbed.measured.models import file

    try:
        return pack(file.text_of(file.read(path)))
    except BadInput as error:
        raise ScenarioError(f"{where}: {error}") from None


def _on_radios(document: dict[str, Any]) -> bool:
    """Let the radios of terminals have the models; a radio that others have too is copied for them."""
    radios, places = document.get("radios"), document.get("places")
    if not isinstance(radios, dict) or not isinstance(places, dict):
        return False
    tables = [place for place in places.values() if isinstance(place, dict) and place.get("radio")]
    terminals = [place for place in tables if place.get("access") == "terminal"]
    for place in terminals:
        radio = place["radio"]
        if not isinstance(radios.get(radio), dict):
            continue
        if any(other.get("radio") == radio and other not in terminals for other in tables):
            radios.setdefault(radio + _RADIO_SUFFIX, dict(radios[radio]))
            radio = place["radio"] = radio + _RADIO_SUFFIX
        radios[radio].update(up_model=_NAMES["forward"], down_model=_NAMES["backward"])
    return bool(terminals)


def _on_links(document: dict[str, Any]) -> bool:
    """Let the fixed links without a radio have the models."""
    links = document.get("links")
    tables = [one for one in links if isinstance(one, dict)] if isinstance(links, list) else []
    plain = [table for table in tables if not table.get("radio")]
    for table in plain:
        table.update(model=_NAMES["forward"], back_model=_NAMES["backward"])
    return bool(plain)


@lru_cache(maxsize=64)
def model(content: str) -> Generated:
    """The fitted model of a packed text. Raises ValueError, one sentence, when it cannot be read."""
    from testbed.measured.models import file
    from testbed.measured.models.generated import Generated

    try:
        found = file.parse(unpack(content), "model")
    except BadInput as error:
        raise ValueError(str(error)) from None
    assert isinstance(found, Generated)
    return found


def played(table: MeasuredModel, start_s: float) -> dict[str, Any]:
    """What of a LinkModel a measured model takes the place of, in a run that starts at POSIX `start_s`."""
    import numpy as np

    from emulator.links.model import Independent, Process

    found = model(table.content)
    if table.way == "backward":
        process = Process(np.full(2, found.backward_ms * 1e6), white=0.0)
        return {"process": process, "loss": Independent(), "keep_order": True}
    forward = found.link_model(start_s)
    return {"process": forward.process, "loss": forward.loss, "keep_order": False}


def findings(models: Mapping[str, ModelTable]) -> Iterator[Finding]:
    """What does not fit together in measured models."""
    for name, table in models.items():
        if table.measured is None:
            continue
        where = f"models.{name}.measured"
        if not table.measured.content:
            yield f"{where}.file", "", "the path of a model that testbed validate wrote"
            continue
        try:
            model(table.measured.content)
        except ValueError as error:
            yield f"{where}.content", "given", f"such that it can be read; {error}"
        for key in ("delay_trace", "loss_trace"):
            if getattr(table, key) is not None:
                yield f"models.{name}.{key}", "given", "absent beside measured, which says delay and loss"
        for key, plain in (("loss", "independent"), ("jitter", "exponential")):
            if getattr(table, key).kind != plain:
                yield f"models.{name}.{key}", "given", "absent beside measured, which says delay and loss"
