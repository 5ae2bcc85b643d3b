"""The simple index in its forms: HTML (PEP 503, 592, 629, 658) and JSON (PEP 691, 700, 714).

The value of a project's page is a mapping as in JSON, whose files have the key ``_url`` where a
remote has them. The value of the page of all projects has their ``names``.
"""

import html
import json
from collections.abc import Iterable, Iterator, Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, unquote, urldefrag, urljoin

from packaging.version import Version

from repoman.plugin import Rendered
from repoman_pypi.paths import path_of, project_of, split_filename

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
TEXT = "text/html"
ACCEPT = f"{JSON}, {HTML};q=0.2, {TEXT};q=0.1"
API_VERSION = "1.1"
API_VERSION_MIN = "1.0"  # of a page with files whose sizes or times are not known
KEPT = ("project-status",)  # Further keys of a project that are passed on.
# Older names of core-metadata: pip 22.3 to 23.0 fails at them in JSON (PEP 714).
OLDER = ("dist-info-metadata", "data-dist-info-metadata")

Page = Mapping[str, Any]


def parse(body: bytes, media_type: str, url: str) -> dict[str, Any]:
    """Return the page that a remote sent (ValueError, KeyError, TypeError: it cannot be read)."""
    if media_type != JSON:
        return PageParser(url).read(body.decode())
    given: dict[str, Any] = json.loads(body)
    if not str(given["meta"]["api-version"]).startswith("1."):
        raise ValueError("the version of the API is not 1")
    return given


def project_page(name: str, given: Page, url: str) -> Page:
    """Return the page of a project as it was sent from an address."""
    files = [
        {**each, "_url": urljoin(url, each["url"])}
        for each in given["files"]
        if split_filename(each["filename"]) is not None
    ]
    return {"name": name, "files": files, **{key: given[key] for key in KEPT if key in given}}


def root_page(given: Page) -> Page:
    """Return the page of all projects."""
    listed = given.get("projects")
    texts = [each["name"] for each in (given["files"] if listed is None else listed)]
    return {"names": sorted(filter(None, map(project_of, texts)))}


def merge_projects(name: str, pages: Iterable[Page]) -> Page:
    """Return one page for those of several repositories; the first one wins each file."""
    files: dict[str, Mapping[str, Any]] = {}
    for page in pages:
        for each in page["files"]:
            files.setdefault(each["filename"], each)
    return {"name": name, "files": list(files.values())}


def render_root(page: Page, form: str) -> Rendered:
    """Return the page of all projects in a form."""
    if form == JSON:
        projects = [{"name": each} for each in page["names"]]
        return _json({"meta": {"api-version": API_VERSION}, "projects": projects})
    return _html("Simple index", (f'<a href="{n}/">{n}</a><br>' for n in page["names"]), form)


def render_project(page: Page, form: str) -> Rendered:
    """Return the page of a project in a form; links are relative to it."""
    files = [_shown(each) for each in page["files"]]
    if form != JSON:
        return _html(f"Links for {page['name']}", map(_link, files), form)
    is_complete = all("size" in each and "upload-time" in each for each in files)
    versions = {split[1] for each in files if (split := split_filename(each["filename"]))}
    return _json(
        {
            "meta": {"api-version": API_VERSION if is_complete else API_VERSION_MIN},
            "name": page["name"],
            "versions": sorted(versions, key=Version),
            "files": files,
            **{key: page[key] for key in KEPT if key in page},
        }
    )


def _shown(file: Page) -> dict[str, Any]:
    shown = {key: value for key, value in file.items() if not key.startswith("_")}
    older = [shown.pop(key, False) for key in OLDER]
    shown["core-metadata"] = shown.get("core-metadata") or next(filter(None, older), False)
    shown["url"] = f"../../{quote(path_of(file['filename']) or '')}"
    shown.setdefault("hashes", {})
    return shown


def _link(file: Page) -> str:
    digest = file["hashes"].get("sha256")
    url = f"{file['url']}#sha256={digest}" if digest else file["url"]
    attributes = {"href": url}
    if requires := file.get("requires-python"):
        attributes["data-requires-python"] = requires
    if yanked := file.get("yanked"):
        attributes["data-yanked"] = "" if yanked is True else yanked
    if known := file["core-metadata"]:
        is_digest = isinstance(known, Mapping) and "sha256" in known
        text = f"sha256={known['sha256']}" if is_digest else "true"
        attributes |= {"data-core-metadata": text, "data-dist-info-metadata": text}
    written = " ".join(f'{key}="{html.escape(str(text))}"' for key, text in attributes.items())
    return f"<a {written}>{html.escape(file['filename'])}</a><br>"


def _html(title: str, lines: Iterable[str], form: str) -> Rendered:
    text = "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html><head><meta name="pypi:repository-version" content="{API_VERSION_MIN}">',
            f"<title>{title}</title></head>",
            f"<body><h1>{title}</h1>",
            *lines,
            "</body></html>\n",
        ]
    )
    return Rendered(text.encode(), f"{form}; charset=utf-8")


def _json(value: Page) -> Rendered:
    return Rendered(json.dumps(value, separators=(",", ":")).encode(), JSON)


class PageParser(HTMLParser):
    """Reads a page of links: only anchors and the base count."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._base = url
        self._files: list[dict[str, Any]] = []
        self._file: dict[str, Any] | None = None

    def read(self, text: str) -> dict[str, Any]:
        """Return the page."""
        self.feed(text)
        return {"files": self._files}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a link, or take the base of all links."""
        given = dict(attrs)
        href = given.get("href")
        if href is None:
            return
        if tag == "base":
            self._base = urljoin(self._base, href)
        if tag == "a":
            self._file = _file_of(urljoin(self._base, href), given)

    def handle_data(self, data: str) -> None:
        """Take the text of a link."""
        if self._file is not None:
            self._file["filename"] += data.strip()

    def handle_endtag(self, tag: str) -> None:
        """End a link."""
        if tag == "a" and self._file is not None:
            last = unquote(self._file["url"].rstrip("/").rpartition("/")[2])
            if split_filename(last) is not None:
                self._file["filename"] = last
            self._files.append(self._file)
            self._file = None


def _file_of(link: str, given: Mapping[str, str | None]) -> dict[str, Any]:
    url, fragment = urldefrag(link)
    file: dict[str, Any] = {"filename": "", "url": url, "hashes": dict(_hashes(fragment))}
    if requires := given.get("data-requires-python"):
        file["requires-python"] = requires
    if "data-yanked" in given:
        file["yanked"] = given["data-yanked"] or True
    known = given.get("data-core-metadata", given.get("data-dist-info-metadata"))
    if known is not None:
        file["core-metadata"] = dict(_hashes(known)) or True
    return file


def _hashes(text: str) -> Iterator[tuple[str, str]]:
    for each in text.split("&"):
        name, _, digest = each.partition("=")
        if name in ("sha256", "sha512", "sha384", "sha1", "md5") and digest:
            yield name, digest.lower()
