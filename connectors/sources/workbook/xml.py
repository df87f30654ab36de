"""XML as a stream of calls, by expat. A document type is refused, and with it every entity that is not XML's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from xml.parsers import expat

from connectors.sources.workbook import Refused

MOST_ELEMENTS = 3_000_000


class Listener:
    """Hears of elements by the names without prefix. `text` is heard of only between `listen` and `heard`."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = _refuse
        self._parts: list[str] = []
        self._count = 0
        self.begin: dict[str, Callable[[dict[str, str]], None]] = {}
        self.finish: dict[str, Callable[[], None]] = {}

    def listen(self) -> None:
        self._parts = []
        self._parser.CharacterDataHandler = self._parts.append

    def heard(self) -> str:
        self._parser.CharacterDataHandler = None
        return "".join(self._parts)

    def feed(self, blocks: Iterator[bytes]) -> Iterator[None]:
        """Everything in the blocks is heard of; a pause after each."""
        try:
            for block in blocks:
                self._parser.Parse(block)
                yield
            self._parser.Parse(b"", True)
            yield
        except expat.ExpatError as broken:
            raise Refused("damaged") from broken

    def hear(self, blocks: Iterator[bytes]) -> None:
        for _pause in self.feed(blocks):
            pass

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MOST_ELEMENTS:
            raise Refused("inflated")
        if handler := self.begin.get(name.rpartition(":")[2] if ":" in name else name):
            handler(attributes)

    def _end(self, name: str) -> None:
        if handler := self.finish.get(name.rpartition(":")[2] if ":" in name else name):
            handler()


def _refuse(*_facts: object) -> None:
    raise Refused("doctype")
