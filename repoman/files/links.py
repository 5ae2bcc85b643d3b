"""Pages of links, by which many servers list their files for browsers and programs alike."""

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

from repoman.files.format import Rendered


@dataclass(frozen=True, slots=True)
class Link:
    """A link; ``attributes`` are the others of its element, empty where they have no value."""

    url: str
    text: str
    attributes: Mapping[str, str] = field(default_factory=dict)


def read_links(body: bytes, url: str) -> list[Link]:
    """Return the links of a page that came from an address, with whole addresses.

    Links that lead nowhere are left out.

    Raises:
        ValueError: the page is not UTF-8, or no HTML.
    """
    parser = _Parser(url)
    try:
        parser.feed(body.decode())
    except AssertionError as error:  # the library means a declaration that it does not know
        raise ValueError(str(error)) from error
    return parser.links


def render_links(
    title: str,
    links: Iterable[Link],
    media_type: str = "text/html",
    meta: Mapping[str, str] | None = None,
) -> Rendered:
    """Return a page of links; ``meta`` are its metadata by name."""
    named = (f'<meta name="{_text(k)}" content="{_text(v)}">' for k, v in (meta or {}).items())
    head = f"<html><head>{''.join(named)}<title>{_text(title)}</title></head>"
    lines = [head, f"<body><h1>{_text(title)}</h1>", *map(_element, links), "</body></html>\n"]
    return Rendered("\n".join(["<!DOCTYPE html>", *lines]).encode(), f"{media_type}; charset=utf-8")


def _element(link: Link) -> str:
    attributes = {"href": link.url, **link.attributes}
    written = " ".join(f'{name}="{_text(text)}"' for name, text in attributes.items())
    return f"<a {written}>{_text(link.text)}</a><br>"


_text = html.escape


class _Parser(HTMLParser):
    """Reads links, and the base of their addresses; skips everything else."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.links: list[Link] = []
        self._base = url
        self._link: Link | None = None
        self._texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: text or "" for name, text in attrs}
        href = given.pop("href", None)
        if href is None:
            return
        try:
            url = urljoin(self._base, href.strip())
        except ValueError:  # Other links of the page are none the worse for it.
            return
        if tag == "base":
            self._base = url
        elif tag == "a":
            self._link, self._texts = Link(url, "", given), []

    def handle_data(self, data: str) -> None:
        if self._link is not None:
            self._texts.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._link is not None:
            text = "".join(self._texts).strip()
            self.links.append(Link(self._link.url, text, self._link.attributes))
            self._link = None
