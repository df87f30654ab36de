"""What gunicorn writes down of requests, its access log too where one is asked for: without tokens."""

from __future__ import annotations

from typing import Any

from gunicorn import glogging  # type: ignore[import-untyped]

from renewal.redact import Tokens


class Logger(glogging.Logger):
    """gunicorn's own, but that no line of it opens a letter."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            for handler in log.handlers:
                handler.addFilter(Tokens())
