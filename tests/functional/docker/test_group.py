"""Groups of hosted repositories: one address that reads from several."""

import secrets

import pytest

from repoman.errors import Conflict, Invalid
from repoman.testing import ADMIN, HttpClient
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker.wires import InProcess


class Lab:
    """Repositories of one test, by short names."""

    def __init__(self, repoman) -> None:
        self.repositories = repoman.repositories
        self._repoman = repoman
        self._tail = secrets.token_hex(4)

    def name(self, short: str) -> str:
        return f"{short}-{self._tail}"

    def hosted(self, short: str, **docker) -> Registry:
        self.repositories.create(self.name(short), "docker-hosted", {"docker": docker})
        return self.registry(short)

    def group(self, short: str, *members: str, **settings) -> Registry:
        group = {"members": [self.name(member) for member in members], **settings.pop("group", {})}
        self.repositories.create(self.name(short), "docker-group", {"group": group, **settings})
        return self.registry(short)

    def registry(self, short: str) -> Registry:
        prefix = f"/repository/{self.name(short)}"
        return Registry(InProcess(HttpClient(self._repoman)), prefix, ADMIN)


@pytest.fixture
def lab(in_process) -> Lab:
    return Lab(in_process.repoman)


def test_an_image_of_any_member_is_pulled_through_the_group(lab):
    lab.hosted("a")
    image = make_image()
    lab.hosted("b").push("app", "1", image)
    answer = lab.group("g", "a", "b").get("app/manifests/1")
    assert answer.body == image.manifest
    assert answer.headers["X-Repoman-Member"] == lab.name("b")
    assert lab.registry("g").pull("app", "1") == image.manifest


def test_the_first_member_wins_and_order_can_change(lab):
    first, second = make_image(), make_image()
    lab.hosted("a").push("app", "1", first)
    lab.hosted("b").push("app", "1", second)
    group = lab.group("g", "a", "b")
    assert group.get("app/manifests/1").body == first.manifest
    turned = {"members": [lab.name("b"), lab.name("a")]}
    lab.repositories.update(lab.name("g"), {"group": turned})
    assert group.get("app/manifests/1").body == second.manifest


def test_a_new_image_and_a_new_member_are_there_at_once(lab):
    lab.hosted("a")
    group = lab.group("g", "a")
    assert group.get("app/manifests/1").status == 404
    image = make_image()
    lab.registry("a").push("app", "1", image)
    assert group.get("app/manifests/1").status == 200
    lab.hosted("b").push("other", "1", image)
    lab.repositories.update(lab.name("g"), {"group": {"members": [lab.name("a"), lab.name("b")]}})
    assert group.get("other/manifests/1").status == 200


def test_an_offline_member_is_passed_over(lab):
    lab.hosted("a").push("app", "1", make_image())
    image = make_image()
    lab.hosted("b").push("app", "1", image)
    group = lab.group("g", "a", "b")
    lab.repositories.update(lab.name("a"), {}, is_online=False)
    assert group.get("app/manifests/1").body == image.manifest


def test_lists_are_merged_without_doubles_and_paged(lab):
    for member, tags in (("a", ["1", "3"]), ("b", ["2", "3", "4"])):
        registry = lab.hosted(member)
        for tag in tags:
            registry.push("app", tag, make_image())
    lab.registry("b").push("only-b", "1", make_image())
    group = lab.group("g", "a", "b")
    page = group.get("app/tags/list", query={"n": "2"})
    assert page.json()["tags"] == ["1", "2"]
    assert 'rel="next"' in page.headers["Link"]
    rest = group.get("app/tags/list", query={"n": "2", "last": "2"})
    assert (rest.json()["tags"], "Link" in rest.headers) == (["3", "4"], False)
    assert group.get("_catalog").json()["repositories"] == ["app", "only-b"]


def test_referrers_of_all_members_are_merged(lab):
    subject = make_image()
    for member in ("a", "b"):
        about = {"mediaType": "application/vnd.oci.image.manifest.v1+json"}
        about |= {"digest": subject.digest, "size": len(subject.manifest)}
        lab.hosted(member).push("app", member, make_image(subject=about))
    found = lab.group("g", "a", "b").get(f"app/referrers/{subject.digest}").json()["manifests"]
    assert len(found) == 2


def test_what_no_member_has_is_unknown_as_usual(lab):
    lab.hosted("a")
    group = lab.group("g", "a")
    assert group.get("app/manifests/1").code == "MANIFEST_UNKNOWN"
    assert group.get(f"app/blobs/sha256:{'0' * 64}").code == "BLOB_UNKNOWN"
    assert group.get("app/tags/list").code == "NAME_UNKNOWN"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "app/blobs/uploads/"),
        ("PUT", "app/manifests/1"),
        ("DELETE", "app/manifests/1"),
        ("DELETE", f"app/blobs/sha256:{'0' * 64}"),
    ],
)
def test_a_write_is_refused_and_told_where_to_go(lab, method, path):
    lab.hosted("a", http_port=None)
    answer = lab.group("g", "a").send(method, path, b"{}")
    assert (answer.status, answer.code) == (405, "UNSUPPORTED")
    assert f"Push to {lab.name('a')} instead" in answer.errors[0]["message"]


def test_with_a_writable_member_pushes_and_deletes_go_there(lab):
    lab.hosted("a")
    lab.hosted("b")
    group = lab.group("g", "a", "b", group={"writable_member": lab.name("b")})
    image = make_image()
    group.push("app", "1", image)
    assert lab.registry("b").pull("app", "1") == image.manifest
    assert lab.registry("a").get("app/manifests/1").status == 404
    assert group.delete("app/manifests/1").status == 202
    assert lab.registry("b").get("app/manifests/1").status == 404


def test_a_push_does_not_lean_on_blobs_of_other_members(lab):
    """HEAD is what clients ask before they push: only the writable member's blobs spare it."""
    image = make_image()
    lab.hosted("a").push("app", "1", image)
    lab.hosted("b")
    group = lab.group("g", "a", "b", group={"writable_member": lab.name("b")})
    layer = f"app/blobs/{digest_of(image.layers[0])}"
    assert (group.get(layer).status, group.head(layer).status) == (200, 404)
    group.push_blobs("app", image)
    assert group.head(layer).status == 200
    assert group.put_manifest("app", "2", image.manifest).status == 201
    assert lab.registry("b").pull("app", "2") == image.manifest


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", f"app/blobs/sha256:{'0' * 64}"),
        ("POST", "app/blobs/uploads/"),
        ("PUT", "app/manifests/1"),
        ("DELETE", "app/manifests/1"),
    ],
)
def test_while_the_writable_member_is_offline_pushes_wait(lab, method, path):
    lab.hosted("a")
    lab.hosted("b")
    group = lab.group("g", "a", "b", group={"writable_member": lab.name("b")})
    lab.repositories.update(lab.name("b"), {}, is_online=False)
    answer = group.send(method, path, b"{}")
    assert answer.status == 503
    if method != "HEAD":
        assert answer.code == "UNAVAILABLE"
        assert f"{lab.name('b')}, which is offline" in answer.message


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", f"secret/app/blobs/sha256:{'0' * 64}"),
        ("POST", "secret/app/blobs/uploads/"),
        ("POST", f"secret/app/blobs/uploads/?digest={digest_of(b'{}')}"),
        ("POST", f"secret/app/blobs/uploads/?mount=sha256:{'0' * 64}&from=app"),
        ("PUT", "secret/app/manifests/1"),
        ("DELETE", "secret/app/manifests/1"),
        ("DELETE", f"secret/app/blobs/sha256:{'0' * 64}"),
    ],
)
def test_a_routing_rule_counts_for_pushes_and_deletions(lab, method, path):
    lab.hosted("a")
    rule = {"mode": "block", "matchers": ["secret/.*"]}
    group = lab.group("g", "a", group={"writable_member": lab.name("a")}, routing=rule)
    group.push("app", "1", make_image())
    answer = group.send(method, path, b"{}")
    assert answer.status == 403
    if method != "HEAD":
        assert answer.code == "DENIED"
    assert lab.registry("a").get("_catalog").json()["repositories"] == ["app"]


def test_what_is_pinned_to_another_member_is_not_pushed_where_nobody_sees_it(lab):
    image = make_image()
    lab.hosted("own").push("acme/app", "1", image)
    lab.hosted("a")
    pins = {"acme/*": [lab.name("own")]}
    group = lab.group("g", "own", "a", group={"pins": pins, "writable_member": lab.name("a")})
    assert group.head(f"acme/app/blobs/{digest_of(image.layers[0])}").status == 200
    for method, path in (("POST", "acme/app/blobs/uploads/"), ("PUT", "acme/app/manifests/2")):
        answer = group.send(method, path, b"{}")
        assert (answer.status, answer.code) == (403, "DENIED")
        assert "reads acme/app from other members" in answer.message
    group.push("free/app", "1", image)


def test_a_group_in_a_group(lab):
    image = make_image()
    lab.hosted("a").push("app", "1", image)
    lab.group("inner", "a")
    outer = lab.group("outer", "inner")
    assert outer.pull("app", "1") == image.manifest
    assert outer.get("_catalog").json()["repositories"] == ["app"]


def test_pinned_names_come_from_their_members_alone(lab):
    bad, good = make_image(), make_image()
    lab.hosted("public").push("acme/app", "1", bad)
    lab.registry("public").push("acme/app", "2", bad)
    lab.hosted("own").push("acme/app", "1", good)
    pins = {"acme/*": [lab.name("own")]}
    group = lab.group("g", "public", "own", group={"pins": pins})
    assert group.get("acme/app/manifests/1").body == good.manifest
    assert group.get("acme/app/manifests/2").status == 404
    assert group.get("acme/app/tags/list").json()["tags"] == ["1"]


def test_what_is_pinned_away_is_in_no_list(lab):
    image = make_image()
    lab.hosted("public").push("acme/fake", "1", image)
    lab.registry("public").push("free/app", "1", image)
    lab.hosted("own").push("acme/app", "1", image)
    pins = {"acme/*": [lab.name("own")]}
    group = lab.group("g", "public", "own", group={"pins": pins})
    assert group.get("_catalog").json()["repositories"] == ["acme/app", "free/app"]
    assert group.get("_catalog", query={"n": "1"}).json()["repositories"] == ["acme/app"]
    assert group.get("acme/fake/tags/list").status == 404
    about = {"mediaType": "application/vnd.oci.image.manifest.v1+json"}
    about |= {"digest": image.digest, "size": len(image.manifest)}
    lab.registry("public").push("acme/app", "2", make_image(subject=about))
    assert group.get(f"acme/app/referrers/{image.digest}").json()["manifests"] == []


def test_a_list_goes_on_behind_many_names_that_are_pinned_away(lab, monkeypatch):
    monkeypatch.setattr("repoman_docker.merge.BATCH_NAMES", 2)
    image, public = make_image(), lab.hosted("public")
    for number in range(5):
        public.push(f"acme/app{number}", "1", image)
    public.push("free/app", "1", image)
    lab.hosted("own")
    group = lab.group("g", "public", "own", group={"pins": {"acme/*": [lab.name("own")]}})
    assert group.get("_catalog", query={"n": "1"}).json()["repositories"] == ["free/app"]


def test_what_a_routing_rule_forbids_is_in_no_list(lab):
    lab.hosted("a").push("secret/app", "1", make_image())
    lab.registry("a").push("app", "1", make_image())
    rule = {"mode": "block", "matchers": ["secret/.*"]}
    group = lab.group("g", "a", routing=rule)
    assert group.get("_catalog").json()["repositories"] == ["app"]
    assert group.get("secret/app/tags/list").status == 403


def test_a_group_that_forbids_a_name_keeps_no_other_member_from_it(lab):
    image = make_image()
    lab.hosted("a").push("app", "1", make_image())
    lab.group("inner", "a", routing={"mode": "block", "matchers": ["app"]})
    lab.hosted("b").push("app", "1", image)
    assert lab.group("outer", "inner", "b").get("app/manifests/1").body == image.manifest


def test_names_of_members_may_be_in_any_case(lab):
    image = make_image()
    lab.hosted("a").push("acme/app", "1", image)
    name = lab.name("a").upper()
    group = {"members": [name], "pins": {"acme/*": [name]}, "writable_member": name}
    lab.repositories.create(lab.name("g"), "docker-group", {"group": group})
    assert lab.registry("g").get("acme/app/manifests/1").body == image.manifest
    lab.registry("g").push("acme/app", "2", image)


# --- Trace ---------------------------------------------------------------------------------------


@pytest.fixture
def client(in_process) -> HttpClient:
    return HttpClient(in_process.repoman)


def trace(client, group, path="/v2/acme/app/manifests/1", **options):
    url = f"/api/v1/repositories/{group.prefix.rpartition('/')[2]}/trace"
    return client.get(url, query_string={"path": path}, **options)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "is required."),
        ("v2", "must begin with a slash."),
        ("/" + "x" * 1000, "must have at most 1000 characters."),
    ],
)
def test_a_trace_says_which_paths_it_takes(lab, client, path, message):
    lab.hosted("own")
    answer = trace(client, lab.group("g", "own"), path)
    assert answer.status_code == 400
    assert answer.json["errors"] == [{"field": "path", "message": message}]


def test_a_trace_tells_what_keeps_members_from_answering(lab, client):
    lab.hosted("public").push("acme/app", "1", make_image())
    lab.hosted("off")
    lab.hosted("own")
    lab.group("inner", "own")
    pins = {"acme/*": [lab.name("off"), lab.name("inner")]}
    group = lab.group("g", "public", "off", "inner", group={"pins": pins})
    lab.repositories.update(lab.name("off"), {}, is_online=False)
    public, off, inner = trace(client, group).json["members"]
    assert public == {
        "member": lab.name("public"),
        "outcome": "skipped",
        "reason": f"acme/app is pinned to {lab.name('inner')} and {lab.name('off')}.",
        "steps": [],
    }
    assert (off["outcome"], off["reason"]) == (
        "skipped",
        "It is offline or not working.",
    )
    assert inner["outcome"] == "absent"
    assert [each["outcome"] for each in inner["steps"]] == ["absent"]


def test_a_trace_tells_of_a_routing_rule(lab, client):
    lab.hosted("a")
    group = lab.group("g", "a", routing={"mode": "allow", "matchers": ["own/.*"]})
    [step] = trace(client, group).json["members"]
    assert (step["outcome"], step["reason"]) == (
        "skipped",
        f"A routing rule of the group {lab.name('g')} forbids acme/app.",
    )


@pytest.mark.parametrize(
    "path", ["", "v2/app/manifests/1", "/v2/", "/v2/A/manifests/1", "/v2/app/blobs/x", "/" * 2000]
)
def test_a_trace_needs_a_path_that_a_client_asks_for(lab, client, path):
    lab.hosted("a")
    answer = trace(client, lab.group("g", "a"), path)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, "path")


def test_only_a_group_is_traced(lab, client):
    assert trace(client, lab.hosted("a")).status_code == 405


def test_a_trace_is_for_whoever_may_browse_there(lab, client, in_process):
    users = in_process.repoman.users
    lab.hosted("a")
    group = lab.group("g", "a")
    name = lab.name("visitor")
    users.create(name, "password")
    assert trace(client, group, auth=(name, "password")).status_code == 404
    hidden = trace(client, group, login=False)
    nowhere = trace(client, lab.registry("nowhere"), login=False)
    assert (nowhere.status_code, nowhere.data) == (hidden.status_code, hidden.data)
    assert nowhere.status_code == 401
    assert trace(client, lab.registry("nowhere")).status_code == 404
    users.change(name, roles=["nx-developer"])
    assert trace(client, group, auth=(name, "password")).status_code == 200


def test_a_routing_rule_forbids_names(lab):
    lab.hosted("a").push("secret/app", "1", make_image())
    rule = {"mode": "block", "matchers": ["secret/.*"]}
    answer = lab.group("g", "a", routing=rule).get("secret/app/manifests/1")
    assert (answer.status, answer.code) == (403, "DENIED")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"members": []}, "group.members"),
        ({"members": ["nowhere"]}, "'nowhere' is not the name of another repository"),
        ({"members": ["A", "A"]}, "listed twice"),
        ({"members": ["A"], "writable_member": "nowhere"}, "group.writable_member"),
        ({"members": ["A"], "pins": {"x": ["nowhere"]}}, "not a member"),
    ],
)
def test_an_unsound_group_is_refused(lab, settings, problem):
    lab.hosted("a")
    text = str(settings).replace("'A'", repr(lab.name("a")))
    with pytest.raises(Invalid, match=problem):
        lab.repositories.create(lab.name("g"), "docker-group", {"group": eval(text)})


def test_a_group_cannot_contain_itself(lab):
    lab.hosted("a")
    lab.group("inner", "a")
    lab.group("outer", "inner")
    with pytest.raises(Invalid, match="contains the group"):
        lab.repositories.update(
            lab.name("inner"), {"group": {"members": [lab.name("a"), lab.name("outer")]}}
        )


def test_a_member_cannot_be_deleted(lab):
    lab.hosted("a")
    lab.group("g", "a")
    with pytest.raises(Conflict, match=lab.name("g")):
        lab.repositories.delete(lab.name("a"))
