"""What is wrong with a scenario, said in one sentence: file, key, value given, what is allowed.

Here pydantic's error records become sentences; nothing is validated.
"""

from __future__ import annotations

import difflib
import pathlib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Union

from pydantic import BaseModel, ValidationError

from testbed.errors import BadInput

Path = tuple[str | int, ...]


def is_file(path: pathlib.Path) -> bool:
    """Whether there is a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except OSError:
        return False


class ScenarioError(BadInput):
    """A scenario that cannot be run; the text is one sentence."""


def dotted(path: Path) -> str:
    """A path of keys and list positions as the command line takes it: `deviations.0.target`."""
    return ".".join(str(part) for part in path)


def shown(value: object) -> str:
    """A value as TOML would have it, shortened."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a table"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?` or the whole list when it is short and nothing is near."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f'; did you mean "{close[0]}"?'
    if not names:
        return "; there are none"
    listed = ", ".join(names[:12]) + (f", ... ({len(names)} in all)" if len(names) > 12 else "")
    return f"; known are {listed}"


class Origin:
    """Where a key's value came from: the file, or an option of the command line."""

    def __init__(self, file: str) -> None:
        self.file = file
        #: key -> option that gave it
        self._options: dict[str, str] = {}

    def note(self, key: str, option: str) -> None:
        """Remember that `option` gave the key (and all below it)."""
        self._options[key] = option

    def of(self, key: str) -> str:
        """The option that gave the key, or a key below it; else the file, and the options beside it."""
        for given, option in self._options.items():
            if key == given or key.startswith(given + ".") or given.startswith(key + "."):
                return option
        if not self._options:
            return self.file
        # the other options say by themselves which key they give
        given_by = (f"{o} {key}" if o == "--set" else o for key, o in self._options.items())
        return f"{self.file} (with {', '.join(given_by)})"

    def from_option(self, key: str) -> bool:
        """Whether an option gave the key, by itself or within a table."""
        return any(key == given or key.startswith(given + ".") for given in self._options)

    def is_option(self, key: str) -> bool:
        """Whether an option gave exactly this key."""
        return key in self._options


def sentence(
    error: ValidationError, document: Mapping[str, Any], root: type[BaseModel], origin: Origin
) -> str:
    """The first thing pydantic found wrong, as a sentence; the number of further ones is added."""
    # Unknown keys first: a misspelt key also makes the right one look missing.
    details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
    text = _one(details[0], document, root, origin)
    more = len(details) - 1
    return text + (f" (and {more} more)" if more else "")


def _one(detail: Any, document: Mapping[str, Any], root: type[BaseModel], origin: Origin) -> str:
    kind: str = detail["type"]
    path = _real_path(detail["loc"], document, keep_last=kind == "missing")
    key, value, context = dotted(path), shown(detail["input"]), detail.get("ctx", {})
    file = origin.of(key)
    where = f"{file}: {key}"
    if kind == "extra_forbidden":
        known = known_keys(root, path[:-1], document)
        return f"{file}: unknown key {key}{nearest(str(path[-1]), known)}"
    if kind == "missing":
        return f"{file}: {key} is missing{_description(root, path, document)}"
    if detail["loc"][-1:] == ("[key]",):
        return f"{where} is not a name: letters, digits, '-' and '_', beginning with a letter, at most 63"
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        tag = context["discriminator"].strip("'")
        allowed = context.get("expected_tags") or _tags(root, path, document)
        given = f'is "{context["tag"]}"' if "tag" in context else "is missing"
        return f"{file}: {key}.{tag} {given}, allowed are {allowed}"
    return f"{where} is {value}, but must be {_allowed(kind, context, detail['msg'])}"


_KINDS = {
    "string_type": "text in quotes",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list, [ ... ]",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def _allowed(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        number = context[bound]
        return f"{words} {number if isinstance(number, int) else format(number, 'g')}"
    if kind == "literal_error":
        return f"one of {context['expected']}"
    if kind == "too_short":
        return f"a list of at least {context['min_length']}"
    if kind == "too_long":
        return f"a list of at most {context['max_length']}"
    if kind == "string_too_short":
        return "given, not empty"
    if kind == "string_too_long":
        return f"at most {context['max_length']} characters"
    if kind == "string_pattern_mismatch":
        if context["pattern"].startswith("^(https?"):
            return "a URL that begins with http:// or https://, or empty"
        return "a name: letters, digits, '-' and '_', beginning with a letter, at most 63"
    return message.removeprefix("must be ")


def _real_path(location: Sequence[str | int], document: Any, keep_last: bool) -> Path:
    """The path in the file; pydantic's also names the members of unions it went through."""
    path: list[str | int] = []
    current = document
    for index, part in enumerate(location):
        inside = _inside(current, part)
        if inside is not None:
            current = inside
        elif not (keep_last and index == len(location) - 1):
            continue
        path.append(part)
    return tuple(path)


def _description(root: type[BaseModel], path: Path, document: Any) -> str:
    model = _model_at(root, path[:-1], document)
    if model is not None:
        for name, field in model.model_fields.items():
            if (field.alias or name) == path[-1] and field.description:
                return f" ({field.description})"
    return ""


def known_keys(root: type[BaseModel], path: Path, document: Any) -> list[str]:
    """The keys a table at `path` may have; empty when it is a table of names."""
    model = _model_at(root, path, document)
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def _model_at(annotation: Any, path: Path, value: Any) -> type[BaseModel] | None:
    """The model that describes the table at `path`, following dicts, lists and tagged unions."""
    for member in _members(annotation):
        if isinstance(member, type) and issubclass(member, BaseModel):
            if not _tag_fits(member, value):
                continue
            if not path:
                return member
            for name, field in member.model_fields.items():
                if (field.alias or name) == path[0]:
                    return _model_at(field.annotation, path[1:], _inside(value, path[0]))
        elif typing.get_origin(member) in (dict, list) and path:
            return _model_at(typing.get_args(member)[-1], path[1:], _inside(value, path[0]))
    return None


def _members(annotation: Any) -> tuple[Any, ...]:
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return tuple(m for part in typing.get_args(annotation) for m in _members(part))
    return (annotation,)


def _inside(value: Any, part: str | int) -> Any:
    try:
        return value[part]
    except (KeyError, IndexError, TypeError):
        return None


def _tag_fits(model: type[BaseModel], value: Any) -> bool:
    """Whether a table with this `role` or `kind` is the model's: the tag's only literal must match."""
    for tag in ("role", "kind"):
        if tag in model.model_fields and model.model_fields[tag].is_required():
            (allowed,) = typing.get_args(model.model_fields[tag].annotation)
            return isinstance(value, Mapping) and value.get(tag) == allowed
    return True


def _tags(root: type[BaseModel], path: Path, document: Any) -> str:
    """The tags of the union at `path`, whatever its table says."""
    *above, last = path
    model = _model_at(root, tuple(above), document)
    # of a table of names or a list, the union is what it is made of
    annotation: Any = root.model_fields[str(path[0])].annotation
    if model is not None:
        (annotation,) = (f.annotation for name, f in model.model_fields.items() if (f.alias or name) == last)
    else:
        annotation = typing.get_args(annotation)[-1]
    tags = []
    for member in _members(annotation):
        for tag in ("role", "kind"):
            if tag in member.model_fields:
                tags += [f"'{literal}'" for literal in typing.get_args(member.model_fields[tag].annotation)]
                break
    return ", ".join(tags)
