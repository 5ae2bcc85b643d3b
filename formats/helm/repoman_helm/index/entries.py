"""The index: all charts of a repository, in memory as texts, because there may be very many."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urljoin

from pydantic import ValidationError

from repoman.plugin import NotFound, StoredFile, semver_key
from repoman_helm.index.charts import NOTHING, Chart, entry_text
from repoman_helm.index.yaml_files import parse_yaml
from repoman_helm.paths import ARCHIVE, path_of, split_path

TEXT_MAX_CHARS = 256 << 20  # A remote's index with more is refused: YAML may repeat its parts.
SHA256 = re.compile(r"[0-9a-f]{64}")
GENERATED = "1970-01-01T00:00:00Z"  # Clients ignore it, and equal indexes are to be equal texts.

Entry = tuple[str, str]
"""The metadata of a version as JSON without addresses, and its address at a remote."""
Index = Mapping[str, Mapping[str, Entry]]
"""Entries by name and version."""


def parse(body: bytes, url: str) -> Index:
    """Return the index that a remote sent from an address; entries that nobody could read go."""
    found: dict[str, dict[str, Entry]] = {}
    left = TEXT_MAX_CHARS
    entries = parse_yaml(body)["entries"]
    if not (isinstance(entries, dict) or entries in NOTHING):
        raise ValueError("its entries are no mapping")
    for versions in entries.values() if isinstance(entries, dict) else ():
        for each in versions if isinstance(versions, list) else ():
            entry = _entry(each, url)
            if entry is not None:
                chart, link = entry
                text = entry_text(chart.plain())
                left -= len(text)
                if left < 0:
                    raise ValueError(f"it has more than {TEXT_MAX_CHARS} characters")
                found.setdefault(chart.name, {}).setdefault(chart.version, (text, link))
    return found


def _entry(values: Any, url: str) -> tuple[Chart, str] | None:
    try:
        chart = Chart.model_validate(values)
        link = urljoin(url, values["urls"][0])
    except (ValidationError, ValueError, LookupError, TypeError):
        return None
    is_usable = chart.is_addressable and link.startswith(("http://", "https://"))
    return (chart, link) if is_usable else None


def digest_of(entry: Entry) -> str:
    """Return the SHA-256 of an archive, in hex; empty: the index does not tell."""
    digest = str(json.loads(entry[0]).get("digest", "")).lower().removeprefix("sha256:")
    return digest if SHA256.fullmatch(digest) else ""


def generate(files: Iterable[StoredFile]) -> Index:
    """Return the index of stored archives."""
    found: dict[str, dict[str, Entry]] = {}
    for each in files:
        parts, chart = split_path(each.path), each.attributes.get("chart")
        if parts and chart and each.path.endswith(ARCHIVE):
            name, version = parts
            at = datetime.fromtimestamp(each.updated_at, UTC).isoformat(timespec="microseconds")
            created = at.replace("+00:00", "Z")
            text = entry_text({**chart, "created": created, "digest": each.digest})
            found.setdefault(name, {})[version] = (text, "")
    return found


def merge(indexes: Sequence[Index]) -> Index:
    """Return one index for several ones; the first one wins each version."""
    found: dict[str, dict[str, Entry]] = {}
    for index in indexes:
        for name, versions in index.items():
            found[name] = {**versions, **found.get(name, {})}
    return found


def without(index: Index, names: Collection[str]) -> Index:
    """Return an index without some charts."""
    return {name: versions for name, versions in index.items() if name not in names}


def render(index: Index) -> bytes:
    """Return an index as JSON, which is YAML that clients read much faster.

    Addresses are relative, so they hold wherever it is served.
    """
    head = f'{{"apiVersion":"v1","generated":"{GENERATED}","entries":'
    return b"%b%b}\n" % (head.encode(), describe(index))


def describe(index: Index, name: str = "", version: str = "") -> bytes:
    """Return all charts as JSON, or the versions of one, or a version (NotFound)."""
    if not name:
        charts = (f'"{each}":[{_versions(each, index[each])}]' for each in sorted(index))
        return f"{{{','.join(charts)}}}".encode()
    found = index.get(name, {})
    if not (found and version in ("", *found)):
        raise NotFound(f"There is no chart {name} {version}".rstrip() + ".")
    text = _versions(name, {version: found[version]} if version else found)
    return (text if version else f"[{text}]").encode()


def _versions(name: str, versions: Mapping[str, Entry]) -> str:
    newest_first = sorted(versions, key=semver_key, reverse=True)
    return ",".join(
        f'{versions[each][0][:-1]},"urls":["{quote(path_of(name, each))}"]}}'
        for each in newest_first
    )
