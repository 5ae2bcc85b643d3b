"""The form of a repository: the sections of its recipe in their order, and what fields can be."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request, url_for
from pydantic import Field

from repoman.plugin import (
    AccessSection,
    CleanupSection,
    ConnectorSection,
    GroupSection,
    HttpClientSection,
    Invalid,
    ManagedRepositories,
    NegativeCacheSection,
    ProxySection,
    QuotaSection,
    Recipe,
    RemoteState,
    RepomanError,
    Repository,
    RepositoryType,
    RoutingSection,
    Section,
    SectionForm,
    Step,
    StorageSection,
    current_repoman,
    page_call,
)

# The sections in the order of a form; others, which formats bring, are where Section stands.
ORDER: tuple[type[Section], ...] = (
    *(ConnectorSection, AccessSection, ProxySection, Section, NegativeCacheSection),
    *(HttpClientSection, GroupSection, RoutingSection, StorageSection, QuotaSection),
    CleanupSection,
)
SCHEMES = {"http_port": "http", "https_port": "https"}
PORT_MAX = 65_535
DEFAULT_STORE = "default"
UPSTREAM, TRACE = "upstream", "trace"  # What can be tried before it is saved.


class General(Section):
    """What every repository has."""

    name: str = Field(
        max_length=200,
        description="Letters, digits, '-', '_' and '.'. It cannot be changed later.",
    )
    online: bool = Field(
        True, description="If not, clients get an error, and the content stays as it is."
    )


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a trial of settings that are not saved.

    Attributes:
        what: ``UPSTREAM`` or ``TRACE``.
        problem: why there was no trial; empty: there was one.
    """

    what: str
    problem: str = ""
    remote: RemoteState | None = None
    steps: Sequence[Step] = ()


class RepositoryForm(SectionForm):
    """The form of a new repository, or of one that there is.

    Args:
        managed: what the visitor may do.
        may_edit: whether the fields can be changed.
    """

    def __init__(
        self,
        recipe: Recipe,
        managed: ManagedRepositories,
        repository: Repository | None = None,
        *,
        may_edit: bool = True,
    ) -> None:
        self._recipe = recipe
        self._managed = managed
        self._repository = repository
        self.kinds = dict(sorted(recipe.sections.items(), key=lambda item: _rank(item[1])))
        sections: dict[str, type[Section]] = {"": General, **self.kinds}
        super().__init__(
            sections,
            None if repository is None else _stored(repository),
            choices=dict(_choices(recipe, repository)),
            fixed=_fixed(sections, is_new=repository is None, may_edit=may_edit),
            without=_without(recipe),
            attrs=dict(self._checks()),
        )

    def tell_ports(self) -> None:
        """Say of each port that is stored how it is."""
        sections = {} if self._repository is None else self._repository.config.sections
        for name, section in sections.items():
            for key, scheme, port in section.ports():
                report = self._managed.report_port(port, scheme)
                self.say(f"{name}.{key}", report.advice, is_good=report.is_good)

    def explain_ports(self) -> None:
        """Say of each port that was refused, or will be, which ones near it are free."""
        is_new = self._repository is None
        for path, scheme in self._ports():
            is_doubted = is_new or path in self.errors
            port = read_port(self.field(path).text) if is_doubted else None
            if port is not None:
                report = self._managed.report_port(port, scheme)
                if not report.is_good:
                    self.errors[path] = report.advice

    def try_out(self) -> Tried:
        """Return what comes of the trial that a button asked for; nothing is saved."""
        self.read(request.form)
        what = request.form["try"]
        trial = SectionForm(self.kinds, self._stored, without=self._without, fixed=self._fixed)
        try:
            values = trial.read(request.form).values()
            if what == TRACE:
                path = request.form.get("trace.path", "").strip()
                if not path:
                    raise Invalid("Enter a path.")
                return Tried(what, steps=self._managed.trace(self._recipe, values, path))
            return Tried(what, remote=self._managed.examine(self._recipe, values))
        except RepomanError as error:
            trial.refuse(error)
        self.errors.update(trial.errors)
        return Tried(what, " ".join(_told(trial)))

    def _ports(self) -> Iterator[tuple[str, str]]:
        """Yield the paths of the ports, and their schemes."""
        for name, kind in self.kinds.items():
            if issubclass(kind, ConnectorSection):
                for key, scheme in SCHEMES.items():
                    yield f"{name}.{key}", scheme

    def _checks(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        name = "" if self._repository is None else self._repository.name
        for path, scheme in self._ports():
            url = url_for("repositories.report_port", scheme=scheme, name=name or None)
            yield path, {"data-check": url}


def read_port(text: str) -> int | None:
    """Return the port that a text names; None if it is no port."""
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(PORT_MAX))
    return int(text) if is_number and 1 <= int(text) <= PORT_MAX else None


def _told(form: SectionForm) -> Iterator[str]:
    """Yield what is wrong, in sentences."""
    if form.problem:
        yield form.problem
    for each in form.wrong_fields():
        yield f"{each.label}: {each.error}"


def _rank(kind: type[Section]) -> int:
    known = (place for place, each in enumerate(ORDER) if each is not Section)
    return next((place for place in known if issubclass(kind, ORDER[place])), ORDER.index(Section))


def _stored(repository: Repository) -> dict[str, dict[str, Any]]:
    config = repository.config
    return {"": {"name": config.name, "online": config.is_online}, **config.settings()}


def _fixed(
    sections: Mapping[str, type[Section]], *, is_new: bool, may_edit: bool
) -> frozenset[str]:
    if not may_edit:
        return frozenset(
            f"{key}.{name}".lstrip(".")
            for key, model in sections.items()
            for name in model.model_fields
        )
    return frozenset() if is_new else frozenset({"name", "storage.blob_store"})


def _without(recipe: Recipe) -> tuple[str, ...]:
    """Return the fields that mean nothing: a group stores nothing of its own."""
    is_group = recipe.type is RepositoryType.GROUP
    has_default = DEFAULT_STORE in current_repoman().blob_stores.names()
    return ("storage.blob_store",) if is_group and has_default else ()


# Choices -----------------------------------------------------------------------------------------


def _choices(
    recipe: Recipe, repository: Repository | None
) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield what fields can be at present, by path."""
    repoman = current_repoman()
    for name, kind in recipe.sections.items():
        if issubclass(kind, StorageSection):
            yield f"{name}.blob_store", [(each, each) for each in repoman.blob_stores.names()]
        elif issubclass(kind, RoutingSection):
            rules = [(each.name, each.name) for each in repoman.routing_rules.all()]
            yield f"{name}.rule", [("", "none"), *rules]
        elif issubclass(kind, CleanupSection):
            yield f"{name}.policy_names", _policies(recipe)
        elif issubclass(kind, GroupSection):
            members = _members(recipe, repository)
            yield f"{name}.members", [(each.name, _described(each)) for each in members]
            hosted = [each for each in members if each.config.type is RepositoryType.HOSTED]
            named = [(each.name, each.name) for each in hosted]
            yield f"{name}.writable_member", [("", "nobody: the group is only read"), *named]


def _policies(recipe: Recipe) -> list[tuple[str, str]]:
    found = current_repoman().cleanup_policies.all()
    return [
        (each.name, f"{each.name}: {each.notes}" if each.notes else each.name)
        for each in found
        if each.fits(recipe.format)
    ]


def _members(recipe: Recipe, repository: Repository | None) -> list[Repository]:
    """Return the repositories that the visitor may know of, and that the group may contain."""
    present: tuple[str, ...] = ()
    name = "" if repository is None else repository.name
    if repository is not None:
        for section in repository.config.sections.values():
            present += section.members if isinstance(section, GroupSection) else ()
    managed = ManagedRepositories(page_call())
    groups = {each.name for each in current_repoman().repositories.groups_with(name)}
    return [
        each
        for each in current_repoman().repositories.all()
        if each.config.format == recipe.format
        and each.name not in (name, *groups)
        and (each.name in present or managed.knows(each.name))
    ]


def _described(repository: Repository) -> str:
    config = repository.config
    proxy = config.sections.get("proxy")
    parts = [str(config.type)]
    if isinstance(proxy, ProxySection):
        parts.append(proxy.remote.partition("://")[2])
    if repository.problem is not None:
        parts.append("does not work")
    elif not config.is_online:
        parts.append("offline")
    return f"{config.name} ({', '.join(parts)})"
