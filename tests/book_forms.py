"""The pages of playbooks as they stand in a browser, over HTTP: only what a page offers can be filled in or pressed."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

from django.test import Client

from tests.test_segment_pages import plain, text_of


class Forms(HTMLParser):
    """The forms of a page: of each its address, its fields as a browser would send them, and its buttons."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self.by_id: dict[str, dict[str, Any]] = {}
        self.open: dict[str, Any] | None = None
        self.select, self.option, self.is_template = "", "", False
        self.feed(html)
        for form in self.forms:
            for name, offered in form["offers"].items():
                form["fields"].setdefault(name, list(offered)[:1])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        got = {name: value or "" for name, value in attrs}
        name = got.get("name", "")
        if tag == "form":
            self.open = {"action": got.get("action", ""), "method": got.get("method", "get"), "id": got.get("id", "")}
            self.open |= {"fields": {}, "offers": {}, "buttons": []}
            self.forms.append(self.open)
            self.by_id[self.open["id"]] = self.open
        form = self.by_id.get(got["form"]) if "form" in got else self.open
        if form is None:
            return
        if tag == "button" and name == "do":
            form["buttons"].append(got["value"])
        elif tag == "input" and name and (got.get("type") not in ("checkbox", "radio") or "checked" in got):
            form["fields"].setdefault(name, []).append(got.get("value", ""))
        elif tag == "select" and name:
            self.select = name
            form["offers"][name] = {}
        elif tag == "option" and self.select:
            self.option = got["value"]
            form["offers"][self.select][self.option] = ""
            if "selected" in got:
                form["fields"][self.select] = [self.option]

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.open = None
        if tag == "select":
            self.select = ""

    def handle_data(self, data: str) -> None:
        if self.select and self.option and self.open:
            self.open["offers"][self.select][self.option] = data


class Visit:
    """Somebody's browser on one page."""

    def __init__(self, client: Client, address: str, language: str = "zh-hans") -> None:
        self.client, self.language = client, language
        self.go(address)

    def go(self, address: str, status: int = 200) -> None:
        self.address = address
        self.show(self.client.get(address, headers={"accept-language": self.language}, follow=True), status)

    def show(self, response: Any, status: int) -> None:
        assert response.status_code == status, response.status_code
        if getattr(response, "redirect_chain", None):
            self.address = response.redirect_chain[-1][0]
        self.raw = response.content.decode()
        self.html = text_of(response)
        self.forms = Forms(self.raw).forms

    def form(self, do: str) -> dict[str, Any]:
        """The form that has this button."""
        found = [form for form in self.forms if do in form["buttons"]]
        assert found, (do, [form["buttons"] for form in self.forms])
        return found[0]

    def press(self, do: str, status: int = 200, **typed: str | list[str]) -> None:
        """A button, with what was typed or chosen before it."""
        form = self.form(do)
        fields = dict(form["fields"])
        for name, value in typed.items():
            name = name.replace("__", ".")
            values = [value] if isinstance(value, str) else value
            if name in form["offers"]:
                assert set(values) <= set(form["offers"][name]), (name, values, form["offers"][name])
            fields[name] = values
        response = self.client.post(
            form["action"] or self.address,
            {**fields, "do": do},
            headers={"accept-language": self.language},
            follow=True,
        )
        self.show(response, status)

    @property
    def answer(self) -> str:
        return self.one(r'id="answer"[^>]*>(.*?)</h1>')

    @property
    def refused(self) -> str:
        return self.one(r'<p class="editor__refused" role="alert">(.*?)</p>')

    @property
    def faults(self) -> list[str]:
        return [unescape(fault) for fault in re.findall(r'<p class="fault"[^>]*>([^<]+)</p>', self.html)]

    def one(self, pattern: str) -> str:
        found = re.search(pattern, self.html)
        return plain(found[1]) if found else ""

    def all(self, pattern: str) -> list[str]:
        return [plain(found) for found in re.findall(pattern, self.html)]

    @property
    def steps(self) -> list[tuple[str, str]]:
        whens = self.all(r'<p class="steps__when">(.*?)</p>')
        return list(zip(whens, self.all(r'<div class="steps__said"> <p class="bubble">(.*?)</p>'), strict=True))
