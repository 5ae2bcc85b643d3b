"""Groups and proxies by version 1: what members have, and where to push."""

import secrets

import pytest

from repoman.testing import ADMIN, HttpClient
from repoman_docker.v1 import pushes
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import make_image
from tests.functional.docker.wires import InProcess
from tests.functional.docker_v1.driver import Engine, Failures, make_chain


class Lab:
    """Repositories of one test, by short names."""

    def __init__(self, repoman) -> None:
        self._repoman = repoman
        self._tail = secrets.token_hex(4)

    def make(self, kind: str, short: str, **settings) -> Engine:
        sections = {"docker": {"v1_enabled": True}, **settings}
        self._repoman.repositories.create(self.name(short), f"docker-{kind}", sections)
        return self.engine(short)

    def group(self, short: str, *members: str, blocked: str = "", **settings) -> Engine:
        group = {"members": [self.name(member) for member in members], **settings}
        return self.make(
            "group", short, group=group, routing={"matchers": [blocked] if blocked else []}
        )

    def stop(self, short: str) -> None:
        self._repoman.repositories.update(self.name(short), {}, is_online=False)

    def name(self, short: str) -> str:
        return f"{short}-{self._tail}"

    def engine(self, short: str, *, basic: bool = False) -> Engine:
        return Engine(self._wire(), f"/repository/{self.name(short)}", ADMIN, basic=basic)

    def registry(self, short: str) -> Registry:
        return Registry(self._wire(), f"/repository/{self.name(short)}", ADMIN)

    def _wire(self) -> InProcess:
        return InProcess(HttpClient(self._repoman))


@pytest.fixture
def lab(in_process) -> Lab:
    return Lab(in_process.repoman)


def test_a_group_has_the_images_of_all_members(lab):
    first, second = lab.make("hosted", "a"), lab.make("hosted", "b")
    group = lab.group("g", "a", "b")
    one, two = make_chain(), make_chain()
    first.push("team/one", "1", one)
    second.push("team/two", "2", two)
    assert group.pull("team/one", "1") == one
    assert lab.engine("g").pull("team/two", "2", is_old=True) == two
    lab.registry("b").push("team/three", "3", image := make_image())
    assert tuple(each.layer for each in lab.engine("g").pull("team/three", "3")) == image.layers


def test_the_first_member_that_has_a_tag_gives_it(lab):
    first, second = make_chain(), make_chain()
    lab.make("hosted", "a").push("app", "1", first)
    lab.make("hosted", "b").push("app", "1", second)
    lab.engine("b").push("app", "2", second)
    group = lab.group("g", "a", "b")
    assert group.pull("app", "1") == first
    tags = group.get("repositories/library/app/tags").json()
    assert tags == {"1": first[-1].id, "2": second[-1].id}


def test_members_need_not_have_the_switch_themselves(lab):
    lab.make("hosted", "a", docker={})
    lab.registry("a").push("app", "1", make_image())
    assert lab.group("g", "a").pull("app", "1")


def test_a_pin_keeps_images_of_other_members_away(lab):
    chain = make_chain()
    lab.make("hosted", "a").push("secret/app", "1", chain)
    lab.make("hosted", "b")
    group = lab.group("g", "a", "b", pins={"secret/*": [lab.name("b")]})
    group.pull("secret/app", "1", failure=Failures.NO_IMAGE)
    assert group.get(f"images/{chain[0].id}/json").status == 404


def test_a_push_to_a_group_is_told_where_to_go(lab):
    lab.make("hosted", "a")
    group = lab.group("g", "a")
    assert group.push("app", "1", make_chain(), failure=Failures.NO_PUSH) == []
    answer = group.put("repositories/app/", [], is_first=True)
    assert lab.name("a") in answer.json()["error"]


def test_a_push_to_a_group_with_a_writable_member_goes_there(lab):
    lab.make("hosted", "a")
    lab.make("hosted", "b")
    chain = make_chain()
    group = lab.group("g", "a", "b", writable_member=lab.name("b"))
    group.push("app", "1", chain)
    assert lab.engine("b").pull("app", "1") == chain
    assert lab.engine("g").pull("app", "1") == chain


def test_a_push_of_a_name_that_a_rule_forbids_is_refused(lab):
    lab.make("hosted", "a")
    group = lab.group("g", "a", writable_member=lab.name("a"), blocked="secret/.*")
    chain = make_chain()
    group.push("app", "1", chain)
    for path, body in (
        ("repositories/secret/app/", [{"id": chain[0].id}]),
        ("repositories/secret/app/tags/1", chain[-1].id),
        ("repositories/secret/app/images", []),
    ):
        answer = group.put(path, body, is_first=True)
        assert answer.status == 403
        assert f"{lab.name('g')} forbids secret/app" in answer.json()["error"]


def test_images_are_read_while_the_member_that_takes_pushes_is_offline(lab):
    chain = make_chain()
    lab.make("hosted", "a").push("app", "1", chain)
    lab.make("hosted", "b")
    group = lab.group("g", "a", "b", writable_member=lab.name("b"))
    lab.stop("b")
    assert group.pull("app", "1") == chain


@pytest.mark.parametrize("basic", [True, False])
def test_what_only_another_member_has_is_pushed_too(lab, basic):
    base = make_chain()
    lab.make("hosted", "a").push("app", "base", base)
    lab.make("hosted", "b")
    lab.group("g", "a", "b", writable_member=lab.name("b"))
    chain = [*base, *make_chain(1, parent=base[-1].id)]
    group = lab.engine("g", basic=basic)
    assert group.push("app", "1", chain) == [each.id for each in chain]
    assert lab.engine("b").pull("app", "1") == chain
    assert lab.engine("g", basic=basic).push("app", "2", chain) == []


def test_a_push_that_died_is_forgotten_by_those_who_pull(lab, monkeypatch):
    base = make_chain()
    lab.make("hosted", "a").push("app", "base", base)
    lab.make("hosted", "b")
    group = lab.group("g", "a", "b", writable_member=lab.name("b"))
    group.put("repositories/app/", [{"id": each.id} for each in base], is_first=True)
    monkeypatch.setattr(pushes, "PUSH_MAX_S", -1.0)
    assert lab.engine("g").pull("app", "base") == base


def test_of_a_group_what_is_deleted_is_that_of_its_writable_member(lab):
    for short, tags in (("a", "13"), ("b", "23")):
        lab.make("hosted", short)
        for tag in tags:
            lab.engine(short).push("app", tag, make_chain())
    lab.engine("a").push("other", "1", make_chain())
    lab.group("g", "a", "b", writable_member=lab.name("b"))
    group = lab.engine("g", basic=True)
    assert group.send("DELETE", "repositories/app/", is_first=True).status == 200
    assert lab.registry("a").tags("app") == ["1", "3"]
    assert lab.registry("b").get("app/tags/list").status == 404
    assert group.send("DELETE", "repositories/other/", is_first=True).status == 404
    lab.group("h", "a", "b")
    answer = lab.engine("h", basic=True).send("DELETE", "repositories/app/", is_first=True)
    assert answer.status == 405
    assert lab.registry("a").tags("app") == ["1", "3"]


def test_a_group_is_where_its_tokens_lead(lab):
    lab.make("hosted", "a")
    group = lab.group("g", "a", writable_member=lab.name("a"))
    host = {"Host": "reg.example:8081"}
    path = f"reg.example:8081/repository/{lab.name('g')}"
    listed = [{"id": secrets.token_hex(32)}]
    answer = group.put("repositories/team/app/", listed, headers=host, is_first=True)
    assert answer.headers["X-Docker-Endpoints"] == path
    token = answer.headers["X-Docker-Token"]
    assert token.startswith("signature=")
    assert token.endswith(',repository="team/app",access=write')
    assert answer.headers["WWW-Authenticate"] == f"Token {token}"
    lab.engine("a").push("team/app", "1", make_chain())
    pull = lab.engine("g").send("GET", "repositories/team/app/images", None, host, is_first=True)
    assert pull.headers["X-Docker-Endpoints"] == path
    read = {"Authorization": f"Token {pull.headers['X-Docker-Token']}"}
    target = "v1/repositories/team/app/tags"
    assert group.wire.send("GET", f"{group.prefix}/{target}", read).status == 200
    member = lab.engine("a")
    assert member.wire.send("GET", f"{member.prefix}/{target}", read).status == 401


def test_a_push_to_a_proxy_is_told_where_to_go(lab):
    lab.make("hosted", "a")
    proxy = lab.make("proxy", "p", proxy={"remote_url": "http://127.0.0.1:9"})
    assert proxy.push("app", "1", make_chain(), failure=Failures.NO_PUSH) == []
    answer = proxy.put(f"images/{'0' * 64}/json", {})
    assert answer.status == 405
    assert "hosted" in answer.json()["error"]
