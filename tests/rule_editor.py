"""The editor of segments as it stands in a browser, over HTTP: only what the page offers can be chosen or pressed."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

from django.test import Client

from tests.test_segment_pages import text_of


class Form(HTMLParser):
    """The fields of the page's form as a browser would send them, what each select offers, and the buttons."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self.offers: dict[str, dict[str, str]] = {}
        self.buttons: list[str] = []
        self.select = ""
        self.option: str | None = None
        self.feed(html)
        for name, offered in self.offers.items():
            self.fields.setdefault(name, list(offered)[:1])  # a browser chooses the first

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        got = {name: value or "" for name, value in attrs}
        name = got.get("name", "")
        if tag == "input" and name and (got.get("type") != "checkbox" or "checked" in got):
            self.fields.setdefault(name, []).append(got.get("value", ""))
        elif tag == "select" and name:
            self.select = name
            self.offers[name] = {}
        elif tag == "option" and self.select:
            self.option = got["value"]
            self.offers[self.select][self.option] = ""
            if "selected" in got:
                self.fields[self.select] = [self.option]
        elif tag == "button" and name == "do":
            self.buttons.append(got["value"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self.select = ""
        self.option = self.option if tag != "option" else None

    def handle_data(self, data: str) -> None:
        if self.select and self.option is not None:
            self.offers[self.select][self.option] += data


class Editor:
    """The page as it stands in a browser."""

    def __init__(self, client: Client, address: str, language: str = "zh-hans") -> None:
        self.client, self.address, self.language = client, address, language
        self.show(client.get(address, headers={"accept-language": language}))

    def show(self, response: Any, status: int = 200) -> None:
        assert response.status_code == status, response.status_code
        self.html = text_of(response)
        self.form = Form(response.content.decode())

    def press(self, do: str, status: int = 200, **more: str) -> Any:
        """A button of the page, by its value."""
        assert do in {"restore", *self.form.buttons}, (do, self.form.buttons)
        response = self.client.post(
            self.address, {**self.form.fields, "do": do, **more}, headers={"accept-language": self.language}
        )
        if response.status_code != 302:
            self.show(response, status)
        return response

    def fill(self, name: str, *values: str) -> None:
        """A field gets a value, of a select one that it offers; the page is sent at once."""
        assert name in self.form.fields or name in self.html, (name, list(self.form.fields))
        if name in self.form.offers:
            assert set(values) <= set(self.form.offers[name]), (values, self.form.offers[name])
        self.form.fields[name] = list(values)
        self.press("look")

    @property
    def draft(self) -> Any:
        found = re.search(r'<script id="draft" type="application/json">(.*?)</script>', self.html)
        assert found
        return json.loads(found[1])

    @property
    def words(self) -> list[str]:
        return re.findall(r'<p class="preview__words" lang="\w+">([^<]+)</p>', self.html)

    @property
    def faults(self) -> list[str]:
        return [fault for fault in re.findall(r'<p class="fault"[^>]*>([^<]*)</p>', self.html) if fault]

    def count(self) -> int:
        found = re.search(r'id="count">([\d,]+)', self.html)
        assert found, self.faults
        return int(found[1].replace(",", ""))
