"""The rules of a group that every format shares, with members of a format of the test's own."""

from dataclasses import dataclass, field

import pytest

from repoman.db.topics import Topics
from repoman.errors import Conflict, Denied, Invalid, NotFound, Unavailable, Unsupported
from repoman.group.asking import MemberPool
from repoman.group.members import Members
from repoman.group.search import GroupSearch
from repoman.group.trace import GroupTrace, Question
from repoman.plugin import Capabilities, Content, UpstreamUnavailable
from repoman.repositories.model import Outcome, Repository, RepositoryConfig, RepositoryType
from repoman.repositories.sections import ConnectorSection, GroupSection, RoutingSection

DOWN = UpstreamUnavailable("The remote is down.")


@dataclass
class Files:
    """The service of a member: what it has by path, or an error."""

    files: dict = field(default_factory=dict)

    def get(self, path):
        found = self.files.get(path)
        if isinstance(found, Exception):
            raise found
        if found is None:
            raise NotFound(f"There is no {path}.")
        return found


@dataclass(frozen=True, slots=True)
class FileMembers(Members[Files]):
    def service_of(self, repository):
        return repository.service


def repository(name, type_=RepositoryType.HOSTED, *, problem=None, online=True, port=None, **files):
    config = RepositoryConfig(
        1, name, "toy", type_, online, {"toy": ConnectorSection(http_port=port)}
    )
    paths = {path.replace("_", "/"): each for path, each in files.items()}
    return Repository(config, Files(paths), problem=problem)


def group(*repositories, routing=(), mode="block", **settings):
    known = {each.name: each for each in repositories}
    members = settings.pop("members", [each.name for each in repositories])
    return FileMembers(
        "all",
        GroupSection(members=members, **settings),
        RoutingSection(mode=mode, matchers=routing),
        known.get,
        MemberPool(),
    )


def first(members, path):
    return members.first(members.serving(path), lambda each: each.get(path))


def names(members):
    return [each.repository.name for each in members]


def test_the_first_member_that_has_it_answers_and_broken_ones_are_passed_over():
    members = group(
        repository("a", problem="broken", x="1"),
        repository("b", online=False, x="2"),
        repository("c"),
        repository("d", x="4"),
        repository("e", x="5"),
        members=["a", "gone", "b", "c", "d", "e"],
    )
    assert first(members, "x") == ("d", "4")
    assert list(members.broken()) == [("a", "broken")]


def test_an_outage_before_it_is_told_only_if_nobody_has_it():
    members = group(repository("a", x=DOWN, y=DOWN), repository("b", x="2"))
    assert first(members, "x") == ("b", "2")
    with pytest.raises(UpstreamUnavailable):
        first(members, "y")


def test_pins_and_routing_rules_decide_who_is_asked():
    members = group(
        repository("A", acme_x="1"),
        repository("b", acme_x="2", y="2"),
        pins={"acme/*": ["b"]},
        routing=["secret/.*"],
    )
    assert names(members.serving("acme/x")) == ["b"]
    assert names(members.serving("y")) == ["A", "b"]
    assert members.has_rules
    assert not members.reads("secret/y")
    with pytest.raises(Denied, match="A routing rule of the group all forbids secret/y"):
        members.serving("secret/y")


def test_uploads_go_to_the_writable_member_if_it_is_read_there():
    own, other = repository("own", port=8081), repository("other")
    members = group(other, own, writable_member="OWN", pins={"acme/*": ["other"]})
    assert members.writable("x") is own.service
    assert (members.takes("x"), members.takes("acme/x"), members.builds_on("x")) == (1, 0, 1)
    with pytest.raises(Denied, match="reads acme/x from other members than own"):
        members.writable("acme/x")
    with pytest.raises(Unsupported, match=r"Push to other or own \(port 8081\) instead"):
        group(other, own).writable()
    with pytest.raises(Unavailable, match="forwards pushes to own"):
        group(other, repository("own", online=False), writable_member="own").writable()


def test_lists_are_gathered_and_gaps_are_told():
    proxy = repository("p", RepositoryType.PROXY, x=DOWN)
    members = group(repository("a", x="1"), proxy, repository("c"))
    found, warnings = members.gather(members.all(), lambda each: each.service.get("x"))
    assert found == ["1"]
    assert warnings == ["The list lacks the entries of p. The remote is down."]
    with pytest.raises(UpstreamUnavailable):
        members.collect([*members.all()][1:], lambda each: each.service.get("x"))


@pytest.mark.parametrize(("state", "is_complete"), [("2", True), (None, True), (DOWN, False)])
def test_a_list_with_a_gap_is_not_kept_until_something_is_written(state, is_complete):
    members = group(repository("a", x="1"), repository("b", **({"x": state} if state else {})))
    with Topics().reading() as read:
        members.gather(members.all(), lambda each: each.service.get("x"))
    assert read.is_complete == is_complete


@pytest.mark.parametrize(
    ("before", "is_cacheable"),
    [(RepositoryType.HOSTED, True), (RepositoryType.PROXY, False), (RepositoryType.GROUP, False)],
)
def test_content_names_its_member_and_is_not_cached_behind_a_remote(before, is_cacheable):
    content = Content(1, "text/plain", lambda: b"1", "e", is_cacheable=True)
    proxy = repository("b", RepositoryType.PROXY, x=content)
    members = group(repository("a", before), proxy)
    found = members.first_content(members.all(), lambda each: each.get("x"))
    assert (found.headers, found.is_cacheable) == ({"X-Repoman-Member": "b"}, is_cacheable)
    members = group(proxy, repository("a", before))
    assert members.first_content(members.all(), lambda each: each.get("x")).is_cacheable


@pytest.mark.parametrize(("before", "is_complete"), [({}, True), ({"x": DOWN}, False)])
def test_content_is_not_kept_behind_a_member_that_failed(before, is_complete):
    members = group(repository("a", **before), repository("b", x="2"))
    with Topics().reading() as read:
        assert first(members, "x") == ("b", "2")
    assert read.is_complete == is_complete


def test_content_that_is_the_same_everywhere_is_asked_of_hosted_members_first():
    proxy = repository("p", RepositoryType.PROXY)
    members = group(proxy, repository("h"))
    ranked = sorted(members.all(), key=lambda each: members.rank(each, "x"))
    assert names(ranked) == ["h", "p"]


def parse(path):
    if path == "/":
        raise Invalid("path")
    return Question(path, lambda each: each.get(path), is_merged=path == "list")


def outcomes(members, path):
    return [(each.member, each.outcome) for each in GroupTrace(members, parse)(path)]


def test_a_trace_tells_what_became_of_each_member():
    members = group(
        repository("off", online=False),
        repository("pinned"),
        repository("a"),
        repository("down", x=DOWN, list=DOWN),
        repository("b", x="1", list="1"),
        repository("c", list="1"),
        pins={"x": ["a", "down", "b", "c"]},
    )
    assert outcomes(members, "x") == [
        ("off", Outcome.SKIPPED),
        ("pinned", Outcome.SKIPPED),
        ("a", Outcome.ABSENT),
        ("down", Outcome.FAILED),
        ("b", Outcome.FOUND),
        ("c", Outcome.NOT_ASKED),
    ]
    assert outcomes(members, "list")[-2:] == [("b", Outcome.FOUND), ("c", Outcome.FOUND)]
    with pytest.raises(Invalid):
        outcomes(members, "/")


def test_a_failure_that_is_the_answer_ends_a_trace():
    members = group(repository("a", x=Conflict("No.")), repository("b", x="1"))
    last = GroupTrace(members, parse)("x")[-1]
    assert (last.outcome, last.reason) == (
        Outcome.NOT_ASKED,
        "The group answers with the failure of a.",
    )


def test_a_trace_goes_through_groups_that_are_members():
    inner = group(repository("a", x="1"))
    nested = Repository(
        repository("inner", RepositoryType.GROUP).config,
        Files({"x": "1"}),
        Capabilities(trace=GroupTrace(inner, parse)),
    )
    [step] = GroupTrace(group(nested), parse)("x")
    assert [(each.member, each.outcome) for each in step.steps] == [("a", Outcome.FOUND)]


def test_a_search_leaves_out_members_that_fail_and_keeps_to_the_rules(caplog):
    members = group(
        repository("a", x="1"),
        repository("zero", x=ZeroDivisionError("of the test")),
        repository("broken", problem="broken"),
        pins={"secret/*": ["zero"]},
    )
    seen = []

    def search(service, may_show, timeout):
        seen.append([may_show("secret/y"), may_show("open"), may_show("hidden")])
        return service.get("x")

    found = GroupSearch(members).collect(search, lambda name: name != "hidden", 5.0)
    assert found == (["1"], ["zero", "broken"])
    assert sorted(seen) == [[False, True, False], [True, True, False]]
    assert "ZeroDivisionError" in caplog.text
