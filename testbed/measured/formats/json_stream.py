"""The items of one list in a JSON document, one after the other, so that the document is never held whole."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from testbed.errors import BadInput
from testbed.measured.formats.source import Source

_CHUNK: Final = 1 << 20
#: a document whose list has not begun by then, or an item of it that is longer, is none of what is read here
_MOST: Final = 1 << 24


class Items:
    """Iterates over the objects of the first list that is named `key`; `before` is the text before it.

    Raises `BadInput` when the document breaks off, is damaged, or has no such list.
    """

    def __init__(self, source: Source, key: str) -> None:
        self._source, self._key = source, key
        self._chunks = codecs.iterdecode(source.chunks(_CHUNK), "utf-8-sig", errors="replace")
        self._text = ""
        self._at = 0
        self._count = 0
        self.before = self._to_the_list(re.compile(rf'"{re.escape(key)}"\s*:\s*\['))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        decode = json.JSONDecoder().raw_decode
        while self._another():
            while True:
                try:
                    item, self._at = decode(self._text, self._at)
                    break
                except json.JSONDecodeError as error:
                    if len(self._text) - self._at > _MOST or not self._more():
                        raise self._bad(f"breaks off or is damaged ({error.msg})") from None
                except (ValueError, RecursionError) as error:
                    raise self._bad(f"is damaged ({error})") from None
            if not isinstance(item, dict):
                raise self._bad(f"is {json.dumps(item)[:40]}, it must be an object")
            self._count += 1
            yield item

    def _to_the_list(self, begin: re.Pattern[str]) -> str:
        while not (found := begin.search(self._text)):
            if len(self._text) > _MOST or not self._more():
                raise BadInput(f"{self._source.name}: has no list {self._key!r}, or breaks off before it")
        before = self._text[: found.start()]
        self._at = found.end()
        return before

    def _another(self) -> bool:
        """Whether another item follows; moves to its beginning."""
        while True:
            rest = re.compile(r"[\s,]*").match(self._text, self._at)
            self._at = rest.end() if rest else self._at
            if self._at < len(self._text):
                return self._text[self._at] != "]"
            if not self._more():
                raise self._bad("is missing: the document breaks off")

    def _more(self) -> bool:
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        self._text = self._text[self._at :] + chunk
        self._at = 0
        return True

    def _bad(self, what: str) -> BadInput:
        return BadInput(f"{self._source.name}: {self._key}[{self._count}] {what}")
