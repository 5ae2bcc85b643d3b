"""The rules of the wire that all endpoints share, tried with an area of a plugin."""

import json
import threading
from base64 import b64encode

import pytest
from pydantic import ValidationError
from werkzeug.test import Client

from repoman.config import ServerSettings
from repoman.errors import Conflict
from repoman.plugin import (
    EVERYBODY,
    SIGNED_IN,
    Area,
    Call,
    Form,
    Invalid,
    Limit,
    Resource,
    hookimpl,
)
from repoman.rest.endpoints import API_ROOT, Reply
from repoman.rest.resources import AnyCase
from repoman.testing import ADMIN, HttpClient
from repoman.testing.client import application_of
from tests.clock import WAIT_S
from tests.functional.rest.matching import VECTORS

FORMS = json.loads((VECTORS / "errors.json").read_text())["forms"]
PROOF = "NX-ANTI-CSRF-TOKEN"
SESSION = "/service/rapture/session"
TYPE = {"content_type": "application/json"}

toys = Area("Toys", "Toys of a test.")
ours = Area("Our toys", "The same as our own API.", root=API_ROOT)


class Mood(AnyCase):
    GLAD = "GLAD"
    SAD = "sad"


class Toy(Resource):
    mood: Mood = Mood.GLAD
    size: int = 7
    label: str | None = None
    sizes: list[int] | None = None


class Box:
    """What the endpoints show and change."""

    toy = Toy()
    entered = threading.Event()
    go_on = threading.Event()
    waits = False


@toys.get("/v1/toy", EVERYBODY)
def show_toy(call: Call) -> Toy:
    """Show the toy."""
    return Box.toy


@toys.put("/v1/toy", SIGNED_IN, matches=show_toy)
def change_toy(call: Call, body: Toy) -> None:
    """Change the toy."""
    if body.label == "wrong":
        raise Invalid("label: is wrong.", field="label")
    if body.label == "broken":
        raise RuntimeError("a secret of the inside")
    if Box.waits:
        Box.entered.set()
        assert Box.go_on.wait(WAIT_S)
    Box.toy = body


@toys.get("/v1/toy/shop", EVERYBODY)
def find_shop(call: Call) -> Toy | Reply:
    """Say where toys are."""
    return Reply(status=302, headers={"Location": "/shop"})


@toys.get("/v1/toy/xml", EVERYBODY)
def show_xml(call: Call) -> Reply:
    """Show the toy as XML."""
    return Reply("<toy/>", "application/xml")


@toys.delete("/v1/toy", SIGNED_IN)
def throw_away(call: Call) -> None:
    """Throw the toy away."""


@toys.put("/v1/toy/text", SIGNED_IN, takes_any_type=True)
def tell(call: Call, text: str) -> str:
    """Repeat a text."""
    return text


class Sink:
    def write(self, data):
        pass

    def close(self):
        pass


@toys.post("/v1/toy/files", SIGNED_IN, open_part=lambda *_: Sink())
def send_files(call: Call, form: Form) -> str:
    """Take files."""
    return json.dumps(form.fields)


@ours.put("/toys/{name}", SIGNED_IN)
def change_our_toy(call: Call, name: str, body: Toy) -> Toy:
    """Change a toy of ours."""
    if body.label == "wrong":
        raise Invalid("label: is wrong.", field="label")
    return body


class Toys:
    @hookimpl
    def repoman_register_rest(self):
        return [toys, ours]


@pytest.fixture
def repoman(repoman_factory):
    Box.toy, Box.waits = Toy(), False
    Box.entered.clear()
    Box.go_on.clear()
    return repoman_factory({"toys": Toys()})


def ask(client, method, path, **options):
    return client.request(method, f"/service/rest{path}", **options)


def put(client, toy, **options):
    return ask(client, "PUT", "/v1/toy", data=json.dumps(toy), **TYPE, **options)


# --- Errors --------------------------------------------------------------------------------------


def test_errors_have_the_forms_of_the_reference(client):
    a = put(client, {"label": "wrong"})
    assert (a.status_code, a.mimetype) == (400, FORMS["A"]["content_type"][0])
    assert [set(each) for each in a.json] == [set(each) for each in FORMS["A"]["body"]]
    b = ask(client, "GET", "/v1/toy/xml/none", auth=("nobody", "x"))
    assert (b.status_code, b.data) == (401, b"")
    f = ask(client, "PUT", "/v1/toy", data=b"{", **TYPE)
    assert f.json["id"] == FORMS["F"]["not_json"]["id"]
    assert f.json["message"].startswith("Could not process the input: ")
    wrong = put(client, {"size": "big", "mood": "odd"})
    assert {each["id"] for each in wrong.json} == {"PARAMETER size", "PARAMETER mood"}
    assert put(client, {"label": 1}).json[0]["id"] == "label"


def test_true_is_no_number_and_digits_are_one(client):
    for value in (True, False, 1.5, "many", [1]):
        answer = put(client, {"size": value})
        assert answer.status_code == 400
        [told] = answer.json
        assert told["id"].removeprefix("PARAMETER ") == "size"
        assert told["message"] == "must be a whole number."
    assert put(client, {"size": "12"}).status_code == 204
    assert ask(client, "GET", "/v1/toy").json["size"] == 12
    [told] = put(client, {"sizes": [1, True]}).json
    assert (told["id"], told["message"]) == ("sizes", "must be a whole number.")


def test_what_nobody_expected_is_logged_and_not_told(client, caplog):
    answer = put(client, {"label": "broken"})
    assert answer.status_code == 500
    assert answer.json["id"] == "*"
    assert "secret" not in answer.text
    assert "a secret of the inside" in caplog.text


def test_null_is_the_default_and_words_are_read_in_any_case(client):
    assert put(client, {"mood": "glad", "size": None, "odd": {}}).status_code == 204
    shown = {"mood": "GLAD", "size": 7, "label": None, "sizes": None}
    assert ask(client, "GET", "/v1/toy").json == shown
    assert put(client, {"mood": "SAD"}).status_code == 204
    assert ask(client, "GET", "/v1/toy").json["mood"] == "sad"


def test_the_type_of_a_body_that_is_not_there_does_not_matter(client):
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    assert ask(client, "GET", "/v1/toy", headers=headers).status_code == 200
    assert ask(client, "DELETE", "/v1/toy", headers=headers).status_code == 204
    assert ask(client, "PUT", "/v1/toy/text", data=b"{", **TYPE).text == "{"


def test_an_answer_may_be_no_model(client):
    answer = ask(client, "GET", "/v1/toy/shop")
    assert (answer.status_code, answer.headers["Location"], answer.data) == (302, "/shop", b"")
    answer = ask(client, "GET", "/v1/toy/xml", headers={"Accept": "application/json"})
    assert (answer.text, answer.mimetype) == ("<toy/>", "application/xml")


def test_our_own_api_tells_problems_as_the_standard_says(client):
    def send(body, **options):
        return client.request("PUT", "/api/v1/toys/x", data=body, **TYPE, **options)

    assert send(b"{}").json["mood"] == "GLAD"
    problem = send(b'{"label": "wrong"}')
    assert problem.mimetype == "application/problem+json"
    assert problem.json == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "label: is wrong.",
        "errors": [{"field": "label", "message": "is wrong."}],
    }
    assert send(b'{"size": "x"}').json["errors"][0]["field"] == "size"
    assert send(b"{}", login=False).status_code == 401
    assert send(b"{}", login=False).json["title"] == "Unauthorized"
    assert client.get("/api/v1/nothing").json["status"] == 404
    paths = client.get("/api/v1/openapi.json").json["paths"]
    assert "/toys/{name}" in paths
    assert "/toys/{name}" not in client.get("/service/rest/openapi.json").json["paths"]


def test_two_operations_of_one_name_abort_the_start(repoman_factory):
    more = Area("More", "More toys.", root=API_ROOT)
    more.get("/other/toy", EVERYBODY)(show_toy)

    class More:
        @hookimpl
        def repoman_register_rest(self):
            return [toys, more]

    with pytest.raises(Conflict, match="show_toy"):
        HttpClient(repoman_factory({"more": More()}))


# --- Versions ------------------------------------------------------------------------------------


def test_who_has_seen_another_state_changes_nothing(client):
    tag = ask(client, "GET", "/v1/toy").headers["ETag"]
    assert put(client, {"size": 1}, headers={"If-Match": tag}).status_code == 204
    lost = put(client, {"size": 2}, headers={"If-Match": tag})
    assert lost.status_code == 412
    assert "changed" in lost.json["message"]
    assert Box.toy.size == 1
    assert put(client, {"size": 3}).status_code == 204
    assert put(client, {"size": 4}, headers={"If-Match": "*"}).status_code == 204
    tag = ask(client, "GET", "/v1/toy").headers["ETag"]
    same = ask(client, "GET", "/v1/toy", headers={"If-None-Match": tag})
    assert (same.status_code, same.data) == (304, b"")


def test_of_two_clients_at_once_one_is_refused(client):
    headers = {"If-Match": ask(client, "GET", "/v1/toy").headers["ETag"]}
    Box.waits = True
    statuses = []
    first = threading.Thread(
        target=lambda: statuses.append(put(client, {"size": 1}, headers=headers).status_code)
    )
    first.start()
    assert Box.entered.wait(WAIT_S)
    Box.waits = False
    assert put(client, {"size": 2}, headers=headers).status_code == 412
    Box.go_on.set()
    first.join(WAIT_S)
    assert (statuses, Box.toy.size) == ([204], 1)


# --- Logins --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "on", "off"),
    [
        ({}, 403, 401),
        ({"Authorization": "Basic Og=="}, 403, 401),
        ({"X-Nexus-UI": "true"}, 403, 403),
        ({"X-Nexus-UI": "yes"}, 403, 401),
        ({"Authorization": "Basic YTpi"}, 401, 401),
        ({"Authorization": "Basic YTpi", "X-Nexus-UI": "true"}, 401, 401),
        ({"Authorization": "Basic ???"}, 401, 401),
    ],
)
def test_who_is_asked_for_a_login(repoman, client, headers, on, off):
    for is_enabled, status in ((False, off), (True, on)):
        repoman.options.update("anonymous", {"enabled": is_enabled})
        answer = ask(client, "DELETE", "/v1/toy", headers=headers, login=False)
        assert (answer.status_code, answer.data) == (status, b"")
        assert ("WWW-Authenticate" in answer.headers) is (status == 401)


def test_an_empty_login_is_none(client):
    answer = ask(client, "GET", "/v1/toy", headers={"Authorization": "Basic Og=="}, login=False)
    assert answer.status_code == 200


@pytest.mark.parametrize("version", ["", "3.83.0-08"])
def test_the_server_may_name_another_version(repoman_factory, version):
    client = HttpClient(repoman_factory({}, server={"nexus_compatibility": version}))
    for path in ("/service/rest/v1/nothing", "/service/rest/swagger.json"):
        answer = client.get(path)
        expected = f"Nexus/{version} (OSS)" if version else None
        assert answer.headers.get("Server") == expected
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get("/").headers.get("Server") == expected
    assert "Server" not in client.get("/login").headers
    if version:
        assert client.get("/service/rest/swagger.json").json["info"]["version"] == version


@pytest.mark.parametrize("version", ["3.83", "3.183.0-08", "Nexus/3.83.0-08", "3.83.0-08\r\nX: y"])
def test_a_version_that_clients_cannot_read_is_refused(version):
    with pytest.raises(ValidationError, match=r"3\.83\.0-08"):
        ServerSettings(nexus_compatibility=version)


class Browser:
    """Keeps cookies."""

    def __init__(self, repoman):
        self.client = Client(application_of(repoman))

    def log_in(self, name=ADMIN[0], password=ADMIN[1], **options):
        form = {
            "username": b64encode(name.encode()).decode(),
            "password": b64encode(password.encode()).decode(),
        }
        return self.client.post(SESSION, data=form, **options)

    def put(self, **options):
        return self.client.put("/service/rest/v1/toy", data="{}", **TYPE, **options)

    @property
    def proof(self):
        return self.client.get_cookie(PROOF).value


@pytest.fixture
def browser(repoman):
    return Browser(repoman)


def test_a_script_logs_in_and_proves_its_changes(browser):
    answer = browser.log_in()
    assert (answer.status_code, answer.data) == (204, b"")
    assert browser.client.get("/service/rest/v1/tasks").status_code == 200
    assert browser.put().status_code == 401
    assert browser.put(headers={PROOF: "guess"}).status_code == 401
    assert browser.put(headers={PROOF: browser.proof}).status_code == 204
    assert browser.put(headers={PROOF: "0.123"}, auth=ADMIN).status_code == 204
    assert browser.client.delete(SESSION).status_code == 204
    assert browser.client.get("/service/rest/v1/tasks").status_code == 401


def test_a_planted_proof_is_worth_nothing(browser, repoman):
    other = Browser(repoman)
    other.log_in()
    browser.log_in()
    browser.client.set_cookie(PROOF, other.proof)
    assert browser.put(headers={PROOF: other.proof}).status_code == 401


def test_a_form_has_its_proof_in_a_field(browser):
    browser.log_in()

    def send(**fields):
        return browser.client.post(
            "/service/rest/v1/toy/files", data=fields, content_type="multipart/form-data"
        )

    assert send(a="b").status_code == 401
    assert send(a="b", **{PROOF: "0.5"}).status_code == 401
    assert send(a="b", **{PROOF: browser.proof}).json is None
    assert json.loads(send(a="b", **{PROOF: browser.proof}).text) == {"a": ["b"]}


def test_only_an_endpoint_that_reads_forms_waits_for_a_proof_in_one(browser):
    browser.log_in()
    form = {"data": {"a": "b"}, "content_type": "multipart/form-data"}
    for path in ("read-only/freeze", "toy/bare", "tasks/x/run"):
        assert browser.client.post(f"/service/rest/v1/{path}", **form).status_code == 401, path
    assert browser.client.delete("/service/rest/v1/tasks/x", **form).status_code == 401
    assert browser.client.get("/service/rest/v1/read-only").json["frozen"] is False


@pytest.mark.parametrize("form", [{}, {"username": "x", "password": "!"}, {"username": "Og=="}])
def test_an_odd_login_is_refused(browser, form):
    answer = browser.client.post(SESSION, data=form)
    assert answer.status_code in (400, 401, 403)
    assert not answer.headers.getlist("Set-Cookie") or "repoman-login" not in str(answer.headers)


def test_a_wrong_password_and_a_page_of_another_site_log_nobody_in(browser):
    assert browser.log_in(password="wrong").status_code == 401
    refused = browser.log_in(headers={"Origin": "https://evil.example"})
    assert refused.status_code == 403
    assert browser.client.get_cookie(PROOF) is None


def test_a_token_opens_no_session(browser, repoman):
    secret = repoman.security.user_tokens.create(ADMIN[0], "a token", Limit())
    assert browser.log_in(password=secret).status_code == 401
