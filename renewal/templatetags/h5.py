"""The tags of the tenants' pages: an icon, and Django's `translate`, `static` and `url` said once.

What a tag with a constant says depends on the language alone, and where a page stands on its name and what stands in
the address. Django works it out at every look, and a letter has some ninety of them: here it is kept. Loaded after
Django's own: `{% load i18n static h5 %}`.
"""

from __future__ import annotations

from functools import lru_cache

from django import template
from django.template import defaulttags
from django.template.base import Node, Parser, Token
from django.template.context import Context
from django.templatetags import i18n, static
from django.urls import reverse
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language

register = template.Library()


class Constant(Node):
    """What a node says in each language, once it has said it."""

    child_nodelists = ()

    def __init__(self, node: Node) -> None:
        self.node = node
        self.said: dict[str | None, str] = {}

    def render(self, context: Context) -> str:
        language = get_language()
        if language not in self.said:
            self.said[language] = self.node.render(context)
        return self.said[language]


@register.tag
def translate(parser: Parser, token: Token) -> Node:
    node = i18n.do_translate(parser, token)
    said = node.filter_expression
    is_constant = said.var.literal is not None and not said.filters
    return Constant(node) if is_constant and node.asvar is None and node.message_context is None else node


@register.tag("static")
def address(parser: Parser, token: Token) -> Node:
    node = static.do_static(parser, token)
    is_constant = not node.path.is_var and not node.path.filters
    return Constant(node) if is_constant and node.varname is None else node


class Address(defaulttags.URLNode):
    """Django's `url` without an `as`: every address under /r/ is made of a page's name and a token or a word."""

    def render(self, context: Context) -> str:
        values = [arg.resolve(context) for arg in self.args]
        return conditional_escape(_address(self.view_name.resolve(context), *values))


@lru_cache(maxsize=1024)
def _address(page: str, *values: str) -> str:
    return reverse(page, args=values)


@register.tag
def url(parser: Parser, token: Token) -> Node:
    node = defaulttags.url(parser, token)
    return node if node.asvar or node.kwargs else Address(node.view_name, node.args, {}, None)


@register.simple_tag
@lru_cache(maxsize=256)
def icon(name: str) -> SafeString:
    """A line icon beside words that say the same."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>\n',  # its line end is a space
        static.static("h5/icons.svg"),
        name,
    )
