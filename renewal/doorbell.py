"""The broker of a machine without Redis: a folder, in which a message is there as a whole or not at all.

Kombu's own transport makes the file under its name and then writes it, so that a worker may take it empty; what it
reads is no message, and the worker ends. Here it is written beside and then given its name.
"""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """The message is in the queue; readers take those that end with its name, oldest first."""
        folder = Path(self.data_folder_out)
        name = f"{round(monotonic() * 1000)}_{uuid4()}.{queue}.msg"
        part = folder / f"{name}.part"
        try:
            part.write_text(dumps(payload))
            os.replace(part, folder / name)
        except OSError as error:
            raise ChannelError(f"The message could not be put into {folder}") from error


class Transport(filesystem.Transport):
    Channel = Channel
