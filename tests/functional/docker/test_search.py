"""``GET /v1/search``: what ``docker search`` and podman decode, and who sees what."""

import json
import secrets
from urllib.parse import urlencode

import pytest

from repoman.testing import ADMIN, HttpClient
from repoman_docker.merge import Budget
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import (
    OCI_INDEX,
    OCI_MANIFEST,
    descriptor,
    make_image,
    media_type_of,
    to_json,
)
from tests.functional.docker.wires import InProcess

TYPES = {
    "name": str,
    "description": str,
    "star_count": int,
    "is_official": bool,
    "is_automated": bool,
    "is_trusted": bool,
}


class Searched:
    """A repository that is pushed to and searched, on its connector."""

    def __init__(self, repoman, kind="hosted", *, anonymous=None, **settings) -> None:
        self.repoman = repoman
        self.name = f"search-{secrets.token_hex(4)}"
        docker = {"v1_enabled": True}
        access = {"anonymous": anonymous}
        sections = {"docker": docker, "access": access, **settings}
        repoman.repositories.create(self.name, f"docker-{kind}", sections)
        self.client = HttpClient(repoman, connector=self.name)
        self.registry = Registry(InProcess(self.client), "", ADMIN)

    def push(self, *names: str) -> "Searched":
        for name in names:
            self.registry.push(name, "1", make_image())
        return self

    def ask(self, q="", **query):
        options = {key: query.pop(key) for key in ("auth", "login", "headers") if key in query}
        return self.client.get(f"/v1/search?{urlencode({'q': q, **query})}", **options)

    def search(self, q="", **query):
        answer = self.ask(q, **query)
        assert answer.status_code == 200, answer.data
        assert answer.content_type == "application/json"
        check_types(answer.json)
        return answer.json

    def names(self, q="", **query):
        return [each["name"] for each in self.search(q, **query)["results"]]

    def descriptions(self):
        return {each["name"]: each["description"] for each in self.search("")["results"]}


def check_types(body):
    assert isinstance(body["query"], str)
    for key in ("page", "page_size", "num_pages", "num_results"):
        assert type(body[key]) is int
    assert isinstance(body["results"], list)
    for result in body["results"]:
        assert {key: type(value) for key, value in result.items()} == TYPES


@pytest.fixture
def make(in_process):
    def make(kind="hosted", **settings):
        return Searched(in_process.repoman, kind, **settings)

    yield make
    in_process.leave()


def test_images_are_found_by_any_part_of_their_names(make):
    hosted = make().push("team/web", "team/api-server", "other")
    assert hosted.search("team/") == {
        "query": "team/",
        "page": 1,
        "page_size": 25,
        "num_pages": 1,
        "num_results": 2,
        "results": [
            {
                "name": name,
                "description": "",
                "star_count": 0,
                "is_official": False,
                "is_automated": False,
                "is_trusted": False,
            }
            for name in ("team/api-server", "team/web")
        ],
    }
    assert hosted.names("SERV") == ["team/api-server"]
    assert hosted.names("api web") == []
    assert hosted.names("") == ["other", "team/api-server", "team/web"]


def test_nothing_found_is_an_empty_list(make):
    body = make().search("absent")
    assert (body["results"], body["num_results"], body["num_pages"]) == ([], 0, 0)


@pytest.mark.parametrize(
    "q", ["%", "_", "*", "'", '"', "a'--", '" OR "', "\\", "é", "\0", "🐳", "-", "a b"]
)
def test_characters_have_no_meaning(make, q):
    hosted = make().push("team/app")
    assert hosted.search(q)["query"] == q
    assert hosted.names(q) == []


def test_bytes_that_are_no_text_find_nothing(make):
    hosted = make().push("team/app")
    assert hosted.client.get("/v1/search?q=%ff%fe").json["results"] == []
    assert hosted.client.get("/v1/search?q=%ed%a0%80").json["results"] == []


def test_pages_are_exact(make):
    hosted = make()
    names = [f"app-{number:02}" for number in range(23)]
    hosted.push(*names)
    for size in (1, 7, 23, 25, 100):
        found = []
        pages = -(-23 // size)
        for page in range(1, pages + 1):
            body = hosted.search("app", n=size, page=page)
            assert (body["page"], body["page_size"]) == (page, size)
            assert (body["num_results"], body["num_pages"]) == (23, pages)
            found += [each["name"] for each in body["results"]]
        assert found == names
        assert hosted.names("app", n=size, page=pages + 1) == []


@pytest.mark.parametrize(
    ("n", "size"), [("", 25), ("0", 1), ("-5", 1), ("101", 100), ("9" * 99, 100)]
)
def test_the_size_of_a_page_is_kept_in_bounds(make, n, size):
    assert make().search("a", n=n)["page_size"] == size


def test_a_page_far_behind_the_end_is_empty(make):
    hosted = make().push("team/app")
    assert hosted.names("app", page="9" * 50) == []
    assert hosted.names("app", page=-1) == hosted.names("app", page=0) == ["team/app"]


@pytest.mark.parametrize("query", ["n=many", "page=x", "n=1.5", "n=%D9%A3"])
def test_what_is_no_number_is_refused_in_words(make, query):
    answer = make().client.get(f"/v1/search?q=a&{query}")
    assert answer.status_code == 400
    assert "is not a number" in answer.json["error"]


def test_a_deleted_image_is_not_found(make):
    hosted = make().push("team/app")
    assert hosted.registry.delete("team/app/manifests/1").status == 202
    digest = hosted.registry.push("team/app", "2", make_image())
    hosted.registry.delete(f"team/app/manifests/{digest}")
    for tag in hosted.registry.tags("team/app"):
        hosted.registry.delete(f"team/app/manifests/{tag}")
    left = hosted.repoman.repositories.find(hosted.name).service.lists.images("", 10, Budget(10))
    assert hosted.names("app") == left


# --- Descriptions --------------------------------------------------------------------------------


def push_described(hosted, name, *, labels=None, annotations=None, tag="1"):
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    if labels is not None:
        config["config"] = {"Labels": labels}
    body = to_json(config)
    hosted.registry.push_blob(name, body)
    layer = secrets.token_bytes(20)
    hosted.registry.push_blob(name, layer)
    fields = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(body, "application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor(layer, "application/vnd.oci.image.layer.v1.tar")],
    }
    if annotations is not None:
        fields["annotations"] = annotations
    manifest = to_json(fields)
    hosted.registry.push_manifest(name, tag, manifest)
    return manifest


DESCRIPTION = "org.opencontainers.image.description"
TITLE = "org.opencontainers.image.title"


@pytest.mark.parametrize(
    ("labels", "annotations", "expected"),
    [
        ({DESCRIPTION: "From a label"}, None, "From a label"),
        (None, {DESCRIPTION: "From an annotation"}, "From an annotation"),
        ({DESCRIPTION: "label"}, {DESCRIPTION: "annotation"}, "annotation"),
        ({DESCRIPTION: "label"}, {TITLE: "title"}, "label"),
        ({TITLE: "A title"}, None, "A title"),
        ({DESCRIPTION: "  ", TITLE: "t"}, {}, "t"),
        (
            {DESCRIPTION: "two\nlines\t and \u00fcml\u00e4uts"},
            None,
            "two lines and \u00fcml\u00e4uts",
        ),
        ({DESCRIPTION: "x" * 5000}, None, "x" * 1000),
        ({DESCRIPTION: 7}, None, ""),
        ({DESCRIPTION: None}, None, ""),
        ([], None, ""),
        ("text", None, ""),
        ({}, None, ""),
    ],
)
def test_a_description_comes_from_labels_and_annotations(make, labels, annotations, expected):
    hosted = make()
    push_described(hosted, "team/app", labels=labels, annotations=annotations)
    assert hosted.descriptions() == {"team/app": expected}


def test_the_last_push_that_says_something_counts(make):
    hosted = make()
    push_described(hosted, "app", labels={DESCRIPTION: "first"})
    push_described(hosted, "app", labels={DESCRIPTION: "second"}, tag="2")
    push_described(hosted, "app", tag="3")
    assert hosted.descriptions() == {"app": "second"}
    assert hosted.names("second") == ["app"]
    assert hosted.names("first") == []


def test_an_index_describes_its_image(make):
    hosted = make()
    child = push_described(hosted, "app", labels={DESCRIPTION: "of the child"})
    entry = descriptor(child, media_type_of(child))
    fields = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [entry],
        "annotations": {DESCRIPTION: "of the index"},
    }
    hosted.registry.push_manifest("app", "2", to_json(fields))
    assert hosted.descriptions() == {"app": "of the index"}


def test_a_signature_does_not_describe_what_it_signs(make):
    hosted = make()
    child = push_described(hosted, "app", labels={DESCRIPTION: "of the image"})
    fields = {
        **json.loads(child),
        "subject": descriptor(child, media_type_of(child)),
        "annotations": {DESCRIPTION: "of a signature"},
    }
    hosted.registry.push_manifest("app", "sig", to_json(fields))
    assert hosted.descriptions() == {"app": "of the image"}


# --- Rights --------------------------------------------------------------------------------------


def test_who_may_read_without_a_login_may_search(make):
    hosted = make(anonymous=True).push("team/app")
    assert hosted.names("app", login=False) == ["team/app"]
    assert hosted.names("app", auth=("", ""), login=False) == ["team/app"], "Basic Og=="


def test_where_a_login_is_needed_podman_learns_it(make):
    hosted = make(anonymous=False).push("team/app")
    for auth in (None, ("", ""), ("admin", "wrong")):
        answer = hosted.ask("app", auth=auth, login=False)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
        assert list(answer.json) == ["error"]
    assert hosted.names("app") == ["team/app"]


def token(hosted, scope, **options):
    answer = hosted.client.get(f"/v2/token?{urlencode({'scope': scope})}", **options)
    return {"Authorization": f"Bearer {answer.json['token']}"}


@pytest.mark.parametrize("anonymous", [True, False])
@pytest.mark.parametrize("scope", ["registry:catalog:search", "registry:catalog:*"])
def test_a_token_for_searches_is_enough(make, anonymous, scope):
    hosted = make(anonymous=anonymous).push("team/app")
    headers = token(hosted, scope)
    assert hosted.names("app", login=False, headers=headers) == ["team/app"]


def test_a_token_for_something_else_is_not(make):
    hosted = make(anonymous=True).push("team/app")
    headers = token(hosted, "repository:team/app:pull")
    assert hosted.ask("app", login=False, headers=headers).status_code == 401
    answer = hosted.ask("app", login=False, headers={"Authorization": "Bearer forged"})
    assert answer.status_code == 401


def test_an_anonymous_token_finds_what_anybody_may_see(make):
    hosted = make(anonymous=True).push("team/app")
    headers = token(hosted, "registry:catalog:search", login=False)
    assert hosted.names("app", login=False, headers=headers) == ["team/app"]


def test_who_has_no_right_here_finds_nothing(make, in_process):
    login = (f"user-{secrets.token_hex(4)}", "a long password")
    in_process.repoman.users.create(*login, [])
    hosted = make(anonymous=False).push("team/app")
    assert hosted.names("app", auth=login) == []
    assert hosted.search("app", auth=login)["num_results"] == 0


def test_the_catalog_of_tools_shows_the_same(make, in_process):
    login = (f"user-{secrets.token_hex(4)}", "a long password")
    in_process.repoman.users.create(*login, [])
    hosted = make(anonymous=False).push("team/app")
    assert hosted.client.get("/v2/_catalog").json["repositories"] == ["team/app"]
    assert hosted.client.get("/v2/_catalog", auth=login).json["repositories"] == []


# --- Groups --------------------------------------------------------------------------------------


def test_a_group_finds_what_its_members_have_in_their_order(make):
    first = make().push("b/app", "shared/app")
    second = make().push("a/app", "shared/app")
    group = make("group", group={"members": [first.name, second.name]})
    assert group.names("/app") == ["b/app", "shared/app", "a/app"]
    assert group.names("/app", n=2, page=2) == ["a/app"]
    assert group.search("/app", n=2)["num_results"] == 3


def test_a_group_shows_the_description_of_the_first_member(make):
    first, second = make(), make()
    push_described(first, "app", labels={DESCRIPTION: "first"})
    push_described(second, "app", labels={DESCRIPTION: "second"})
    group = make("group", group={"members": [second.name, first.name]})
    assert group.descriptions() == {"app": "second"}


def test_a_group_of_a_group_and_an_offline_member(make):
    first, second = make().push("one/app"), make().push("two/app")
    inner = make("group", group={"members": [second.name]})
    outer = make("group", group={"members": [first.name, inner.name]})
    assert outer.names("app") == ["one/app", "two/app"]
    outer.repoman.repositories.update(first.name, {}, is_online=False)
    assert outer.names("app") == ["two/app"]


def test_pins_and_routes_of_a_group_count(make):
    first, second = make().push("team/app", "free/app"), make().push("team/app-2", "secret/app")
    members = [first.name, second.name]
    group = make("group", group={"members": members, "pins": {"team/*": [second.name]}})
    assert group.names("app") == ["free/app", "team/app-2", "secret/app"]
    routing = {"mode": "block", "matchers": ["secret/.*"]}
    routed = make("group", group={"members": members}, routing=routing)
    assert routed.names("app") == ["team/app", "free/app", "team/app-2"]
    assert routed.search("app")["num_results"] == 3


def test_a_member_may_have_its_own_switch_off(make, in_process):
    hosted = make().push("team/app")
    in_process.repoman.repositories.update(hosted.name, {"docker": {"v1_enabled": False}})
    assert make("group", group={"members": [hosted.name]}).names("app") == ["team/app"]
    assert hosted.ask("app").status_code == 404
