"""The zip archive that a workbook is: looked at before anything is inflated, counted while it is."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator

from connectors.sources.workbook import Refused

MOST_MEMBERS = 200
MOST_BYTES = 100 << 20  # inflated, all members together
RATIO = 200  # times; a workbook of equal rows comes to thirty
SMALL = 1 << 20  # bytes below which the ratio does not matter
BLOCK = 1 << 16
BROKEN = (KeyError, zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


class Archive:
    """The members of a workbook, of which no more than `MOST_BYTES` are inflated."""

    def __init__(self, path: str) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as broken:
            raise Refused("damaged") from broken
        self._left = MOST_BYTES
        self._check()

    def _check(self) -> None:
        members = self._zip.infolist()
        if len(members) > MOST_MEMBERS:
            raise Refused("members")
        if sum(member.file_size for member in members) > MOST_BYTES:
            raise Refused("inflated")
        for member in members:
            parts = member.filename.replace("\\", "/").split("/")
            if ".." in parts or not parts[0] or stat.S_ISLNK(member.external_attr >> 16):
                raise Refused("members")
            if member.flag_bits & 1:
                raise Refused("password")
            if member.file_size > SMALL and member.file_size > RATIO * member.compress_size:
                raise Refused("inflated")

    @property
    def names(self) -> set[str]:
        return set(self._zip.namelist())

    def blocks(self, name: str) -> Iterator[bytes]:
        """The member's bytes, a block at a time."""
        for block in self._inflated(name):
            self._left -= len(block)
            if self._left < 0:
                raise Refused("inflated")
            yield block

    def count(self, name: str, sign: bytes) -> int:
        """About how often the sign stands in the member: those that two blocks share are not seen."""
        return sum(block.count(sign) for block in self._inflated(name))

    def _inflated(self, name: str) -> Iterator[bytes]:
        """No more than the size that the archive's directory gives, which `_check` has bounded."""
        try:
            with self._zip.open(name) as member:
                while block := member.read(BLOCK):
                    yield block
        except BROKEN as broken:
            raise Refused("damaged") from broken
