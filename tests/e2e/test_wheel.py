"""What a user installs: the wheel in an empty environment, and a format beside it."""

import importlib
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
import requests

from repoman.testing import FormatSuite
from tests.clock import WAIT_S
from tests.e2e.clients import write_layout
from tests.live import LiveServer, wait_until

pytestmark = [pytest.mark.xdist_group("wheel"), pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
SOURCES = ("repoman", "repoman_docker", "web", "conf")
FILES = ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "constraints.txt")
FORMATS = sorted(each.parent.name for each in (ROOT / "formats").glob("*/setup.py"))
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")


def pip(python, *words):
    command = [python, "-m", "pip", "--disable-pip-version-check", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of the sources, so that building leaves nothing in the checkout."""
    directory = tmp_path_factory.mktemp("sources")
    for name in (*SOURCES, "formats"):
        shutil.copytree(ROOT / name, directory / name, ignore=LEFT_OUT)
    for name in FILES:
        shutil.copy(ROOT / name, directory / name)
    return directory


@pytest.fixture(scope="module")
def wheel(sources, tmp_path_factory):
    """The wheel of this checkout."""
    target = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "--wheel-dir", target)
    pip(sys.executable, "wheel", *options, sources)
    [wheel] = target.glob("repoman_server-*.whl")
    return wheel


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """The ``bin`` directory of an environment that holds the wheel and what it needs."""
    directory = tmp_path_factory.mktemp("environment")
    venv.create(directory, with_pip=True)
    pip(directory / "bin/python", "install", "--constraint", ROOT / "constraints.txt", wheel)
    return directory / "bin"


@pytest.fixture
def installed(environment, tmp_path):
    """A server from that environment, started without a configuration file."""
    server = LiveServer(tmp_path / "installed", program=environment / "repoman")
    server.use_shipped_configuration()
    try:
        yield server.start()
    finally:
        server.end()


def test_the_wheel_holds_every_file_that_is_no_code(wheel):
    mapping = {"repoman": "repoman", "repoman_docker": "repoman_docker"}
    mapping |= {"web/repoman_web": "repoman_web", "conf": "repoman/conf"}
    tracked = subprocess.run(
        ["git", "ls-files", *mapping], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    expected = {
        target + path.removeprefix(source)
        for path in tracked
        for source, target in mapping.items()
        if path.startswith(source + "/")
    }
    assert expected - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_the_source_distribution_holds_what_the_wheel_needs_and_nothing_else(sources, wheel):
    beside = sources / "env/lib/other/py.typed"  # as an environment within a checkout has it
    beside.parent.mkdir(parents=True)
    beside.touch()
    build = "import sys; from setuptools import build_meta; print(build_meta.build_sdist('dist'))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=sources, check=True, capture_output=True, text=True
    )
    with tarfile.open(sources / "dist" / done.stdout.split()[-1]) as archive:
        held = {each.name.partition("/")[2] for each in archive if each.isfile()}
    places = {"repoman/conf/": "conf/", "repoman_web/": "web/repoman_web/"}
    needed = {
        next((to + path.removeprefix(at) for at, to in places.items() if path.startswith(at)), path)
        for path in zipfile.ZipFile(wheel).namelist()
        if ".dist-info/" not in path
    }
    assert needed | {"LICENSE", "README.md", "constraints.txt"} <= held
    assert {path.partition("/")[0] for path in held if "/" in path} == {
        *SOURCES,
        "repoman_server.egg-info",
    }


def test_the_wheel_serves_and_takes_a_push(installed, skopeo, tmp_path):
    layout = write_layout(tmp_path / "layout", b"from the wheel")
    skopeo.login(installed.registry, *installed.admin)
    skopeo.copy(layout, f"docker://{installed.registry}/team/app:1")
    assert skopeo.tags(f"{installed.registry}/team/app") == ["1"]


def test_its_plugins_are_those_of_the_product(installed):
    listed = installed.cli("plugins").stdout
    assert [line.split()[:2] for line in listed.splitlines()] == [
        ["docker", "repoman-server"],
        ["web", "repoman-server"],
    ]


def suite_of(format_):
    """The suite of a format, which knows its files and how they are uploaded."""
    module = importlib.import_module(f"formats.{format_}.tests.test_suite")
    [suite] = [each for each in vars(module).values() if is_suite(each)]
    return suite()


def is_suite(each):
    return isinstance(each, type) and issubclass(each, FormatSuite) and each is not FormatSuite


def upload(server, repository, form):
    """Store a file by the form of REST; its repository may be new."""
    url = f"{server.main_url}/service/rest/v1/components?repository={repository}"
    files = {key: value[::-1] for key, value in form.items() if isinstance(value, tuple)}
    data = {key: value for key, value in form.items() if key not in files}
    answer = requests.post(url, data=data, files=files, auth=server.admin, timeout=WAIT_S)
    assert answer.status_code == 204, answer.text


def test_formats_are_added_and_removed_by_pip(environment, sources, tmp_path):
    python, packages = environment / "python", [sources / "formats" / each for each in FORMATS]
    server = LiveServer(tmp_path / "formats", program=environment / "repoman")
    kept = {}
    try:
        pip(python, "install", "--constraint", ROOT / "constraints.txt", *packages)
        licensed = environment.parent.glob("lib/*/site-packages/*.dist-info/licenses/LICENSE")
        names = {each.parents[1].name.partition("-")[0] for each in licensed}
        assert {f"repoman_{each}" for each in ("server", *FORMATS)} <= names
        server.start()
        for name in FORMATS:
            suite = suite_of(name)
            sample = suite.make("ours", "1.0.0")
            words = [
                word for each in suite.command_settings()["hosted"] for word in ("--set", each)
            ]
            server.cli("repo", "create", f"{name}-hosted", f"my-{name}", *words)
            upload(server, f"my-{name}", suite.form(sample))
            kept[name] = f"{server.main_url}/repository/my-{name}/{sample.path}", sample.data

        pip(python, "uninstall", "--yes", *(f"repoman-{name}" for name in FORMATS))
        server.restart()
        for name, (url, _) in kept.items():
            missing = requests.get(url, auth=server.admin, timeout=WAIT_S)
            told = f"The format '{name}' is not installed.\n"
            assert (missing.status_code, missing.text) == (503, told)

        pip(python, "install", "--constraint", ROOT / "constraints.txt", *packages)
        server.restart()
        for url, data in kept.values():
            assert requests.get(url, auth=server.admin, timeout=WAIT_S).content == data
    finally:
        server.end()
        pip(python, "uninstall", "--yes", *(f"repoman-{name}" for name in FORMATS))


def test_a_new_format_serves_a_file_after_three_commands(environment, tmp_path):
    """Written, installed, a repository created; with the wheel alone, as users have it."""
    done = subprocess.run(
        [environment / "repoman", "plugin", "new", "books"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert done.returncode == 0, done.stderr
    pip(environment / "python", "install", tmp_path / "repoman-books")
    server = LiveServer(tmp_path / "books", program=environment / "repoman")
    try:
        server.start()
        server.cli("repo", "create", "books-hosted", "shelf")
        url = f"{server.main_url}/repository/shelf/emma/1.0.0/emma.txt"
        send = {"auth": server.admin, "timeout": WAIT_S}
        wait_until(lambda: requests.put(url, data=b"hello", **send).ok, what="the new repository")
        assert requests.get(url, **send).content == b"hello"

        pip(environment / "python", "uninstall", "--yes", "repoman-books")
        server.restart()
        missing = requests.get(url, **send)
        assert (missing.status_code, missing.text) == (
            503,
            "The format 'books' is not installed.\n",
        )
        assert "is not installed" in server.cli("repo", "list").stdout
        assert "books" not in server.cli("plugins").stdout

        pip(environment / "python", "install", tmp_path / "repoman-books")
        server.restart()
        assert requests.get(url, **send).content == b"hello"
        assert "format books" in server.cli("plugins").stdout
    finally:
        server.end()
        pip(environment / "python", "uninstall", "--yes", "repoman-books")
