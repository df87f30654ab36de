"""Named variables in a text, filled in. No template engine: a name in braces is replaced, once, and nothing else is.

A value that is missing, or longer than its field, gives way to the field's fallback. Where that is empty, the whole
sentence goes: a reader never meets half of one. What a value contains is never looked at again for names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

NAME = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}")
SENTENCE = re.compile(r"[^。！？；\n]*[。！？；\n]|[^。！？；\n]+")
CODE = "{code}"  # the outbox puts six digits there, as it leaves


@dataclass(frozen=True, slots=True)
class Field:
    """A variable of a text: what fills it, how long it may be, and what stands there without a value."""

    name: str
    value: str  # one of `tenants.templatechecks.VALUES`
    kind: str = "text"
    most: int = 35  # characters
    fallback: str = ""


def names(text: str) -> list[str]:
    """The names in braces, in their order."""
    return NAME.findall(text)


def sentences(text: str) -> list[str]:
    return SENTENCE.findall(text)


def said(fields: Iterable[Field], values: Mapping[str, str]) -> dict[str, str]:
    """What each field says: its value, or its fallback."""
    found = {}
    for each in fields:
        value = plain(values.get(each.value, ""))
        found[each.name] = value if 0 < len(value) <= each.most or value == CODE else each.fallback
    return found


def plain(value: str) -> str:
    """A value as it stands in a sentence: on one line, without braces and without a full stop of its own."""
    if value == CODE:
        return value
    return " ".join(re.sub(r"[{}\x00-\x1f\x7f\u2028\u2029]", " ", value).split()).rstrip("。.；;，,！! ")


def compose(text: str, filled: Mapping[str, str]) -> str:
    """The text with its names filled in; a sentence with a name that has nothing to say is left out whole."""
    kept = [each for each in sentences(text) if all(filled.get(name) for name in names(each))]
    told = NAME.sub(lambda found: filled[found[1]], "".join(kept)).strip()
    # What came after the semicolon is gone.
    return told[:-1] + "。" if told.endswith("；") else told
