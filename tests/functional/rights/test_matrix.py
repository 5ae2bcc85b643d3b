"""Who may do what, where and by which way in: all of it, against a table written by hand."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial

import pytest

from repoman.security.actors import Action, Limit
from repoman.testing import ADMIN
from tests.fakes.registry import fake_registry
from tests.functional.docker.driver import Login, Registry
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker.wires import Answer
from tests.functional.rights.stage import Stage, view

# What each actor has: the privileges on the repository that is asked, or what is said here.
ACTORS: dict[str, tuple[str, ...]] = {
    "anybody": (),  # no login, where anybody may read
    "nobody": (),  # no login, where one is needed
    "stranger": (),  # a login and no rights
    "elsewhere": (),  # all rights on another repository
    "by member": (),  # all rights on the repositories of the group, and none on the group
    "by group": (),  # all rights on the group, and none on its members
    "browser": ("browse",),
    "reader": ("browse", "read"),
    "adder": ("browse", "read", "add"),
    "writer": ("browse", "read", "add", "edit"),
    "editor": ("browse", "read", "edit"),
    "deleter": ("browse", "read", "delete"),
    "owner": ("*",),
    "admin": (),
}

# list     the tags of an image                        catalog  the images
# pull     a manifest and a blob                       push     an image with a new tag
# move     a tag, to another manifest                  delete   a manifest
# mount    a blob of another image into a new one      upload   begin one, ask for it, cancel it
# theirs   ask for and cancel the upload of another
#
# ok       it is done                                  login    401: a login is needed
# denied   403: a login, and no right                  absent   404: it is none of theirs
# empty    200: nothing is shown                       type     405: this type does not do that
# -        strangers: 403 on a connector, where there is nothing to hide; 404 on the main port,
#          as if there were no such repository. The catalog of a connector shows them nothing.
TABLE = """
hosted     list    pull    catalog  push    move    delete  mount   upload  theirs
anybody    ok      ok      ok       login   login   login   login   login   login
nobody     login   login   login    login   login   login   login   login   login
stranger   -       -       -        -       -       -       -       -       -
elsewhere  -       -       -        -       -       -       -       -       -
by group   -       -       -        -       -       -       -       -       -
browser    ok      denied  ok       denied  denied  denied  denied  denied  denied
reader     ok      ok      ok       denied  denied  denied  denied  denied  denied
adder      ok      ok      ok       ok      denied  denied  ok      ok      absent
writer     ok      ok      ok       ok      ok      denied  ok      ok      absent
editor     ok      ok      ok       denied  denied  denied  denied  denied  denied
deleter    ok      ok      ok       denied  denied  ok      denied  denied  denied
owner      ok      ok      ok       ok      ok      ok      ok      ok      absent
admin      ok      ok      ok       ok      ok      ok      ok      ok      absent

proxy      list    pull    catalog  push    move    delete  mount   upload  theirs
anybody    ok      ok      ok       login   login   login   login   login   login
nobody     login   login   login    login   login   login   login   login   login
stranger   -       -       -        -       -       -       -       -       -
elsewhere  -       -       -        -       -       -       -       -       -
by group   -       -       -        -       -       -       -       -       -
browser    ok      denied  ok       denied  denied  denied  denied  denied  denied
reader     ok      ok      ok       denied  denied  denied  denied  denied  denied
adder      ok      ok      ok       type    type    denied  type    type    type
writer     ok      ok      ok       type    type    denied  type    type    type
editor     ok      ok      ok       denied  denied  denied  denied  denied  denied
deleter    ok      ok      ok       denied  denied  type    denied  denied  denied
owner      ok      ok      ok       type    type    type    type    type    type
admin      ok      ok      ok       type    type    type    type    type    type

group      list    pull    catalog  push    move    delete  mount   upload  theirs
anybody    ok      ok      ok       login   login   login   login   login   login
nobody     login   login   login    login   login   login   login   login   login
stranger   -       -       -        -       -       -       -       -       -
elsewhere  -       -       -        -       -       -       -       -       -
by member  -       -       -        -       -       -       -       -       -
by group   ok      ok      ok       ok      ok      ok      ok      ok      absent
browser    ok      denied  ok       denied  denied  denied  denied  denied  denied
reader     ok      ok      ok       denied  denied  denied  denied  denied  denied
adder      ok      ok      ok       ok      denied  denied  ok      ok      absent
writer     ok      ok      ok       ok      ok      denied  ok      ok      absent
editor     ok      ok      ok       denied  denied  denied  denied  denied  denied
deleter    ok      ok      ok       denied  denied  ok      denied  denied  denied
admin      ok      ok      ok       ok      ok      ok      ok      ok      absent
"""
WAYS = ["connector, Basic", "connector, Bearer", "main port, Basic", "main port, Bearer"]
OUTCOMES = {401: "login", 403: "denied", 404: "absent", 405: "type"}

ONE, TWO = make_image(b"one"), make_image(b"two")


def rows() -> Iterator[tuple[str, str, dict[str, str]]]:
    """The table: type, actor, and the outcome of each verb."""
    for block in TABLE.strip().split("\n\n"):
        head, *lines = block.splitlines()
        kind, *verbs = head.split()
        for line in lines:
            actor = next(each for each in ACTORS if line.startswith(each))
            yield kind, actor, dict(zip(verbs, line[len(actor) :].split(), strict=True))


@dataclass
class Scene:
    """A repository as an actor sees it, and as the administrator does."""

    actor: Registry
    admin: Registry
    other: Login
    is_bearer: bool

    def ask(
        self, method: str, path: str, body: bytes | None = None, source: str = "", **more: str
    ) -> Answer:
        """Send one request, with a token for it if tokens are the way in."""
        headers = dict(more)
        if self.is_bearer:
            name = path.split("?")[0].partition("/v2/")[2] or path
            name = name.partition("/manifests")[0].partition("/blobs")[0].partition("/tags")[0]
            scopes = [f"repository:{name}:pull,push,delete", "registry:catalog:*"]
            scopes += [f"repository:{source}:pull"] if source else []
            answer = self.actor.get("token", query={"scope": " ".join(scopes)})
            if answer.status != 200:
                return answer
            headers["Authorization"] = f"Bearer {answer.json()['token']}"
        return self.actor.send(method, path, body, headers=headers)


# --- Verbs: each returns the answer that decides --------------------------------------------------


def list_(scene: Scene) -> Answer:
    return scene.ask("GET", "app/tags/list")


def pull(scene: Scene) -> Answer:
    manifest = scene.ask("GET", "app/manifests/1")
    blob = scene.ask("GET", f"app/blobs/{digest_of(ONE.blobs[0])}")
    assert manifest.status == blob.status
    return manifest


def catalog(scene: Scene) -> Answer:
    return scene.ask("GET", "_catalog")


def push(scene: Scene) -> Answer:
    name = new_name()
    for blob in ONE.blobs:
        answer = push_blob(scene, name, blob)
        if answer.status != 201:
            # A manifest gets no further, whoever sends it first.
            refused = put(scene, name, "1", ONE.manifest)
            assert refused.status == answer.status
            return answer
    return put(scene, name, "1", ONE.manifest)


def push_blob(scene: Scene, name: str, data: bytes) -> Answer:
    answer = scene.ask("POST", f"{name}/blobs/uploads/")
    if answer.status != 202:
        return answer
    location = f"{answer.headers['Location']}?digest={digest_of(data)}"
    return scene.ask("PUT", location, data)


def put(scene: Scene, name: str, tag: str, manifest: bytes) -> Answer:
    kind = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
    return scene.ask("PUT", f"{name}/manifests/{tag}", manifest, **kind)


def move(scene: Scene) -> Answer:
    name = new_name()
    is_there = scene.admin.start(name).status == 202
    if is_there:
        scene.admin.push_blobs(name, TWO)
        scene.admin.push(name, "1", ONE)
    answer = put(scene, name, "1", TWO.manifest)
    if is_there:
        now = digest_of(TWO.manifest if answer.status == 201 else ONE.manifest)
        digest = scene.admin.head(f"{name}/manifests/1").headers["Docker-Content-Digest"]
        assert digest == now
    return answer


def delete(scene: Scene) -> Answer:
    name = new_name()
    if scene.admin.start(name).status == 202:
        scene.admin.push(name, "1", ONE)
    return scene.ask("DELETE", f"{name}/manifests/1")


def mount(scene: Scene) -> Answer:
    digest = digest_of(ONE.blobs[0])
    name = new_name()
    answer = scene.ask("POST", f"{name}/blobs/uploads/?mount={digest}&from=app", source="app")
    assert answer.status != 202, "it is no mount, but an upload"
    return answer


def upload(scene: Scene) -> Answer:
    answer = scene.ask("POST", f"{new_name()}/blobs/uploads/")
    if answer.status != 202:
        return answer
    location = answer.headers["Location"]
    assert scene.ask("GET", location).status == 204
    return scene.ask("DELETE", location)


def theirs(scene: Scene) -> Answer:
    name = new_name()
    begun = begin(scene, name)
    asked = scene.ask("GET", begun)
    cancelled = scene.ask("DELETE", begun)
    assert asked.status == cancelled.status
    return cancelled


def begin(scene: Scene, name: str) -> str:
    """Begin an upload of somebody else, who is no actor of the table."""
    answer = scene.admin.as_user(scene.other).start(name)
    if answer.status != 202:
        return f"{name}/blobs/uploads/8d7c3a5e-0000-4000-8000-000000000000"
    upload_id = answer.headers["Docker-Upload-UUID"]
    return f"{name}/blobs/uploads/{upload_id}"


VERBS = {
    "list": list_,
    "pull": pull,
    "catalog": catalog,
    "push": push,
    "move": move,
    "delete": delete,
    "mount": mount,
    "upload": upload,
    "theirs": theirs,
}


def new_name() -> str:
    return f"new-{secrets.token_hex(4)}"


# --- The stage ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def repositories(stage: Stage) -> Iterator[dict[str, str]]:
    """The repository of each type, all with the image app:1, and one more."""
    with fake_registry() as upstream:
        upstream.put("app", "1", ONE)
        hosted = stage.make_repository()
        stage.connector(hosted).push("app", "1", ONE)
        proxy = stage.make_repository("docker-proxy", proxy__remote_url=upstream.url)
        stage.connector(proxy).pull("app", "1")
        group = stage.make_repository(
            "docker-group", group__members=[hosted, proxy], group__writable_member=hosted
        )
        yield {
            "hosted": hosted,
            "proxy": proxy,
            "group": group,
            "other": stage.make_repository(),
        }


def places_and_actions(kind: str, actor: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where an actor of a row may do something, and what."""
    by_place = {
        "elsewhere": ("other",),
        "by member": ("hosted", "proxy"),
        "by group": ("group",),
    }
    return by_place.get(actor, (kind,)), ("*",) if actor in by_place else ACTORS[actor]


@pytest.fixture(scope="module")
def login_of(stage: Stage, repositories: dict[str, str]):
    """The login of an actor at the repository of a type; each is made once."""

    @cache
    def find(kind: str, actor: str) -> Login | None:
        if actor in ("anybody", "nobody"):
            return None
        if actor == "admin":
            return ADMIN
        places, actions = places_and_actions(kind, actor)
        names = [repositories[place] for place in places]
        return stage.make_user(*(each for name in names for each in view(name, *actions)))

    return find


@pytest.fixture(scope="module")
def token_of(stage: Stage, repositories: dict[str, str]):
    """The user token with the limit that an actor has by rights; its user may do everything."""

    @cache
    def find(kind: str, actor: str) -> Login:
        places, actions = places_and_actions(kind, actor)
        limit = Limit(
            tuple(repositories[place] for place in places),
            actions=frozenset(Action(each) for each in actions if each != "*"),
        )
        user, _ = stage.make_user(*view("*", "*"))
        return user, stage.repoman.security.user_tokens.create(user, "ci", limit)

    return find


@pytest.fixture
def anonymous(stage: Stage) -> Iterator[object]:
    """Switch reading without a login on or off; off again at the end."""
    switch = partial(stage.repoman.options.update, "anonymous")
    yield lambda enabled: switch({"enabled": enabled})
    switch({"enabled": False})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("kind", "actor", "expected"), list(rows()))
def test_who_may_do_what(stage, repositories, login_of, anonymous, way, kind, actor, expected):
    anonymous(actor == "anybody")
    other = ADMIN if actor == "owner" else login_of(kind, "owner")
    play(stage, repositories[kind], way, login_of(kind, actor), other, expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("kind", "actor", "expected"),
    [row for row in rows() if row[1] not in ("anybody", "nobody", "stranger", "admin")],
)
def test_a_token_with_a_limit_is_like_a_user_with_these_rights(
    stage, repositories, token_of, way, kind, actor, expected
):
    if expected["catalog"] == "-" and way.startswith("connector"):
        # A user is shown nothing; a token is refused, so that a login says that it is not for here.
        expected = {**expected, "catalog": "denied"}
    play(stage, repositories[kind], way, token_of(kind, actor), ADMIN, expected)


def play(
    stage: Stage,
    repository: str,
    way: str,
    login: Login | None,
    other: Login | None,
    expected: dict[str, str],
) -> None:
    """Do everything that a row has, and compare."""
    place, _, proof = way.partition(", ")
    at = stage.connector if place == "connector" else stage.mounted
    scene = Scene(at(repository, login), at(repository), other, proof == "Bearer")
    found = {verb: outcome(verb, VERBS[verb](scene)) for verb in expected}
    assert found == {
        verb: stranger(verb, place) if written == "-" else written
        for verb, written in expected.items()
    }


def outcome(verb: str, answer: Answer) -> str:
    """What an answer means, in the words of the table."""
    if answer.status < 300:
        if verb == "catalog" and "app" not in answer.json()["repositories"]:
            return "empty"
        return "ok"
    return OUTCOMES[answer.status]


def stranger(verb: str, place: str) -> str:
    if place == "main port":
        return "absent"
    return "empty" if verb == "catalog" else "denied"


def test_the_table_is_whole():
    assert {actor for _, actor, _ in rows()} == set(ACTORS)
    for _, _, expected in rows():
        assert set(expected) == set(VERBS)
