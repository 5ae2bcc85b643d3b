"""What all pages of one repository share: its state, its tabs, and itself in short."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from flask import current_app, url_for

from repoman.plugin import (
    READING,
    Action,
    GroupSection,
    HostedStorageSection,
    ProxySection,
    QuotaSection,
    RemoteCondition,
    RemoteState,
    Repository,
    RepositoryAddress,
    RepositoryQuota,
    RepositoryTab,
    RepositoryType,
    Usage,
    WritePolicy,
    current_actor,
    current_repoman,
    current_security,
    list_reaching,
)
from repoman_web.views.rendering import number, relative, size

# The tabs of every format, behind its own ones; one without a view is left out.
COMMON = (
    RepositoryTab("paths", "All paths", "browse.paths"),
    RepositoryTab("uploads", "Open uploads", "browse.uploads"),
    RepositoryTab("activity", "Activity", "browse.activity"),
    RepositoryTab("space", "Space", "browse.of_repository"),
    RepositoryTab("use", "Use", "use.show"),
)
FILES = ("file", "files")
# The first tab of formats that have none of their own.
FILES_TAB = RepositoryTab("paths", "Files", "browse.paths")
OVERWRITING = {
    WritePolicy.ALLOW: "allowed",
    WritePolicy.ALLOW_ONCE: "not allowed",
    WritePolicy.DENY: "read-only",
}


@dataclass(frozen=True, slots=True)
class ShownTab:
    """A tab as a page shows it."""

    key: str
    title: str
    url: str
    count: int | None


def repository_tabs(repository: Repository) -> list[ShownTab]:
    """Return the tabs of a repository: those of its format, then those that all have."""
    return [
        ShownTab(
            each.key, each.title, url_for(each.endpoint, repository=repository.name), each.count
        )
        for each in _tabs(repository)
    ]


def first_tab(repository: Repository) -> RepositoryTab:
    """Return the tab that the address of a repository shows."""
    return next(_tabs(repository))


def _tabs(repository: Repository) -> Iterator[RepositoryTab]:
    own = list(chain(*current_repoman().plugins.hook.repoman_web_tabs(repository=repository)))
    common = COMMON if own else (FILES_TAB, *COMMON[1:])
    hidden = set() if repository.capabilities.upload_sessions else {"uploads"}
    hidden |= set() if _sees_all(repository) else {"space"}
    known = current_app.view_functions
    return (each for each in (*own, *common) if each.endpoint in known and each.key not in hidden)


def _sees_all(repository: Repository) -> bool:
    """Return whether a repository stores content, all of which the visitor may see."""
    may, actor = current_security().authorizer.may_do_everywhere, current_actor()
    is_group = repository.config.type is RepositoryType.GROUP
    return not is_group and any(may(actor, repository.ref, frozenset({each})) for each in READING)


# State --------------------------------------------------------------------------------------------


class State(NamedTuple):
    """A state in few words, and the tone in which pages show it."""

    text: str
    tone: str


class Notice(NamedTuple):
    """What visitors should know of a repository; ``can_check``: asking the upstream may mend it."""

    tone: str
    title: str
    text: str
    can_check: bool = False


REMOTE_STATES = {
    RemoteCondition.READY: State("not asked yet", "plain"),
    RemoteCondition.AVAILABLE: State("upstream answers", "good"),
    RemoteCondition.BLOCKED: State("upstream blocked", "warn"),
    RemoteCondition.AUTO_BLOCKED: State("upstream blocked", "warn"),
    RemoteCondition.UNAVAILABLE: State("upstream unavailable", "warn"),
    RemoteCondition.LOGIN_REFUSED: State("login refused", "warn"),
}


def state_of(repository: Repository) -> State:
    """Return how a repository is."""
    if repository.problem is not None:
        return State("does not work", "bad")
    if not repository.config.is_online:
        return State("offline", "bad")
    remote = repository.capabilities.remote
    if remote is None:
        return State("online", "good")
    return REMOTE_STATES.get(RemoteCondition(remote.state.condition), State("online", "good"))


def _notice_of(repository: Repository) -> Notice | None:
    if repository.problem is not None:
        stays = "Clients get an error until it does. What is stored stays as it is."
        return Notice("bad", "This repository does not work", f"{repository.problem} {stays}")
    if not repository.config.is_online:
        return Notice("warn", "This repository is offline", "Clients get an error until it is.")
    return _quota_notice(repository) or _upstream_notice(repository)


def _quota_notice(repository: Repository) -> Notice | None:
    """Return what visitors should know of the quota, if it is exceeded and they see all of it."""
    quota = _quota_of(repository)
    if quota is None or not (quota.refusal or quota.violation):
        return None
    if current_repoman().views.open(repository, current_actor()).usage() is None:
        return None
    if not quota.refusal:
        return Notice("warn", "The soft quota is exceeded", quota.violation)
    still = "It can be read, and what is deleted makes room."
    if repository.config.type is RepositoryType.PROXY:
        still = "What is not cached comes from the upstream each time."
    return Notice("bad", "The quota is used up", f"{quota.refusal} {still}")


def _quota_of(repository: Repository) -> RepositoryQuota | None:
    """Return the quota of a repository; None: it has none."""
    section = repository.config.sections.get("quota")
    if not isinstance(section, QuotaSection) or section == QuotaSection():
        return None
    return current_repoman().quotas.find(repository)


def _upstream_notice(repository: Repository) -> Notice | None:
    remote = repository.capabilities.remote
    return None if remote is None else _remote_notice(_upstream(repository), remote.state)


def _remote_notice(host: str, state: RemoteState) -> Notice | None:
    served = "What is cached is served meanwhile; for anything else, clients get an error."
    condition = RemoteCondition(state.condition)
    if condition is RemoteCondition.BLOCKED:
        return Notice("plain", f"{host} is blocked by the settings of this repository", served)
    if condition is RemoteCondition.LOGIN_REFUSED:
        return Notice("warn", f"{host} refuses the login of this repository", state.reason, True)
    if condition is RemoteCondition.AUTO_BLOCKED:
        again = "It is asked again with the next request."
        if state.blocked_until is not None and state.blocked_until > state.at:
            again = f"It is asked again {relative(state.blocked_until)}."
        text = f"{state.reason} {served} {again}"
        return Notice("warn", f"{host} is blocked for a while after failures", text, True)
    if condition is RemoteCondition.UNAVAILABLE:
        return Notice("warn", f"{host} does not answer", f"{state.reason} {served}", True)
    return None


def _upstream(repository: Repository) -> str:
    proxy = repository.config.sections.get("proxy")
    return urlsplit(proxy.remote).netloc if isinstance(proxy, ProxySection) else ""


# In short -----------------------------------------------------------------------------------------


def content_text(address: RepositoryAddress, usage: Usage) -> str:
    """Return how many packages a repository has, in the words of its format, or how many files."""
    packages = address.ui.packages
    return _counted(usage.packages, packages) if packages else _counted(usage.assets, FILES)


def version_text(address: RepositoryAddress, usage: Usage) -> str:
    """Return how many versions a repository has; empty if its format has none."""
    return _counted(usage.versions, address.ui.versions) if address.ui.versions else ""


def _counted(count: int, words: tuple[str, str]) -> str:
    return f"{number(count)} {words[0] if count == 1 else words[1]}"


def members_of(repository: Repository) -> list[Repository]:
    """Return the members of a group that the visitor may know of, in their order."""
    group = repository.config.sections.get("group")
    if not isinstance(group, GroupSection):
        return []
    found = map(current_repoman().repositories.find, group.members)
    knows, actor = current_security().authorizer.knows, current_actor()
    return [each for each in found if each is not None and knows(actor, each.ref)]


@dataclass(frozen=True, slots=True)
class Frame:
    """A repository as the head of its pages shows it.

    Attributes:
        address: by which clients reach it; that of a group, if it has none of its own.
        through: the groups that have it as a member.
        members: those of a group.
        may_change: whether the visitor may change its settings.
    """

    address: RepositoryAddress
    through: list[RepositoryAddress]
    state: State
    notice: Notice | None
    members: list[Repository]
    may_change: bool
    may_add: bool


def repository_frame(repository: Repository) -> Frame:
    """Return what the head of the pages of a repository shows."""
    address, *through = list_reaching(repository)
    authorizer, actor = current_repoman().security.authorizer, current_actor()
    may_add = authorizer.may_do_somewhere(actor, repository.ref, frozenset({Action.ADD}))
    return Frame(
        address=address,
        through=through,
        state=state_of(repository),
        notice=_notice_of(repository),
        members=members_of(repository),
        may_change=authorizer.may_configure(actor, repository.ref, Action.EDIT),
        may_add=may_add and repository.capabilities.upload is not None,
    )


class Tile(NamedTuple):
    """One of the measures in short; ``shares`` are percents of a bar."""

    name: str
    value: str
    note: str = ""
    shares: tuple[tuple[float, str], ...] = ()


def repository_tiles(repository: Repository, address: RepositoryAddress) -> list[Tile]:
    """Return what a repository has and how it is set up, in short; it asks for the sums."""
    sections = repository.config.sections
    usage = current_repoman().views.open(repository, current_actor()).usage()
    tiles = []
    if isinstance(proxy := sections.get("proxy"), ProxySection):
        tiles.append(Tile("Upstream", _upstream(repository), state_of(repository).text))
    if usage is not None and repository.config.type is not RepositoryType.GROUP:
        count = content_text(address, usage)
        name = (address.ui.packages or FILES)[1].capitalize()
        tiles.append(Tile(name, count.partition(" ")[0], version_text(address, usage)))
        limit = proxy.cache_limit if isinstance(proxy, ProxySection) else 0
        tiles.append(_quota_tile(repository) or _stored_tile(usage, limit))
    storage = sections.get("storage")
    if isinstance(storage, HostedStorageSection):
        tiles.append(Tile("Overwriting", OVERWRITING[storage.write_policy], _policy_note(storage)))
    return tiles


def _quota_tile(repository: Repository) -> Tile | None:
    """Return what is used of the quota; None: there is none."""
    quota = _quota_of(repository)
    whole = None if quota is None else quota.soft_limit if quota.limit is None else quota.limit
    if quota is None or not whole:
        return None
    tone = "is-bad" if quota.refusal else "is-warn" if quota.violation else "is-1"
    kind = "quota" if quota.limit is not None else "soft quota"
    share = min(100.0, quota.used * 100 / whole)
    return Tile("Stored", size(quota.used), f"of its {kind} of {size(whole)}", ((share, tone),))


def _stored_tile(usage: Usage, limit: int) -> Tile:
    if limit:
        share = min(100.0, usage.size * 100 / limit)
        return Tile("Cached", size(usage.size), f"of at most {size(limit)}", ((share, "is-1"),))
    if not usage.size:
        return Tile("Stored", size(0))
    own = usage.own_size * 100 / usage.size
    note = f"{size(usage.own_size)} only here"
    return Tile("Stored", size(usage.size), note, ((own, "is-1"), (100 - own, "is-2")))


def _policy_note(storage: HostedStorageSection) -> str:
    return {
        WritePolicy.ALLOW: "what exists can be replaced",
        WritePolicy.ALLOW_ONCE: "what exists stays as it is",
        WritePolicy.DENY: "nothing can be stored or deleted",
    }[storage.write_policy]


FRAME: tuple[Callable[..., Any], ...] = (repository_frame, repository_tabs, repository_tiles)
