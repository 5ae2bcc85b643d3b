"""What endpoints of the REST API declare is what they do, tried with an area of a plugin."""

import json
from enum import StrEnum

import pytest
from pydantic import Field
from werkzeug.test import Client

from repoman.errors import Conflict
from repoman.plugin import (
    EVERYBODY,
    SIGNED_IN,
    Action,
    Actor,
    Area,
    Call,
    Form,
    Invalid,
    NotFound,
    Page,
    PageQuery,
    Permission,
    Query,
    RepositoryContent,
    RepositorySettings,
    Resource,
    StorageFull,
    Timestamp,
    hookimpl,
)
from repoman.testing import ADMIN, HttpClient
from repoman.testing.client import application_of
from repoman_raw import plugin as raw

things = Area("Things", "Things of a test.")


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


class ThingQuery(PageQuery):
    color: Color | None = None
    tag: list[str] = Field(default_factory=list)
    limit: int = Field(2, ge=1, le=10)


class Thing(Resource):
    thing_name: str
    made_at: Timestamp = 1_790_439_325.622
    parent_thing: str | None = None


class Search(Query):
    text: str


@things.get("/v1/things", EVERYBODY)
def list_things(call: Call, query: ThingQuery) -> Page[Thing]:
    """List things."""
    items = [Thing(thing_name=f"{query.color}{each}") for each in query.tag[: query.limit]]
    return Page[Thing](items=items, continuation_token="more" if items else None)


@things.post("/v1/things", Permission("settings", "update"), status=201)
def add_thing(call: Call, body: Thing) -> Thing:
    """Add a thing."""
    if body.thing_name == "taken":
        raise Conflict("thingName: a thing named 'taken' already exists.")
    if body.thing_name == "bad":
        raise Invalid("thingName: is bad.", field="thingName")
    return body


@things.put("/v1/things/{name}", SIGNED_IN)
def put_thing(call: Call, name: str, body: list[str]) -> None:
    """Give a thing other parts."""
    if name == "none":
        raise NotFound("There is no thing 'none'.")


@things.put("/v1/things/{name}/text", SIGNED_IN, has_plain_errors=True)
def put_text(call: Call, name: str, text: str) -> str:
    """Give a thing a text."""
    if not text:
        raise Invalid("The text is empty.")
    return f"{call.actor.name} {name} {text}"


@things.put("/v1/things/{name}/bare", SIGNED_IN, bare=[404])
def put_bare(call: Call, name: str) -> None:
    """Say nothing."""
    raise NotFound("It is gone.")


@things.get("/v1/things/search", EVERYBODY)
def search(call: Call, query: Search) -> str:
    """Search."""
    return query.text


OPENED = []


class Sink:
    """Keeps a file, and whether it was closed."""

    def __init__(self, name):
        self.name = name
        self.pieces = []
        self.is_closed = False
        OPENED.append(self)

    def write(self, data):
        if self.name == "huge":
            raise StorageFull("There is not enough disk space.")
        self.pieces.append(data)

    def close(self):
        self.is_closed = True


def open_part(call, field, filename, media_type):
    assert call.repository.name == "files"
    return Sink(filename)


@things.post("/v1/upload", RepositoryContent(parameter="repository"), open_part=open_part)
def upload(call: Call, form: Form) -> str:
    """Upload files."""
    told = [
        (each.field, each.filename, each.media_type, len(b"".join(each.sink.pieces)))
        for each in form.parts
    ]
    assert not any(each.sink.is_closed for each in form.parts)
    return json.dumps([form.fields, told])


@things.get("/v1/settings/{name}", RepositorySettings(Action.EDIT))
def settings(call: Call) -> str:
    """Show something that is for who may edit."""
    return f"{call.repository.name} {call.base_url}"


class Things:
    @hookimpl
    def repoman_register_rest(self):
        return [things]


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"raw": raw, "things": Things()})
    repoman.repositories.create("files", "raw-hosted", {})
    repoman.users.create("ann", "a password")
    return repoman


@pytest.fixture(params=[True, False], ids=["admission", "in place"])
def client(repoman, request):
    OPENED.clear()
    return HttpClient(repoman, admission=request.param)


def ask(client, method, path, **options):
    return client.request(method, f"/service/rest{path}", **options)


def send(client, method, path, body, **options):
    return ask(
        client, method, path, data=json.dumps(body), content_type="application/json", **options
    )


def test_a_page_has_exact_names_nulls_and_times(client):
    answer = ask(client, "GET", "/v1/things?color=red&tag=1&tag=2&tag=3", login=False)
    thing = {"madeAt": "2026-09-26T16:15:25.622+00:00", "parentThing": None}
    assert answer.json == {
        "items": [{"thingName": "red1", **thing}, {"thingName": "red2", **thing}],
        "continuationToken": "more",
    }
    assert answer.mimetype == "application/json"
    assert ask(client, "GET", "/v1/things?color=&continuationToken=").json == {
        "items": [],
        "continuationToken": None,
    }


@pytest.mark.parametrize("path", ["/v1/things/", "/beta/things", "/beta/things/"])
def test_other_ways_to_write_an_address_lead_there(client, path):
    assert ask(client, "GET", path).status_code == 200


def test_wrong_parameters_are_a_list_of_problems(client):
    answer = ask(client, "GET", "/v1/things?limit=11&color=green")
    assert answer.status_code == 400
    assert answer.json == [
        {"id": "PARAMETER color", "message": "must be 'red' or 'blue'."},
        {"id": "PARAMETER limit", "message": "must be at most 10."},
    ]
    missing = ask(client, "GET", "/v1/things/search")
    assert missing.json == [{"id": "PARAMETER text", "message": "is required."}]


def test_a_body_is_a_model_and_unknown_fields_are_ignored(client):
    answer = send(client, "POST", "/v1/things", {"thingName": "new", "madeAt": 0, "odd": 1})
    assert answer.status_code == 201
    assert answer.json == {
        "thingName": "new",
        "madeAt": "1970-01-01T00:00:00.000+00:00",
        "parentThing": None,
    }
    assert send(client, "PUT", "/v1/things/x", ["a", "b"]).status_code == 204


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({}, 400, [{"id": "PARAMETER thingName", "message": "is required."}]),
        ({"thingName": None}, 400, [{"id": "PARAMETER thingName", "message": "is required."}]),
        ({"thingName": 1}, 400, [{"id": "thingName", "message": "must be a string."}]),
        ({"thingName": "bad"}, 400, [{"id": "thingName", "message": "is bad."}]),
        (
            {"thingName": "taken"},
            409,
            {"id": "*", "message": "\"thingName: a thing named 'taken' already exists.\""},
        ),
    ],
)
def test_a_failure_has_the_form_that_clients_know(client, body, status, told):
    answer = send(client, "POST", "/v1/things", body)
    assert (answer.status_code, answer.json) == (status, told)


def test_what_is_no_json_is_told_in_one_object(client):
    answer = ask(
        client, "POST", "/v1/things", data=b"{", content_type="application/json; charset=utf-8"
    )
    assert answer.status_code == 400
    assert answer.json["id"] == "*"
    assert answer.json["message"].startswith("Could not process the input: ")
    assert ask(client, "POST", "/v1/things", data=b"{}").status_code == 415
    large = ask(
        client, "POST", "/v1/things", data=b" " * (2 << 20), content_type="application/json"
    )
    assert large.status_code == 413


def test_an_answer_that_the_client_does_not_accept_is_not_sent(client):
    accepts = {"Accept": "text/xml"}
    assert ask(client, "GET", "/v1/things", headers=accepts).status_code == 406
    assert ask(client, "GET", "/v1/things", headers={"Accept": "*/*"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "nobody", "ann"),
    [
        ("GET", "/v1/things", 200, 200),
        ("POST", "/v1/things", 401, 403),
        ("PUT", "/v1/things/x", 401, 415),
        ("POST", "/v1/upload?repository=files", 401, 404),
        ("POST", "/v1/upload?repository=none", 401, 404),
        ("POST", "/v1/upload", 401, 404),
        ("GET", "/v1/settings/files", 401, 404),
        ("GET", "/v1/nothing", 404, 404),
        ("DELETE", "/v1/things", 405, 405),
    ],
)
def test_a_right_is_checked_before_the_body_is_looked_at(client, method, path, nobody, ann):
    for options, status in (({"login": False}, nobody), ({"auth": ("ann", "a password")}, ann)):
        answer = ask(client, method, path, data=b"any", **options)
        assert answer.status_code == status
    assert OPENED == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/things", 403),
        ("GET", "/v1/nothing", 404),
        ("DELETE", "/v1/things", 405),
        ("PUT", "/v1/things/x", 415),
        ("PUT", "/v1/things/gone/bare", 404),
    ],
)
def test_some_refusals_have_no_body(client, method, path, status):
    answer = ask(client, method, path, auth=("ann", "a password"))
    assert (answer.status_code, answer.data) == (status, b"")
    assert "Content-Type" not in answer.headers


def test_a_refusal_tells_what_is_wrong_in_quotes(client):
    answer = send(client, "PUT", "/v1/things/none", [])
    assert answer.status_code == 404
    assert answer.json == {"id": "*", "message": "\"There is no thing 'none'.\""}


def test_who_knows_a_repository_but_may_not_set_it_is_denied(client, repoman):
    repoman.users.change("ann", roles=["nx-developer"])
    answer = ask(client, "GET", "/v1/settings/files", auth=("ann", "a password"))
    assert answer.status_code == 403
    assert ask(client, "GET", "/v1/settings/files").text == "files http://localhost"


def test_texts_go_in_and_out_and_errors_are_plain(client):
    answer = ask(client, "PUT", "/v1/things/x/text", data="grün".encode())
    assert answer.text == "admin x grün"
    refused = ask(client, "PUT", "/v1/things/x/text", data=b"")
    assert refused.status_code == 400
    assert refused.text == "ValidationErrorXO{id='*', message='The text is empty.'}"
    wrong = ask(client, "PUT", "/v1/things/x/text", data=b"{}", content_type="application/json")
    assert (wrong.status_code, wrong.data) == (415, b"")
    assert ask(client, "PUT", "/v1/things/x/text", data=b"\xff").status_code == 400


def form(*parts, end=b"--"):
    """A multipart body; each part is its header and its bytes."""
    pieces = [b"\r\n--edge\r\n" + header + b"\r\n\r\n" + data for header, data in parts]
    return b"".join(pieces) + b"\r\n--edge" + end + b"\r\n"


def a_file(name, data, kind=b""):
    header = b'Content-Disposition: form-data; name="raw.asset"; filename="%b"' % name
    return header + (b"\r\nContent-Type: " + kind if kind else b""), data


def a_text(name, text):
    return b'Content-Disposition: form-data; name="%b"' % name, text


def post(client, body):
    kind = "multipart/form-data; boundary=edge"
    return ask(client, "POST", "/v1/upload?repository=files", data=body, content_type=kind)


def test_the_files_of_a_form_go_to_a_sink_each(client):
    large = b"\r\n--edg" * 200_000
    body = form(
        a_text(b"raw.directory", b"/docs"),
        a_file(b"a.txt", b"hello", b"text/plain"),
        a_text(b"raw.directory", "grün".encode()),
        a_file(b"b.bin", large),
    )
    answer = post(client, body)
    assert answer.status_code == 200, answer.text
    fields, parts = json.loads(answer.text)
    assert fields == {"raw.directory": ["/docs", "grün"]}
    assert parts == [
        ["raw.asset", "a.txt", "text/plain", 5],
        ["raw.asset", "b.bin", "application/octet-stream", len(large)],
    ]
    assert b"".join(OPENED[1].pieces) == large
    assert [each.is_closed for each in OPENED] == [True, True]
    assert max(map(len, OPENED[1].pieces)) <= 1 << 18


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"\r\n", 400),
        (b"nothing of the kind", 400),
        (form(a_file(b"a", b"x"), end=b""), 400),
        (form(a_file(b"a", b"x"))[:-20], 400),
        (form(a_file(b"a", b"x"), (b"Odd: header", b"x")), 400),
        (form(a_file(b"a", b"x"), a_text(b"long", b"x" * (1 << 19))), 413),
        (form(a_file(b"a", b"x"), *[a_text(b"n", b"")] * 1000), 413),
        (form(a_file(b"a", b"x"), a_file(b"huge", b"x" * 100)), 507),
        (form(a_file(b"a", b"x"), a_text(b"\xff", b"\xff")), 400),
    ],
)
def test_a_form_that_breaks_off_leaves_no_sink_open(client, body, status):
    answer = post(client, body)
    assert answer.status_code == status, answer.text
    assert all(each.is_closed for each in OPENED)


def test_a_form_must_be_one(client):
    answer = ask(client, "POST", "/v1/upload?repository=files", data=b"{}")
    assert answer.status_code == 400
    assert "multipart/form-data" in answer.json["message"]


def test_what_no_request_has_is_noticed_at_once():
    area = Area("Odd", "Endpoints that cannot be.")
    with pytest.raises(TypeError, match="open_part"):
        area.post("/v1/odd", SIGNED_IN)(upload)
    with pytest.raises(TypeError, match="no request has name"):
        area.put("/v1/odd", SIGNED_IN)(put_thing)
    with pytest.raises(TypeError, match="docstring"):
        area.get("/v1/odd", SIGNED_IN)(lambda call: None)
    assert area.endpoints == []


def test_two_endpoints_of_one_address_abort_the_start(repoman_factory):
    more = Area("More", "More things.")
    more.get("/v1/tasks", EVERYBODY)(list_things)

    class More:
        @hookimpl
        def repoman_register_rest(self):
            return [more]

    with pytest.raises(Conflict, match="GET /service/rest/v1/tasks"):
        HttpClient(repoman_factory({"more": More()}))


def test_a_session_needs_the_mark_of_our_pages(repoman):
    client = Client(application_of(repoman))
    session = repoman.security.sessions.begin(Actor(ADMIN[0]), "127.0.0.1", "a browser")
    client.set_cookie("repoman-login", session)
    path = "/service/rest/v1/things/x"
    body = {"data": "[]", "content_type": "application/json"}
    refused = client.put(path, headers={"X-CSRFToken": "guess"}, **body)
    assert refused.status_code == 401
    assert "forgery" in refused.text
    assert client.get("/service/rest/v1/things").status_code == 200
    assert client.put(path, auth=ADMIN, **body).status_code == 204
