"""A new format that the command line writes: it works as it is, and nothing else is overwritten."""

import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from repoman.cli import cli
from repoman.errors import Conflict, Invalid, Unavailable

FORMAT_LINES_MAX = 100
SUITE_S = 1500  # It takes half a minute alone, and a tenth of a busy machine may be all it gets.


@pytest.fixture
def new(tmp_path):
    def write(name, *options, directory=tmp_path):
        words = ["plugin", "new", name, "--directory", str(directory), *options]
        return CliRunner().invoke(cli, words)

    return write


@pytest.mark.timeout(SUITE_S)
def test_a_new_format_passes_the_suite_as_it_is(new, tmp_path):
    done = new("books")
    assert done.exit_code == 0, done.output
    package = tmp_path / "repoman-books"
    assert f"pip install --editable {package}\n" in done.output
    commands = re.findall(r"^pip install .*", (package / "README.md").read_text(), re.MULTILINE)
    assert [each.split()[2] for each in commands] == ["--editable", "--editable"]
    lines = (package / "repoman_books" / "plugin.py").read_text().splitlines()
    assert len(lines) <= FORMAT_LINES_MAX
    environment = {**os.environ, "PYTHONPATH": str(package)}
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(package)]
    tried = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SUITE_S - 10,
        check=False,
    )
    assert tried.returncode == 0, tried.stdout
    assert int(tried.stdout.splitlines()[-1].split()[0]) > 80, "the suite has run"


def test_a_new_format_keeps_to_the_rules_of_the_others(new, tmp_path):
    new("books")
    package = tmp_path / "repoman-books"
    texts = [each.read_text() for each in package.rglob("*") if each.is_file()]
    assert len(texts) == 5
    assert not any("$" in text or "NAME" in text for text in texts)
    for words in (["check"], ["format", "--check"]):
        ruff = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--isolated", "--line-length", "100"],
            cwd=package,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ruff.returncode == 0, ruff.stdout


@pytest.mark.parametrize(
    "name", ["", "Books", "1books", "my-books", "my_books", "böoks", "../x", "a b", "x" * 31, "x\n"]
)
def test_a_bad_name_is_refused(new, tmp_path, name):
    refused = new(name)
    assert isinstance(refused.exception, Invalid)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["docker", "web", "raw"])
def test_a_name_that_is_taken_is_refused(new, tmp_path, name):
    refused = new(name)
    assert isinstance(refused.exception, Conflict)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["none", "true", "import", "test", "file", "section"])
def test_a_name_that_is_a_word_of_python_works(new, tmp_path, name):
    new(name)
    for each in (tmp_path / f"repoman-{name}").rglob("*.py"):
        compile(each.read_text(), each, "exec")


def test_nothing_is_overwritten(new, tmp_path):
    (tmp_path / "repoman-books").mkdir()
    refused = new("books")
    assert isinstance(refused.exception, Conflict)
    assert list((tmp_path / "repoman-books").iterdir()) == []


def test_a_directory_that_is_not_there_is_told(new, tmp_path):
    refused = new("books", directory=tmp_path / "none")
    assert isinstance(refused.exception, Unavailable)
    assert "cannot be written" in str(refused.exception)
