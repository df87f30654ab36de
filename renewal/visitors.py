"""Whether who asks is a machine, by what it says of itself. Good enough to keep counts apart; it never proves a person.

That somebody is a person is proven by a gesture or a code alone (tenants/links.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.conf import settings

# Crawlers, messengers' previews, scanners of security products, scripts and headless browsers, as they sign.
SIGNS = re.compile(
    r"(?<!cu)bot\b|crawl|spider|slurp|preview|scan|monitor|probe|fetch|http-?client|facebookexternalhit|embedly|"
    r"headless|phantom|puppeteer|playwright|selenium|lighthouse|curl|wget|python|java/|okhttp|go-http|\bnode|axios|libwww",
    re.IGNORECASE,
)
PREFETCH = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")


def is_machine(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a request is a machine's: HEAD, a prefetch or a preview, or a sender that names itself one or nothing."""
    if method == "HEAD" or any(headers.get(name) for name in PREFETCH):
        return True
    agent = headers.get("User-Agent", "").strip()
    return not agent or SIGNS.search(agent) is not None


def address(facts: Mapping[str, str]) -> str:
    """The address a request came from, as the last of our own proxies saw it: what stands before that, anybody can say.

    `facts` as in WSGI. Without proxies (`PROXIES`), or where one is missing, the address of who is connected.
    """
    seen = facts.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if 0 < settings.PROXIES <= len(seen) and (said := seen[-settings.PROXIES].strip()):
        return said
    return facts.get("REMOTE_ADDR", "")
