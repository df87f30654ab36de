"""Log lines without what opens a letter, or a provider's door: a token in an address is as good as a key."""

from __future__ import annotations

import logging
import re

TOKEN = re.compile(
    r"(?i:(/(?:r/once|[rms])/)[a-z2-7]{26}|([?&](?:access_token|corpsecret|secret|key)=)[^&\s\"']+)"
    r"|(?<![A-Za-z0-9])(?:[a-z2-7]{26}|[A-Z2-7]{26})(?![A-Za-z0-9])"  # wherever else somebody may put one
)


class Tokens(logging.Filter):
    """Replaces each token in a line by an ellipsis."""

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.getMessage()
        if TOKEN.search(line):
            record.msg, record.args = TOKEN.sub(r"\1\2…", line), ()
        return True
