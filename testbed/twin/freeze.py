"""Objects of the twin as plain data, and objects from such data again.

`freeze` walks the objects behind a twin and writes down those of the twin's own classes, with the containers
and arrays they hold; an object that two others share is shared again afterwards. Everything else (compiled
models, published knowledge, functions) is not written: `thaw` takes it from a freshly built twin, from the
same place. The data names classes and values only. Nothing in it is ever executed, and no module is imported
for it: a class is looked up among those that the twin has loaded already.
"""

from __future__ import annotations

import functools
import random
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque
from enum import Enum
from typing import Any, Final

import msgspec
import numpy as np

from testbed.errors import TestbedError

#: modules whose classes are written down: the twin's own, and the records it holds
_OWN: Final = ("testbed.twin.", "testbed.actions", "nodes.wire")
#: of these, modules that hold what was public before the run and is the same for the new twin
_PUBLIC: Final = ("testbed.twin.knowledge",)
#: lists of so many numbers are written in one piece
_MANY: Final = 8
_PRIMITIVE: Final = frozenset({type(None), bool, float, str, bytes})
_ARRAYS: Final = "biufc"
_GENERATORS: Final = {
    name: getattr(np.random, name) for name in ("PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937")
}
_CONTAINERS: Final[dict[str, type]] = {"dict": dict, "Counter": Counter, "OrderedDict": OrderedDict}
_FUNCTIONS: Final = (types.FunctionType, types.BuiltinFunctionType, type)


class SnapshotError(TestbedError):
    """Data that is not a snapshot of this twin, or an object that cannot be written into one."""


def freeze(root: object) -> dict[str, Any]:
    """Everything that `root`, an object of the twin's classes, knows, as plain data.

    SnapshotError names the attribute that holds what cannot be written (an iterator, a file, a lock).
    """
    freezer = _Freezer()
    value = freezer.value(root)
    return {"root": value, "classes": freezer.classes, "nodes": freezer.nodes}


def _is_own(kind: type) -> bool:
    name = kind.__module__
    return name.startswith(_OWN) and name not in _PUBLIC


class _Freezer:
    """Nodes are objects with an identity; a value is a primitive, or a list that starts with a tag."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.classes: list[str] = []
        self._class_index: dict[type, int] = {}
        self._seen: dict[int, int] = {}
        self._alive: list[object] = []  # a temporary object's id must not be given to another

    def value(self, thing: Any) -> Any:
        kind = type(thing)
        if kind in _PRIMITIVE:
            return thing
        if kind is int:
            return thing if -(2**63) <= thing < 2**63 else ["i", str(thing)]
        if kind is tuple:
            return ["t", [self.value(one) for one in thing]]
        if kind is frozenset:
            return ["z", [self.value(one) for one in sorted(thing, key=repr)]]
        if isinstance(thing, Enum) and _is_own(kind):
            return ["e", self._class(kind), thing.name]
        if isinstance(thing, np.generic):
            if thing.dtype.kind not in _ARRAYS:
                raise SnapshotError(f"a number of type {thing.dtype} cannot be kept")
            return ["f", thing.dtype.str, thing.tobytes()]
        if isinstance(thing, tuple) and _is_own(kind):
            return ["n", self._class(kind), [self.value(one) for one in thing]]
        if kind is types.MethodType:
            return ["m", self.value(thing.__self__), thing.__func__.__name__]
        if kind is functools.partial:
            if thing.keywords:
                raise SnapshotError("a partial function with named arguments cannot be kept")
            return ["p", self.value(thing.func), [self.value(one) for one in thing.args]]
        index = self._seen.get(id(thing))
        if index is None:
            index = self._seen[id(thing)] = len(self.nodes)
            self._alive.append(thing)
            self.nodes.append(None)
            self.nodes[index] = self._node(thing, kind)
        return ["r", index]

    def _node(self, thing: Any, kind: type) -> list[Any]:
        if kind is list:
            if len(thing) >= _MANY and all(type(one) is float for one in thing):
                return ["L", np.array(thing, "<f8").tobytes()]
            return ["l", [self.value(one) for one in thing]]
        if kind in _CONTAINERS.values():
            return ["d", kind.__name__, self._pairs(thing)]
        if kind is defaultdict:
            factory = thing.default_factory
            if factory not in (list, dict, set, int, float):
                raise SnapshotError(f"a defaultdict of {factory} cannot be kept")
            return ["D", factory.__name__, self._pairs(thing)]
        if kind is set:
            return ["s", [self.value(one) for one in sorted(thing, key=repr)]]
        if kind is deque:
            return ["q", thing.maxlen, [self.value(one) for one in thing]]
        if kind is np.ndarray:
            if thing.dtype.kind not in _ARRAYS:
                raise SnapshotError(f"an array of {thing.dtype} cannot be kept")
            return ["a", thing.dtype.str, list(thing.shape), thing.tobytes()]
        if kind is np.random.Generator:
            return ["g", self.value(thing.bit_generator.state)]
        if kind is random.Random:
            return ["R", self.value(thing.getstate())]
        if _is_own(kind):
            return self._own(thing, kind)
        root = kind.__module__.partition(".")[0]
        if root in sys.stdlib_module_names and not isinstance(thing, _FUNCTIONS):
            raise SnapshotError(f"{kind.__module__}.{kind.__qualname__} cannot be kept")
        return ["o", f"{kind.__module__}:{kind.__qualname__}"]

    def _own(self, thing: Any, kind: type) -> list[Any]:
        attributes: dict[str, Any] = {}
        tag = "c"
        if isinstance(thing, msgspec.Struct):
            tag = "S"
            names = list(kind.__struct_fields__)  # type: ignore[attr-defined]
        else:
            names = [*_slots(kind), *getattr(thing, "__dict__", ())]
        for name in names:
            try:
                attributes[name] = self.value(getattr(thing, name))
            except AttributeError:  # a slot that holds nothing yet
                continue
            except SnapshotError as error:
                raise SnapshotError(f"{kind.__qualname__}.{name}: {error}") from None
        return [tag, self._class(kind), attributes]

    def _pairs(self, thing: dict[Any, Any]) -> list[Any]:
        return [self.value(one) for pair in thing.items() for one in pair]

    def _class(self, kind: type) -> int:
        index = self._class_index.get(kind)
        if index is None:
            index = self._class_index[kind] = len(self.classes)
            self.classes.append(f"{kind.__module__}:{kind.__qualname__}")
        return index


def _slots(kind: type) -> list[str]:
    names: list[str] = []
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    return [name for name in names if name not in ("__dict__", "__weakref__")]


# --- data to objects --------------------------------------------------------------------------


def thaw(data: dict[str, Any], fresh: object) -> None:
    """Gives `fresh`, a newly built object like the one that was frozen, what that one knew.

    SnapshotError when the data do not fit it; `fresh` is unchanged then.
    """
    try:
        thawer = _Thawer(data)
        found = thawer.value(data["root"], fresh)
        if found is not fresh:
            raise SnapshotError("the snapshot is not one of such an object")
    except SnapshotError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise SnapshotError(f"the snapshot cannot be read: {type(error).__name__}: {error}") from None
    thawer.commit()


_NOTHING: Final = object()


class _Thawer:
    """Builds objects in the order in which they were written.

    Beside every value goes what a fresh twin has in that place: an object of the same class there is
    reused, so that whatever was built around it (a compiled model that asks it for its belief) holds on.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self._nodes: list[list[Any]] = data["nodes"]
        self._classes = [_own_class(name) for name in data["classes"]]
        self._built: dict[int, Any] = {}
        self._pending: list[tuple[Any, dict[str, Any]]] = []

    def commit(self) -> None:
        """Gives the reused objects their attributes: the only step that changes anything that existed."""
        for thing, attributes in self._pending:
            if hasattr(thing, "__dict__"):
                thing.__dict__.clear()
            for name, value in attributes.items():
                object.__setattr__(thing, name, value)

    def value(self, plain: Any, fresh: Any) -> Any:
        if not isinstance(plain, list):
            return plain
        match plain:
            case ["r", index]:
                return self._built[index] if index in self._built else self._node(index, fresh)
            case ["i", digits]:
                return int(digits)
            case ["t", items]:
                return tuple(self._items(items, fresh))
            case ["z", items]:
                return frozenset(self.value(one, _NOTHING) for one in items)
            case ["e", kind, name]:
                return self._classes[kind].__members__[name]
            case ["f", kind, content]:
                return np.frombuffer(content, _numeric(kind))[0]
            case ["n", kind, items]:
                return tuple.__new__(self._classes[kind], self._items(items, fresh))
            case ["m", owner, name]:
                return self._method(owner, name, fresh)
            case ["p", function, items]:
                inner = fresh.func if isinstance(fresh, functools.partial) else _NOTHING
                return functools.partial(
                    self.value(function, inner), *(self.value(one, _NOTHING) for one in items)
                )
        raise SnapshotError("the snapshot holds a value of an unknown kind")

    def _items(self, items: list[Any], fresh: Any) -> list[Any]:
        beside = fresh if isinstance(fresh, list | tuple) and len(fresh) == len(items) else None
        return [self.value(one, _NOTHING if beside is None else beside[k]) for k, one in enumerate(items)]

    def _method(self, owner: Any, name: str, fresh: Any) -> Any:
        thing = self.value(owner, getattr(fresh, "__self__", _NOTHING))
        function = next((base.__dict__[name] for base in type(thing).__mro__ if name in base.__dict__), None)
        if name.startswith("__") or not isinstance(function, types.FunctionType):
            raise SnapshotError(f"the snapshot names a method {name} that {type(thing).__qualname__} lacks")
        return types.MethodType(function, thing)

    def _node(self, index: int, fresh: Any) -> Any:
        built = self._built
        match self._nodes[index]:
            case ["l", items]:
                made: Any = []
                built[index] = made
                made.extend(self._items(items, fresh))
            case ["L", content]:
                made = np.frombuffer(content, "<f8").tolist()
            case ["d", name, pairs]:
                made = built[index] = _CONTAINERS[name]()
                self._fill(made, pairs, fresh)
            case ["D", name, pairs]:
                factories: dict[str, Any] = {
                    "list": list, "dict": dict, "set": set, "int": int, "float": float,
                }  # fmt: skip
                made = built[index] = defaultdict(factories[name])
                self._fill(made, pairs, fresh)
            case ["s", items]:
                made = built[index] = set()
                made.update(self.value(one, _NOTHING) for one in items)
            case ["q", most, items]:
                made = built[index] = deque(maxlen=most)
                made.extend(self.value(one, _NOTHING) for one in items)
            case ["a", kind, shape, content]:
                made = np.frombuffer(bytearray(content), _numeric(kind)).reshape(shape)
            case ["g", state]:
                known = self.value(state, _NOTHING)
                made = np.random.Generator(_GENERATORS[known["bit_generator"]]())
                made.bit_generator.state = known
            case ["R", state]:
                made = random.Random()
                made.setstate(self.value(state, _NOTHING))
            case ["o", name]:
                made = fresh
                found = f"{type(fresh).__module__}:{type(fresh).__qualname__}"
                if found != name:
                    raise SnapshotError(f"the snapshot needs an object of {name} where this twin has none")
            case ["S", kind, attributes]:
                fields = {k: self.value(v, getattr(fresh, k, _NOTHING)) for k, v in attributes.items()}
                made = self._classes[kind](**fields)
            case ["c", kind, attributes]:
                return self._instance(index, self._classes[kind], attributes, fresh)
            case _:
                raise SnapshotError("the snapshot holds an object of an unknown kind")
        built[index] = made
        return made

    def _fill(self, made: Any, pairs: list[Any], fresh: Any) -> None:
        beside = fresh if isinstance(fresh, dict) else {}
        for at in range(0, len(pairs), 2):
            key = self.value(pairs[at], _NOTHING)
            made[key] = self.value(pairs[at + 1], beside.get(key, _NOTHING))

    def _instance(self, index: int, kind: Any, attributes: dict[str, Any], fresh: Any) -> Any:
        reused = type(fresh) is kind
        made = self._built[index] = fresh if reused else kind.__new__(kind)
        filled: dict[str, Any] = {}
        for name, plain in attributes.items():
            if name.startswith("__"):
                raise SnapshotError(f"the snapshot names an attribute {name} of {kind.__qualname__}")
            filled[name] = self.value(plain, getattr(fresh, name, _NOTHING) if reused else _NOTHING)
        if reused:
            self._pending.append((made, filled))
        else:
            for name, value in filled.items():
                object.__setattr__(made, name, value)
        return made


def _numeric(name: str) -> np.dtype[Any]:
    kind = np.dtype(name)
    if kind.kind not in _ARRAYS:
        raise SnapshotError(f"the snapshot holds an array of {name}")
    return kind


def _own_class(name: str) -> Any:
    """A class of the twin's by its full name, among those that are loaded."""
    module, _, qualified = name.partition(":")
    found: Any = sys.modules.get(module)
    if found is None or not module.startswith(_OWN):
        raise SnapshotError(f"the snapshot names {name}, which is no class of the twin")
    for part in qualified.split("."):
        found = vars(found).get(part)
        if found is None:
            raise SnapshotError(f"the snapshot names {name}, which is no class of the twin")
    if not (isinstance(found, type) and found.__module__ == module and _is_own(found)):
        raise SnapshotError(f"the snapshot names {name}, which is no class of the twin")
    return found
