"""Compares answers with the templates of the vectors: shapes, names, nulls and values.

Texts that people read are not compared; a string in angle brackets stands for a value of that kind.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).with_name("vectors")
CLIENTS = json.loads((VECTORS / "clients_go_strict.json").read_text())
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")
SETS = ("actions", "privileges", "roles")  # Lists whose order says nothing.
SAMPLE_NUMBERS = ("availableSpaceInBytes", "fileSize")  # The template has examples of these.
SAMPLE_ADDRESS = "http://localhost:8081"
# Names that newer servers add, which no client minds.
NEWER = (
    *("size", "online"),
    *("alertEmail", "cronExpression", "enabled", "notificationCondition", "properties"),
    *("recurringDays", "schedule", "startDate", "timeZoneOffset"),
)
MEMBERS = {  # From the name of a member that is a model, to the model.
    "docker": "DockerAttributes",
    "dockerProxy": "DockerProxyAttributes",
    "httpClient": "HttpClientAttributes",
    "connection": "HttpClientConnectionAttributes",
    "authentication": "HttpClientConnectionAuthenticationAttributes",
    "negativeCache": "NegativeCacheAttributes",
    "proxy": "ProxyAttributes",
    "softQuota": "BlobStoreApiSoftQuota",
    "frequency": "FrequencyXO",
    "component": "ComponentAttributes",
    "cleanup": "CleanupPolicyAttributes",
    "replication": "ReplicationAttributes",
}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


KINDS = {
    "any": lambda _value: True,
    "str": lambda value: isinstance(value, str) and value != "",
    "int": _is_count,
    "bool": lambda value: isinstance(value, bool),
    "date": lambda value: isinstance(value, str) and DATE.fullmatch(value) is not None,
    "id": lambda value: isinstance(value, str) and re.fullmatch(r"[\w.~-]+", value) is not None,
    "hex digest of the manifest": lambda value: re.fullmatch("[0-9a-f]{64}", value) is not None,
    "text format 0.0.4": lambda value: "# TYPE " in value,
    "asset": lambda value: {"downloadUrl", "path", "checksum"} <= set(value),
    "downloadUrl": lambda value: "/repository/" in value,
    "PEM": lambda value: "BEGIN CERTIFICATE" in value,
}


class Matcher:
    """Compares values with templates.

    Args:
        address: of the server, in place of the one in the templates.
        is_open: whether an answer may have more names and items than its template.
        is_ordered: whether the order of objects in a list counts.
    """

    def __init__(self, address: str, *, is_open: bool = False, is_ordered: bool = False) -> None:
        self._address = address
        self._is_open = is_open
        self._is_ordered = is_ordered

    def differences(self, template: Any, value: Any, where: str = "body") -> Iterator[str]:
        """Yield what is different about a value, in words."""
        if isinstance(template, str):
            if not self._is_like(template, value, where):
                yield f"{where} is {value!r} and not {template!r}"
        elif isinstance(template, Mapping):
            yield from self._of_object(template, value, where)
        elif isinstance(template, Sequence):
            yield from self._of_list(template, value, where)
        elif where.endswith(SAMPLE_NUMBERS):
            if not _is_count(value):
                yield f"{where} is {value!r} and no number"
        elif value != template or isinstance(value, bool) is not isinstance(template, bool):
            yield f"{where} is {value!r} and not {template!r}"

    def _of_object(self, template: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, Mapping):
            yield f"{where} is {value!r} and no object"
            return
        if missing := template.keys() - value.keys():
            yield f"{where} lacks {', '.join(sorted(missing))}"
        more = value.keys() - template.keys() - set(NEWER)
        if more and not self._is_open:
            yield f"{where} has {', '.join(sorted(more))}, which no client knows"
        for name in template.keys() & value.keys():
            yield from self.differences(template[name], value[name], f"{where}.{name}")

    def _of_list(self, template: Sequence[Any], value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield f"{where} is {value!r} and no list"
            return
        expected = list(template)
        is_open = self._is_open
        if expected and isinstance(expected[-1], str) and expected[-1].startswith("<any:"):
            expected.pop()
            is_open = True
        if len(value) < len(expected) or (len(value) > len(expected) and not is_open):
            yield f"{where} has {len(value)} items and not {len(expected)}: {value!r}"
        elif where.endswith(SETS):
            if sorted(expected) != sorted(value):
                yield f"{where} is {value!r} and not {expected!r}"
        elif self._is_ordered or all(isinstance(each, str) for each in value):
            for number, each in enumerate(expected):
                yield from self.differences(each, value[number], f"{where}[{number}]")
        else:
            yield from self._of_heap(expected, value, where)

    def _of_heap(self, expected: list[Any], value: list[Any], where: str) -> Iterator[str]:
        rest = list(value)
        for each in expected:
            tries = [list(self.differences(each, item, f"{where}[?]")) for item in rest]
            best = min(range(len(rest)), key=lambda number: len(tries[number]))
            yield from tries[best]
            del rest[best]

    def _is_like(self, template: str, value: Any, where: str) -> bool:
        kind = template[1:-1] if template.startswith("<") and template.endswith(">") else None
        if kind is not None and (kind.startswith("regex ") or "<" not in kind):
            return _is_of_kind(kind, value)
        if not isinstance(value, str):
            return False
        if where.endswith(".message"):  # Texts are our own; the quotes around one are the form.
            return value.startswith('"') is template.startswith('"') and value != ""
        if DATE.fullmatch(template):
            return DATE.fullmatch(value) is not None
        wanted = re.escape(template.replace(SAMPLE_ADDRESS, self._address))
        return re.fullmatch(wanted.replace("<str>", ".+"), value, re.DOTALL) is not None


def _is_of_kind(kind: str, value: Any) -> bool:
    """Return whether a value is of a kind, such as ``int``, ``2 components`` or ``app 1.0``."""
    if found := re.fullmatch(r"regex (.+?)(, .*)?", kind):
        numbers = [int(each) for each in re.findall(r"\d+", value)]
        return re.search(found[1], value) is not None and max(numbers) <= 127
    if found := re.fullmatch(r"(\d+)( components?)?", kind):
        return isinstance(value, list) and len(value) == int(found[1])
    if found := re.fullmatch(r"(?:(\S+) )?(\d+\.\d+)", kind):
        return value["version"] == found[2] and found[1] in (None, value["name"])
    if found := re.fullmatch(r"downloadUrl of (\S+)", kind):
        return isinstance(value, str) and value.endswith(f"/{found[1]}")
    model = kind in CLIENTS["strict"] or kind in CLIENTS["lenient"]
    if model:
        return not list(refusals(kind, value))
    return KINDS[kind.partition(":")[0]](value)


def refusals(model: str, value: Any, where: str = "body") -> Iterator[str]:
    """Yield why a client that decodes a value into one of its models refuses it."""
    if model.startswith("[]"):
        for number, each in enumerate(value):
            yield from refusals(model[2:], each, f"{where}[{number}]")
        return
    strict, lenient = CLIENTS["strict"].get(model), CLIENTS["lenient"].get(model)
    known = lenient if strict is None else strict["required"] + strict["optional"]
    required = () if strict is None else strict["required"]
    if more := value.keys() - set(known):
        yield f"{where} ({model}) has {', '.join(sorted(more))}, which the client refuses"
    if missing := set(required) - value.keys():
        yield f"{where} ({model}) lacks {', '.join(sorted(missing))}"
    for name in MEMBERS.keys() & value.keys():
        if isinstance(value[name], Mapping):
            yield from refusals(MEMBERS[name], value[name], f"{where}.{name}")
    yield from _storage_refusals(model, value, where)


def _storage_refusals(model: str, value: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield what is wrong with the members whose model depends on the repository."""
    if "storage" in value:
        kind = "StorageAttributes"
        if "writePolicy" in value["storage"]:
            is_docker = model.startswith("Docker")
            kind = f"{'Docker' if is_docker else ''}HostedStorageAttributes"
        yield from refusals(kind, value["storage"], f"{where}.storage")
    if "group" in value and isinstance(value["group"], Mapping):
        has_writable = "Deploy" in model or model.startswith("Docker")
        kind = "GroupDeployAttributes" if has_writable else "GroupAttributes"
        yield from refusals(kind, value["group"], f"{where}.group")
