"""The broker of a machine without Redis: a folder, in which a file is there as a whole or not at all.

Kombu's own transport makes a file under its name and then writes it. A worker may take a message while it is empty;
what it reads is no message, and the worker ends. Whoever rings first makes the list of queues, and who rings in that
moment reads an empty one; what breaks there breaks after the commit, in front of a tenant who has just signed. Here
either is written beside and then given its name.
"""

from __future__ import annotations

import os
from fcntl import LOCK_EX, flock
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.transport.filesystem import exchange_queue_t
from kombu.utils.json import dumps, loads


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """The message is in the queue; readers take those that end with its name, oldest first."""
        folder = Path(self.data_folder_out)
        name = f"{round(monotonic() * 1000)}_{uuid4()}.{queue}.msg"
        _write(folder / name, dumps(payload))

    def get_table(self, exchange: str) -> list[Any]:
        """The queues bound to an exchange; none if the list was left broken by a machine that went down."""
        try:
            return [exchange_queue_t(*each) for each in loads(self._list(exchange).read_text())]
        except (FileNotFoundError, ValueError):
            return []
        except OSError as error:
            raise ChannelError(f"The queues of {exchange} cannot be read") from error

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str | None, queue: str) -> None:
        """The queue is on the list; of two who add theirs at once neither is lost."""
        bound = exchange_queue_t(routing_key or "", pattern or "", queue or "")
        file = self._list(exchange)
        self.control_folder.mkdir(exist_ok=True)
        if bound in self.get_table(exchange):
            return
        with file.with_suffix(".lock").open("wb") as waiting:
            flock(waiting, LOCK_EX)  # let go of as it is closed
            table = self.get_table(exchange)
            if bound not in table:
                _write(file, dumps([bound, *table]))

    def _list(self, exchange: str) -> Path:
        file: Path = self._exchange_file(exchange)  # type: ignore[attr-defined]
        return file


class Transport(filesystem.Transport):
    Channel = Channel


def _write(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.{uuid4()}.part")
    try:
        part.write_text(text)
        os.replace(part, path)
    except OSError as error:
        raise ChannelError(f"{path.name} could not be put into {path.parent}") from error
