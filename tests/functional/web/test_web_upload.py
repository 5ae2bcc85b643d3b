"""The upload page over HTTP: what is stored, what is refused and why, and for whom."""

import re
from html import unescape
from io import BytesIO

import pytest

from formats.pypi.tests.conftest import JSON, make_wheel
from repoman.testing import ADMIN, HttpClient, RepomanFactory
from repoman_docker import plugin as docker
from repoman_pypi import plugin as pypi
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.functional.rights.stage import Stage
from tests.functional.web.conftest import Browser

HOSTILE = "<script>alert(1)<b>.txt"


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A Repoman with the pages and formats that take one file or several."""
    factory = RepomanFactory(tmp_path_factory.mktemp("stage"))
    plugins = {"docker": docker, "pypi": pypi, "raw": raw, "web": web}
    yield Stage(factory(plugins, security={"login_failures": 0}))
    factory.stop()


@pytest.fixture(scope="module", autouse=True)
def images(stage):
    return stage.make_repository()


@pytest.fixture
def files(stage):
    return stage.make_repository("raw-hosted")


@pytest.fixture
def browser(stage):
    browser = Browser(stage.repoman)
    browser.log_in()
    return browser


def rights(repository, *actions):
    return [f"nx-repository-view-raw-{repository}-{each}" for each in actions]


def user(stage, *privileges):
    browser = Browser(stage.repoman)
    browser.log_in(*stage.make_user(*privileges))
    return browser


def page(browser, path, status=200):
    answer = browser.get(path)
    assert answer.status_code == status, answer.text[:2000]
    assert "<script>alert" not in answer.text
    assert "style=" not in answer.text
    return answer.text


def send(browser, repository, *files, **fields):
    """Send the form as a browser does without a script: all files in one field."""
    data = {"file": [(BytesIO(content), name) for name, content in files], **fields}
    options = {"data": {"csrf_token": browser.mark, **data}}
    return browser.open("POST", f"/upload/{repository}", **options)


def stored(stage, repository, path):
    answer = HttpClient(stage.repoman).get(f"/repository/{repository}/{path}")
    return answer.data if answer.status_code == 200 else None


def rows(text):
    """What the page says of each file."""
    found = re.search(r'aria-label="Files of the last upload">(.*?)</section>', text, re.S)
    items = re.findall(r"<li>(.*?)</li>", found[1], re.S) if found else []
    return [" ".join(unescape(re.sub(r"<[^>]+>", " ", each)).split()) for each in items]


def test_several_files_are_stored(stage, browser, files):
    text = page(browser, f"/upload/{files}?directory=firmware/x2")
    assert 'value="firmware/x2"' in text
    assert "Missing folders are made" in text
    answer = send(browser, files, ("a.bin", b"A" * 2000), ("b.txt", b"b"), directory="firmware/x2")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/upload/{files}")
    text = page(browser, f"/upload/{files}")
    assert f"2 files were stored in {files}." in text
    assert rows(text) == [
        "firmware/x2/a.bin Stored, SHA-256 ccca685709aa 2.0 KiB",
        "firmware/x2/b.txt Stored, SHA-256 3e23e8160039 1 B",
    ]
    assert f'href="/browse/{files}/paths/firmware/x2/a.bin"' in text
    assert 'value="firmware/x2"' in text
    assert stored(stage, files, "firmware/x2/a.bin") == b"A" * 2000
    assert rows(page(browser, f"/upload/{files}")) == []


def test_a_refused_file_keeps_no_other_out(stage, browser):
    files = stage.make_repository("raw-hosted", storage__write_policy="allow_once")
    page(browser, f"/upload/{files}")
    send(browser, files, ("old.txt", b"1"), directory="/")
    send(browser, files, ("old.txt", b"2"), ("new.txt", b"2"), (HOSTILE, b"3"), directory="/")
    text = page(browser, f"/upload/{files}")
    assert "1 file was not stored" in text
    assert "2 were stored" in text
    first, *others = rows(text)
    assert "old.txt Refused: The file 'old.txt' exists" in first
    assert len(others) == 2
    assert stored(stage, files, "old.txt") == b"1"
    assert stored(stage, files, "new.txt") == b"2"


def test_a_full_repository_says_so_beside_each_file(stage, browser):
    files = stage.make_repository("raw-hosted", quota__limit=50)
    page(browser, f"/upload/{files}")
    send(browser, files, ("small.txt", b"1" * 40), ("large.txt", b"2" * 11), directory="/")
    text = page(browser, f"/upload/{files}")
    assert "1 file was not stored" in text
    refused = next(each for each in rows(text) if each.startswith("large.txt"))
    assert refused == (
        f"large.txt Refused: The repository {files} has used 40 bytes of its quota of 50 bytes, "
        "and this upload needs 11 bytes. Delete something, or ask an administrator. 11 B"
    )
    assert stored(stage, files, "small.txt") == b"1" * 40
    assert stored(stage, files, "large.txt") is None


def test_what_is_missing_is_said_beside_it(stage, browser, files):
    page(browser, f"/upload/{files}")
    answer = send(browser, files, ("a.txt", b"a"), directory="")
    assert answer.status_code == 422
    assert "Nothing was stored" in answer.text
    assert re.search(r'id="directory-said">.*Fill this in', answer.text, re.S)
    answer = send(browser, files, ("", b""), directory="kept/folder")
    assert answer.status_code == 422
    assert 'value="kept/folder"' in answer.text
    assert re.search(r'id="files-said">.*Choose at least one file', answer.text, re.S)
    send(browser, files, ("a.txt", b"a"), directory="../up")
    assert "Refused:" in rows(page(browser, f"/upload/{files}"))[0]


def test_many_refusals_fit_into_the_cookie(stage, browser, files):
    page(browser, f"/upload/{files}")
    name = "n" * 200
    sent = [(f"{number}-{name}", b"x") for number in range(60)]
    assert send(browser, files, *sent, directory="../" + "d" * 500).status_code == 303
    assert len(browser.client.get_cookie("repoman-forms").value) < 4000
    text = page(browser, f"/upload/{files}")
    assert "60 files were not stored" in text
    assert re.fullmatch(r"and \d+ more", rows(text)[-1])


def test_a_form_without_its_mark_is_refused(stage, browser, files):
    page(browser, f"/upload/{files}")
    browser.mark = "forged"
    answer = send(browser, files, ("a.txt", b"a"), directory="/")
    assert answer.status_code == 400
    assert stored(stage, files, "a.txt") is None
    assert "form belongs to another session" in answer.text
    plain = browser.open("POST", f"/upload/{files}", data={"directory": "/"})
    assert plain.status_code == 400


def test_a_form_of_a_session_that_has_ended_stores_nothing(stage, browser, files):
    page(browser, f"/upload/{files}")
    stage.repoman.security.sessions.end(browser.cookie())
    answer = send(browser, files, ("a.txt", b"a"), directory="/")
    assert answer.status_code in (400, 401)
    assert "Sign in" in answer.text
    assert stored(stage, files, "a.txt") is None


def test_only_those_who_may_add_something_see_the_form(stage, files, images):
    adding = user(stage, *rights(files, "browse", "read", "add"))
    assert 'href="/upload"' in page(adding, "/search")
    answer = adding.get("/upload")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/upload/{files}")
    page(adding, f"/upload/{files}")
    assert send(adding, files, ("a.txt", b"a"), directory="/").status_code == 303
    page(adding, f"/upload/{files}")
    send(adding, files, ("a.txt", b"other"), directory="/")
    assert "is not allowed to overwrite" in rows(page(adding, f"/upload/{files}"))[0]

    reading = user(stage, *rights(files, "browse", "read"))
    text = page(reading, "/upload")
    assert "No repository for files" in text
    assert 'href="/upload"' not in text
    page(reading, f"/upload/{files}", 403)
    assert send(reading, files, ("b.txt", b"b"), directory="/").status_code == 403
    page(user(stage), f"/upload/{files}", 404)
    page(user(stage), "/upload/nothing", 404)
    nobody = Browser(stage.repoman)
    assert "Sign in" in page(nobody, "/upload")
    assert nobody.get(f"/upload/{files}").headers["Location"].startswith("/login?next=")


def test_rights_are_asked_for_each_path(stage, files):
    selected = stage.make_selected(files, 'path =^ "/team/"', ("browse", "read", "add"))
    member = user(stage, selected)
    page(member, f"/upload/{files}")
    send(member, files, ("a.txt", b"a"), directory="/team/x")
    send(member, files, ("b.txt", b"b"), directory="/other")
    assert "is not allowed to add /other/b.txt" in rows(page(member, f"/upload/{files}"))[0]
    assert stored(stage, files, "team/x/a.txt") == b"a"
    assert stored(stage, files, "other/b.txt") is None


def test_formats_have_their_titles_where_a_repository_is_chosen(stage, browser, files):
    stage.make_repository("pypi-hosted")
    text = page(browser, "/upload")
    assert "Raw, hosted" in text
    assert "PyPI, hosted" in text


def test_repositories_that_take_no_files_say_so(stage, browser, files, images):
    assert "unsupported" in page(browser, f"/upload/{images}")
    stage.repoman.repositories.update(files, {}, is_online=False)
    assert "is offline" in page(browser, f"/upload/{files}")
    assert files not in page(browser, "/upload", browser.get("/upload").status_code)


def test_without_files_there_is_no_way_to_store_by_password(stage, files):
    """A request with a header needs no mark of a form, as everywhere."""
    client = HttpClient(stage.repoman)
    data = {"directory": "/", "file": (BytesIO(b"x"), "x.txt")}
    answer = client.request("POST", f"/upload/{files}", login=False, auth=ADMIN, data=data)
    assert answer.status_code == 303
    assert stored(stage, files, "x.txt") == b"x"


def test_the_metadata_of_a_wheel_is_stored_with_it(stage, browser):
    name, data = stage.make_repository("pypi-hosted"), make_wheel("demo", "1.0")
    page(browser, f"/upload/{name}")
    assert send(browser, name, ("demo-1.0-py3-none-any.whl", data)).status_code == 303
    address = f"/repository/{name}/packages/demo/1.0/demo-1.0-py3-none-any.whl"
    client = HttpClient(stage.repoman)
    assert client.get(address).data == data
    assert b"Name: demo" in client.get(f"{address}.metadata").data
    index = client.get(f"/repository/{name}/simple/demo/", headers={"Accept": JSON}).json
    assert index["files"][0]["core-metadata"]
