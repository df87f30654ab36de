"""The one way out to other systems: time-outs, no redirects, no retries, and failures told apart.

What matters of a failure is whether a byte of the request can have left. `NotSent` says that none did: the
message may be sent again. `Unclear` says that it may have arrived.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationValueError

CONNECT, READ, TOTAL = 3.0, 8.0, 10.0  # seconds
MOST = 1 << 20  # bytes of an answer that are read


class NotSent(Exception):
    """No byte of the request left the house."""


class Unclear(Exception):
    """The request may have arrived: no answer, or none that can be read."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises `Unclear` if it is none: what a provider says unreadably it has not said."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Unclear(f"HTTP {self.status}, not JSON") from error


# What goes wrong while a connection is made, its TLS handshake included, goes wrong before a byte of the request.
# What goes wrong later looks the same to whoever only sees the exception: a TLS error may come after the request.
class _Connection(HTTPConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except (HTTPError, OSError) as error:
            raise NotSent(_words(error)) from error


class _TlsConnection(HTTPSConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except (HTTPError, OSError) as error:
            raise NotSent(_words(error)) from error


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Way:
    """Connections to one provider, kept open between calls and safe to share between threads."""

    def __init__(self, *, connections: int = 8, total: float = TOTAL) -> None:
        self.total = total
        self.pool = urllib3.PoolManager(
            num_pools=4,
            maxsize=connections,
            retries=False,
            timeout=urllib3.Timeout(connect=min(CONNECT, total), read=min(READ, total), total=total),
        )
        self.pool.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request and its answer, be it a redirect; `fields` are the query. Raises `NotSent` or `Unclear`."""
        ends = time.monotonic() + self.total
        try:
            response = self.pool.urlopen(
                method,
                _with(url, fields),
                headers=dict(headers or {}),
                body=body,
                redirect=False,
                preload_content=False,
            )
        except LocationValueError as error:  # the address is none
            raise NotSent(_words(error)) from error
        except HTTPError as error:
            raise Unclear(_words(error)) from error
        try:
            parts, size = [], 0
            # A server that drips its answer byte by byte would otherwise never run into the time-out.
            while _wait_until(response, ends) and (part := response.read1(1 << 16)):
                parts.append(part)
                size += len(part)
                if size > MOST or time.monotonic() > ends:
                    raise Unclear("the answer has no end")
            response.release_conn()
        except HTTPError as error:
            response.close()
            raise Unclear(_words(error)) from error
        except Unclear:
            response.close()
            raise
        return Reply(response.status, response.headers, b"".join(parts))

    def close(self) -> None:
        """No connection stays open."""
        self.pool.clear()


def _with(url: str, fields: Mapping[str, str] | None) -> str:
    if not fields:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(fields)}"


def _wait_until(response: urllib3.BaseHTTPResponse, ends: float) -> bool:
    """The next part of the answer is waited for no longer than until then."""
    sock = getattr(response.connection, "sock", None)
    if sock is not None:
        sock.settimeout(max(ends - time.monotonic(), 0.001))
    return True


def _words(error: Exception) -> str:
    """What went wrong without the address: a robot's key and a token stand in it."""
    return type(error).__name__
