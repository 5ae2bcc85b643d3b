"""Real clients of Python packages, with a group of hosted ones and those of a devpi-server."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from tests.clock import WAIT_S
from tests.fakes.scripted import reply, scripted
from tests.live import LiveServer, live_server
from tests.programs import python_packages
from tests.python_indexes import DEBIAN, PythonClients, devpi, make_wheel, pypiserver

JSON = "application/vnd.pypi.simple.v1+json"


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    """A devpi-server with real packages."""
    with devpi(tmp_path_factory.mktemp("devpi"), python_packages()) as index:
        yield index


@pytest.fixture(scope="module")
def server(tmp_path_factory, upstream):
    """A server with repositories that everybody may read, and a private one."""
    with live_server(tmp_path_factory.mktemp("server")) as server:
        create(server, "hosted", "wheels")
        root = upstream.url.removesuffix("+simple/")
        create(server, "proxy", "mirror", f"proxy.remote_url={root}", "pypi.index_path=+simple/")
        members = 'group.members=["wheels", "mirror"]'
        create(server, "group", "python", members, "group.writable_member=wheels")
        create(server, "hosted", "private", "access.anonymous=false")
        yield server


def create(server: LiveServer, kind: str, name: str, *settings: str) -> None:
    given = settings or ("access.anonymous=true",)
    if not any(each.startswith("access") for each in given):
        given = (*given, "access.anonymous=true")
    server.cli("repo", "create", f"pypi-{kind}", name, *(x for s in given for x in ("--set", s)))


@pytest.fixture
def clients(tmp_path) -> PythonClients:
    return PythonClients(tmp_path / "clients")


@pytest.fixture
def index(server):
    return f"{server.main_url}/repository/python/simple/"


def with_login(url: str, user: str, password: str) -> str:
    return url.replace("://", f"://{user}:{password}@", 1)


def installed(directory: Path) -> set[str]:
    return {each.name.partition("-")[0] for each in directory.glob("*.dist-info")}


FLASK = {"flask", "werkzeug", "jinja2", "markupsafe", "itsdangerous", "click", "blinker"}


# Installing ---------------------------------------------------------------------------------------


def test_pip_installs_what_devpi_has_through_the_group(clients, index, tmp_path):
    clients.run("pip", "install", "--target", str(tmp_path / "to"), "-i", index, "Flask")
    assert installed(tmp_path / "to") == FLASK


@pytest.mark.skipif(
    subprocess.run([DEBIAN, "-m", "pip", "--version"], capture_output=True, check=False).returncode,
    reason="the pip of Debian is missing. Get it with:  apt-get install python3-pip",
)
def test_the_pip_of_debian_does_too(clients, index, tmp_path):
    clients.debian("install", "--target", str(tmp_path / "to"), "-i", index, "flask")
    assert installed(tmp_path / "to") == FLASK


def test_uv_installs_and_asks_for_metadata_first(clients, index, tmp_path):
    to = str(tmp_path / "to")
    clients.run("uv", "pip", "install", "--target", to, "--default-index", index, "flask")
    assert installed(tmp_path / "to") == FLASK


def test_pip_lists_versions_and_says_what_is_not_there(clients, index):
    assert "click (" in clients.run("pip", "index", "versions", "-i", index, "click").text
    ran = clients.run("pip", "download", "-i", index, "no-such-project", check=False)
    assert "No matching distribution found for no-such-project" in ran.text


# Lock files ---------------------------------------------------------------------------------------


def test_a_lock_file_of_uv_is_used_again_with_an_empty_cache(clients, index):
    project = clients.project(
        "locked",
        '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\n'
        'dependencies = ["requests"]\n'
        f'[[tool.uv.index]]\nname = "own"\nurl = "{index}"\ndefault = true\n',
    )
    there = ("--directory", str(project))
    clients.run("uv", "lock", *there, UV_NO_CONFIG="0")
    text = (project / "uv.lock").read_text(encoding="utf-8")
    assert f"{index.removesuffix('simple/')}packages/" in text
    assert "upload-time" not in text or "size" in text
    shutil.rmtree(clients.environment["UV_CACHE_DIR"])
    clients.run("uv", "sync", "--frozen", "--no-install-project", *there, UV_NO_CONFIG="0")
    assert "requests" in installed(next((project / ".venv/lib").iterdir()) / "site-packages")
    exported = clients.run(
        "uv", "export", "--frozen", "--no-emit-project", *there, UV_NO_CONFIG="0"
    )
    (project / "requirements.txt").write_text(exported.stdout, encoding="utf-8")
    given = ("-r", str(project / "requirements.txt"), "--target", str(project / "to"))
    clients.run("pip", "install", "--require-hashes", "-i", index, *given)
    assert "requests" in installed(project / "to")


def test_a_lock_file_of_poetry_is_used_again_with_an_empty_cache(clients, index):
    project = clients.project(
        "poetic",
        '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11,<4"\n'
        'dependencies = ["rich"]\n[tool.poetry]\npackage-mode = false\n'
        f'[[tool.poetry.source]]\nname = "own"\nurl = "{index}"\npriority = "primary"\n',
    )
    clients.run("poetry", "lock", "--directory", str(project))
    assert "rich" in (project / "poetry.lock").read_text(encoding="utf-8")
    shutil.rmtree(clients.environment["POETRY_CACHE_DIR"], ignore_errors=True)
    clients.run("poetry", "sync", "--no-root", "--directory", str(project))
    found = installed(next((project / ".venv/lib").iterdir()) / "site-packages")
    assert {"rich", "pygments", "mdurl"} <= found


# Publishing ---------------------------------------------------------------------------------------


def publish(client: str, clients: PythonClients, server: LiveServer, wheel: Path, check=True):
    url = f"{server.main_url}/repository/python/"
    user, password = server.admin
    login = ("--username", user, "--password", password)
    if client == "twine":
        plain = ("--non-interactive", "--disable-progress-bar")
        words = ("upload", "--repository-url", url, *login, *plain, str(wheel))
        return clients.run("twine", *words, check=check)
    if client == "uv":
        return clients.run("uv", "publish", "--publish-url", url, *login, str(wheel), check=check)
    project = clients.directory / "published"
    if not project.exists():
        text = f'[project]\nname = "{wheel.name.split("-")[0]}"\nversion = "1.0"\n'
        clients.project("published", text)
        clients.run("poetry", "config", "repositories.own", url)
    given = ("--dist-dir", str(wheel.parent), "--directory", str(project), "--repository", "own")
    return clients.run("poetry", "publish", *given, *login, check=check)


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ("twine", "File already exists ('by_twine-1.0-py3-none-any.whl')"),
        ("uv", "File already exists ('by_uv-1.0-py3-none-any.whl')"),
        ("poetry", "HTTP Error 400: File already exists ('by_poetry-1.0-py3-none-any.whl')"),
    ],
)
def test_a_package_is_published_once(clients, server, index, tmp_path, client, words):
    wheel = make_wheel(tmp_path / "dist", f"by_{client}", "1.0", "first", ["click"])
    publish(client, clients, server, wheel)
    publish(client, clients, server, wheel)  # the same bytes: nothing happens
    other = make_wheel(tmp_path / "dist", f"by_{client}", "1.0", "second", ["click"])
    refused = publish(client, clients, server, other, check=False)
    assert refused.status
    assert words in " ".join(refused.text.split())
    to = tmp_path / "to"
    clients.run("pip", "install", "--target", str(to), "-i", index, f"by-{client}")
    assert "first" in (to / f"by_{client}.py").read_text(encoding="utf-8")
    assert installed(to) == {f"by_{client}", "click"}  # its own, and one of the remote


def test_a_wrong_login_is_said(clients, server, tmp_path):
    wheel = make_wheel(tmp_path / "dist", "secret", "1.0")
    url = f"{server.main_url}/repository/private/"
    login = ("-u", "admin", "-p", "not the password")
    ran = clients.run(
        "twine", "upload", "--non-interactive", "--repository-url", url, *login, str(wheel),
        check=False,
    )  # fmt: skip
    assert ran.status
    assert "401" in ran.text
    assert requests.get(f"{url}simple/secret/", timeout=WAIT_S).status_code in (401, 404)


# Private packages ---------------------------------------------------------------------------------


def test_a_private_package_needs_a_login_or_a_token(clients, server, tmp_path):
    wheel = make_wheel(tmp_path / "dist", "hidden_pkg", "1.0")
    url = f"{server.main_url}/repository/private/"
    login = ("-u", "admin", "-p", server.password)
    clients.run("twine", "upload", "--repository-url", url, *login, str(wheel))
    index = f"{url}simple/"
    token = server.cli("token", "create", "admin", "ci", "--read-only").stdout.strip()
    for number, (user, password) in enumerate([server.admin, ("admin", token)]):
        to = str(tmp_path / f"pip-{number}")
        found = with_login(index, user, password)
        clients.run("pip", "install", "--target", to, "-i", found, "hidden-pkg")
        to = str(tmp_path / f"uv-{number}")
        clients.run("uv", "pip", "install", "--target", to, "--default-index", found, "hidden-pkg")
    for found in (index, with_login(index, "admin", "wrong")):
        ran = clients.run("pip", "download", "-i", found, "hidden-pkg", check=False)
        assert ran.status
        given = ("--target", str(tmp_path / "no"), "--default-index", found, "hidden-pkg")
        ran = clients.run("uv", "pip", "install", *given, check=False)
        assert ran.status
        assert "401" in ran.text or "403" in ran.text or "not found" in ran.text


# Another upstream, which goes ---------------------------------------------------------------------


def test_packages_of_a_pypiserver_stay_when_it_is_gone(clients, server, tmp_path):
    [attrs] = [each for each in python_packages() if each.name.startswith("attrs-")]
    (tmp_path / "packages").mkdir()
    shutil.copy(attrs, tmp_path / "packages")
    index = f"{server.main_url}/repository/old/simple/"
    with pypiserver(tmp_path / "server", tmp_path / "packages") as upstream:
        remote = f"proxy.remote_url={upstream.url.rstrip('/')}"
        create(server, "proxy", "old", remote, "proxy.metadata_max_age=0")
        words = ("download", "--no-deps", "-i", index, "attrs")
        clients.run("pip", *words, "-d", str(tmp_path / "warm"))
        upstream.stop()
        clients.run("pip", *words, "-d", str(tmp_path / "to"))
        assert [each.name for each in (tmp_path / "to").iterdir()] == [attrs.name]
    page = requests.get(f"{index}attrs/", headers={"Accept": JSON}, timeout=WAIT_S)
    assert json.loads(page.text)["files"]
    assert "110" in page.headers["Warning"]
    lost = requests.get(f"{index}never-seen/", timeout=WAIT_S)
    assert lost.status_code in (502, 503)  # an outage: nobody knows that it does not exist


# What a remote says of its files ------------------------------------------------------------------


@pytest.fixture
def marked(tmp_path):
    """An index with a wheel for each of these versions, an egg, and no metadata beside them."""
    said = {"1.0": {}, "1.1": {"yanked": "broken"}, "2.0": {"requires-python": ">=9"}}
    wheels = {each: make_wheel(tmp_path / "there", "marked", each) for each in said}
    files = [{"filename": wheels[each].name, "hashes": {}, **said[each]} for each in said]
    files.append({"filename": "marked-3.0-py3.11.egg", "hashes": {}})
    for each in files:
        each["url"] = f"/files/{each['filename']}"
    page = {"meta": {"api-version": "1.0"}, "name": "marked", "files": files}

    def answer(asked):
        found = [each for each in wheels.values() if asked.path == f"/files/{each.name}"]
        if found:
            return reply(200, found[0].read_bytes())
        is_page = asked.path == "/simple/marked/"
        return reply(200, page, Content_Type=JSON) if is_page else reply(404)

    with scripted(answer) as server:
        yield server


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_yanked_files_and_those_for_other_pythons_are_left_out(
    clients, server, marked, tmp_path, client
):
    name = f"marked-{client}"
    create(server, "proxy", name, f"proxy.remote_url={marked.url}")
    index = f"{server.main_url}/repository/{name}/simple/"
    words = ("install", "-i", index) if client == "pip" else ("pip", "install", "-i", index)
    for wanted, version in (("marked", "1.0"), ("marked==1.1", "1.1")):
        to = tmp_path / version
        clients.run(client, *words, "--target", str(to), wanted)
        assert [each.name for each in to.glob("*.dist-info")] == [f"marked-{version}.dist-info"]
    refused = clients.run(
        client, *words, "--target", str(tmp_path / "no"), "marked==2.0", check=False
    )
    assert refused.status
    assert "Python" in refused.text
    assert not [each for each in marked.log if each.path.endswith(".egg")]


def test_the_end_of_a_wheel_is_read_before_the_proxy_has_it(server, marked):
    create(server, "proxy", "ends", f"proxy.remote_url={marked.url}")
    url = f"{server.main_url}/repository/ends/packages/marked/1.0/marked-1.0-py3-none-any.whl"
    end = requests.get(url, headers={"Range": "bytes=-22"}, timeout=WAIT_S)  # of the directory
    whole = requests.get(url, timeout=WAIT_S)
    assert (end.status_code, end.content) == (206, whole.content[-22:])
    size = len(whole.content)
    assert end.headers["Content-Range"] == f"bytes {size - 22}-{size - 1}/{size}"
    assert whole.headers["Accept-Ranges"] == "bytes"
