"""Who manages one group or one repository gains nothing in others, and learns of none."""

import json

import pytest

from tests.attack.raw import request, send
from tests.live import free_port, live_server

REST = "/service/rest/v1"
ADMIN_OF = "nx-repository-admin-docker-{}-*"
STORAGE = {"blobStoreName": "default", "strictContentTypeValidation": True}
SIMPLE = {"v1Enabled": False, "forceBasicAuth": True}


class Office:
    """A server with a private repository, and a user who manages a group without it."""

    def __init__(self, server):
        self.server = server
        self.port = free_port()
        self.admin = server.admin
        self.hosted("private", {**SIMPLE, "httpPort": self.port})
        self.hosted("open", SIMPLE)
        self.ask("POST", "/repositories/raw/hosted", RAW, self.admin)
        assert self.group("POST", ["open"], login=self.admin).status == 201
        self.user("gus", ADMIN_OF.format("grp"), "nx-repository-view-docker-grp-*")

    def user(self, name, *privileges):
        """Create a user with some privileges."""
        role = {"id": name, "name": name, "privileges": list(privileges), "roles": []}
        assert self.ask("POST", "/security/roles", role, self.admin).status == 200
        about = {"firstName": "A", "lastName": "B", "emailAddress": "a@example.org"}
        user = {"userId": name, **about, "status": "active", "roles": [name]}
        answer = self.ask(
            "POST", "/security/users", {**user, "password": f"password of {name}"}, self.admin
        )
        assert answer.status == 200, answer.raw

    def hosted(self, name, docker):
        """Create a hosted repository."""
        storage = {**STORAGE, "writePolicy": "allow"}
        body = {"name": name, "online": True, "storage": storage, "docker": docker}
        answer = self.ask("POST", "/repositories/docker/hosted", body, self.admin)
        assert answer.status == 201, answer.raw

    def ask(self, method, path, body, login):
        """Send a request with a JSON body."""
        data = json.dumps(body).encode()
        kind = "Content-Type: application/json"
        return send(
            self.server.main_port, request(method, REST + path, kind, login=login, body=data)
        )

    def group(self, method, members, login=("gus", "password of gus"), **values):
        """Create or replace the group."""
        group = {"memberNames": members, "writableMember": values.pop("writable", None)}
        docker = {**SIMPLE, **values}
        body = {"name": "grp", "online": True, "storage": STORAGE, "group": group, "docker": docker}
        path = "/repositories/docker/group" + ("/grp" if method == "PUT" else "")
        return self.ask(method, path, body, login)

    def patch(self, name, settings, login=("gus", "password of gus")):
        """Change settings of a repository by a merge patch."""
        kind = "Content-Type: application/merge-patch+json"
        data = json.dumps({"settings": settings}).encode()
        path = f"/api/v1/repositories/{name}/settings"
        return send(self.server.main_port, request("PATCH", path, kind, login=login, body=data))

    def members(self):
        """The members that the group has now."""
        path = f"{REST}/repositories/docker/group/grp"
        answer = send(self.server.main_port, request("GET", path, login=self.admin))
        return json.loads(answer.body)["group"]["memberNames"]


RAW = {"name": "files", "online": True, "storage": {**STORAGE, "writePolicy": "allow"}}
RAW["raw"] = {"contentDisposition": "ATTACHMENT"}


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    with live_server(tmp_path_factory.mktemp("office")) as server:
        yield Office(server)


@pytest.mark.parametrize("name", ["private", "PRIVATE", "files"])
def test_a_group_gives_nobody_what_they_may_not_read(office, name):
    answer = office.group("PUT", ["open", name])
    missing = office.group("PUT", ["open", "nonesuch"])
    assert answer.status == missing.status == 400
    assert answer.body.replace(name.encode(), b"nonesuch") == missing.body
    assert office.members() == ["open"]


def test_a_patch_gives_no_more_than_a_whole_change(office):
    for members in (["open", "private"], ["open", "nonesuch"]):
        answer = office.patch("grp", {"group": {"members": members}})
        assert answer.status == 400
        assert b"is not the name of another repository" in answer.body
    answer = office.patch("grp", {"docker": {"http_port": office.port}})
    assert answer.status in (400, 409)
    assert b"private" not in answer.raw
    assert office.patch("grp", {"group": {"pins": {"a/*": ["open"]}}}).status == 200
    assert office.patch("grp", {"group": {"pins": None}}).status == 200
    assert office.members() == ["open"]


def test_who_manages_a_proxy_learns_nothing_of_files_and_reaches_no_private_network(office):
    proxy = {
        "name": "hub",
        "online": True,
        "storage": STORAGE,
        "proxy": {"remoteUrl": "http://127.0.0.1:9", "contentMaxAge": 1, "metadataMaxAge": 1},
        "negativeCache": {"enabled": False, "timeToLive": 1},
        "httpClient": {"blocked": False, "autoBlock": False},
        "docker": SIMPLE,
        "dockerProxy": {"indexType": "REGISTRY", "indexUrl": None},
    }
    assert office.ask("POST", "/repositories/docker/proxy", proxy, office.admin).status == 201
    office.user("pia", ADMIN_OF.format("hub"))
    pia = ("pia", "password of pia")
    told = set()
    for path in ("/etc/passwd", "/nonesuch", "/root/secret"):
        answer = office.patch("hub", {"http_client": {"ca_bundle": path}}, pia)
        assert answer.status == 400
        told.add(answer.body)
    assert len(told) == 1
    for changes in ({"allow_private": True}, {"allow_private": True, "ca_bundle": None}):
        assert office.patch("hub", {"http_client": changes}, pia).status == 400
    private = {"http_client": {"allow_private": True}}
    assert office.patch("hub", private, office.admin).status == 200
    assert office.patch("hub", {"http_client": {"retries": 1}}, pia).status == 200


def test_members_that_somebody_else_has_added_may_stay(office):
    assert office.group("PUT", ["private", "open"], login=office.admin).status == 204
    assert office.group("PUT", ["open", "private"]).status == 204  # In another order.
    assert office.group("PUT", ["open"]).status == 204
    assert office.group("PUT", ["open", "private"]).status == 400


def test_who_may_read_a_repository_may_show_it_but_not_have_it_written(office):
    reading = ("browse", "read")
    view = [f"nx-repository-view-docker-private-{each}" for each in reading]
    everything = [ADMIN_OF.format("grp"), "nx-repository-view-docker-grp-*"]
    office.user("rita", *everything, *view)
    login = ("rita", "password of rita")
    answer = office.group("PUT", ["open", "private"], login, writable="private")
    assert answer.status == 400
    assert b"right to write" in answer.body
    assert office.group("PUT", ["open", "private"], login).status == 204
    assert office.group("PUT", ["open"], office.admin).status == 204


def test_a_part_of_a_repository_is_not_enough_to_show_it(office):
    office.user("bo", ADMIN_OF.format("grp"), "nx-repository-view-docker-private-browse")
    answer = office.group("PUT", ["open", "private"], ("bo", "password of bo"))
    assert answer.status == 400
    assert b"right to read everything in 'private'" in answer.body


def test_a_group_cannot_be_created_around_a_private_repository(office):
    office.user("ned", "nx-repository-admin-docker-*-add")
    body = {
        "name": "mine",
        "online": True,
        "storage": STORAGE,
        "group": {"memberNames": ["private"]},
        "docker": SIMPLE,
    }
    login = ("ned", "password of ned")
    answer = office.ask("POST", "/repositories/docker/group", body, login)
    assert answer.status == 400, answer.raw
    assert office.ask("GET", "/repositories/mine", None, office.admin).status == 404


def test_a_port_does_not_name_a_repository_that_is_hidden(office):
    answer = office.group("PUT", ["open"], httpPort=office.port)
    assert answer.status == 400
    assert b"used by another repository" in answer.body
    assert b"private" not in answer.raw
    told = office.group("PUT", ["open"], office.admin, httpPort=office.port)
    assert b"used by the repository 'private'" in told.body
