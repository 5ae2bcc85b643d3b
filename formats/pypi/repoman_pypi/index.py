"""The simple index in its forms: HTML (PEP 503, 592, 629, 658) and JSON (PEP 691, 700, 714).

The value of a project's page is a mapping as in JSON, whose files have the keys ``_version`` and,
where a remote has them, ``_url``. The value of the page of all projects has their ``names``.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urldefrag, urljoin

from packaging.version import Version
from pydantic import BaseModel, ConfigDict, Field

from repoman.plugin import File, Link, Rendered, read_links, render_json, render_links
from repoman_pypi.paths import file_of, project_of

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
TEXT = "text/html"
FORMS = (TEXT, HTML, JSON)  # The first one is for clients that do not care.
ACCEPT = f"{JSON}, {HTML};q=0.2, {TEXT};q=0.1"
API_VERSION = "1.1"
API_VERSION_MIN = "1.0"  # Of a page with files whose sizes or times are not known.
ALGORITHMS = ("sha256", "sha512", "sha384", "sha1", "md5")
STATUS = "project-status"  # A further key of a project that is passed on.
DESCRIBED = "core-metadata"
# Its former names, which have to go: pip 22.3 to 23.0 fails at them in JSON (PEP 714).
FORMER = ("dist-info-metadata", "data-dist-info-metadata")
# What a link may say of its file as texts; other things have other types in JSON.
LINKED = ("requires-python", "yanked", "provenance", DESCRIBED, FORMER[0])
DATA = "data-"  # In front of the keys of a file where they are attributes of a link.

Page = Mapping[str, Any]


class _File(BaseModel):
    """A file as a remote lists it; further keys are passed on."""

    model_config = ConfigDict(extra="allow", alias_generator=lambda name: name.replace("_", "-"))

    filename: str
    url: str
    hashes: dict[str, str] = Field(default_factory=dict)
    size: int | None = Field(None, ge=0)
    requires_python: str | None = None
    yanked: bool | str = False


class _Project(BaseModel):
    name: str


class _Page(BaseModel):
    meta: dict[str, Any]
    files: list[_File] = Field(default_factory=list)
    projects: list[_Project] = Field(default_factory=list)
    status: Any = Field(None, alias=STATUS)


def parse(project: str, body: bytes, media_type: str, url: str) -> Page:
    """Return the page of a project that came from an address; without a name: of all projects.

    Raises:
        ValueError, TypeError, KeyError: it cannot be read.
    """
    if media_type.endswith("json"):
        given = _Page.model_validate_json(body)
        if not str(given.meta["api-version"]).startswith("1."):
            raise ValueError("the version of the API is not 1")
        if ("files" if project else "projects") not in given.model_fields_set:
            raise ValueError("it has no list")
        status, names = given.status, [each.name for each in given.projects]
        files = [each.model_dump(by_alias=True, exclude_unset=True) for each in given.files]
    else:
        links = read_links(body, url)
        status, names = None, [each.text for each in links]
        files = [_file_of(each) for each in links]
    if not project:
        return {"names": sorted(set(filter(None, map(project_of, names))))}
    named = ((each, file_of(each["filename"])) for each in files)
    known = (_known(each, file, url) for each, file in named if file and file.package == project)
    return {"name": project, "files": list(filter(None, known)), STATUS: status}


def _file_of(link: Link) -> dict[str, Any]:
    url, fragment = urldefrag(link.url)
    last = unquote(url.rstrip("/").rpartition("/")[2])
    given: dict[str, Any] = {
        key: link.attributes[DATA + key] for key in LINKED if DATA + key in link.attributes
    }
    if given.get("yanked") == "":
        given["yanked"] = True
    name = last if file_of(last) else link.text
    return {**given, "filename": name, "url": url, "hashes": dict(parse_qsl(fragment))}


def _hashes(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests that can be checked, in the spelling in which they are compared."""
    texts = {name: text for name, text in given.items() if isinstance(text, str)}
    return {name: text.lower() for name, text in texts.items() if name in ALGORITHMS}


def _known(given: dict[str, Any], file: File, url: str) -> Page | None:
    """Return a file as it is kept; None: its address leads nowhere."""
    try:
        address = urljoin(url, given["url"])
    except ValueError:
        return None
    described = next(filter(None, [given.pop(key, False) for key in (DESCRIBED, *FORMER)]), False)
    if isinstance(described, str):
        described = dict(parse_qsl(described)) or True
    known = {
        "hashes": _hashes(given.get("hashes", {})),
        DESCRIBED: (_hashes(described) or True) if isinstance(described, dict) else bool(described),
    }
    return {**given, **known, **link_to(file), "_url": address}


def link_to(file: File) -> Page:
    """Return what the page of a project has of a file by its path, which is the same everywhere."""
    return {"url": f"../../{quote(file.path)}", "_version": file.version}


def render(page: Page, form: str) -> Rendered:
    """Return a page in a form; its links are relative."""
    return _root(page["names"], form) if "names" in page else _project(page, form)


def _root(names: list[str], form: str) -> Rendered:
    if form != JSON:
        return _html("Simple index", [Link(f"{each}/", each) for each in names], form)
    projects = [{"name": each} for each in names]
    return render_json({"meta": {"api-version": API_VERSION}, "projects": projects}, JSON)


def _project(page: Page, form: str) -> Rendered:
    files = [{k: v for k, v in each.items() if not k.startswith("_")} for each in page["files"]]
    if form != JSON:
        return _html(f"Links for {page['name']}", [_link(each) for each in files], form)
    is_complete = all(each.get("size") is not None and each.get("upload-time") for each in files)
    shown = {
        "meta": {"api-version": API_VERSION if is_complete else API_VERSION_MIN},
        "name": page["name"],
        "versions": sorted({each["_version"] for each in page["files"]}, key=Version),
        "files": files,
    }
    return render_json(shown | ({STATUS: page[STATUS]} if page.get(STATUS) else {}), JSON)


def _link(file: Page) -> Link:
    digest, described, yanked = file["hashes"].get("sha256"), file[DESCRIBED], file.get("yanked")
    known = described.get("sha256") if isinstance(described, Mapping) else None
    text = f"sha256={known}" if known else "true" if described else None
    given = {
        "data-requires-python": file.get("requires-python"),
        "data-core-metadata": text,
        "data-dist-info-metadata": text,
        "data-yanked": "" if yanked is True else yanked or None,
    }
    url = f"{file['url']}#sha256={digest}" if digest else file["url"]
    return Link(url, file["filename"], {k: v for k, v in given.items() if v is not None})


def _html(title: str, links: list[Link], form: str) -> Rendered:
    return render_links(title, links, form, {"pypi:repository-version": API_VERSION_MIN})
