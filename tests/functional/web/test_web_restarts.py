"""What pages and commands show of a repository after the server has ended, or lost a plugin."""

from click.testing import CliRunner

from repoman.cli import cli
from repoman.testing import ADMIN
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.functional.rights.stage import Stage
from tests.functional.web.conftest import Browser
from tests.functional.web.test_web_history import begin


def test_a_repository_of_a_format_that_is_gone_says_so(repoman_factory):
    repoman = repoman_factory({"docker": docker, "web": web})
    repoman.repositories.create("images", "docker-hosted", {})
    browser = Browser(repoman_factory({"raw": raw, "web": web}))
    browser.log_in()
    assert "does not work" in browser.get("/browse").text
    assert "The format &#39;docker&#39; is not installed." in browser.get("/browse/images").text


def test_uploads_at_the_command_line(repoman_factory):
    stage = Stage(repoman_factory({"docker": docker}))
    name = stage.make_repository()
    upload = begin(stage, name, ADMIN)
    stage.repoman.stop()
    data = ["--data", str(repoman_factory.data)]
    listed = CliRunner().invoke(cli, ["repo", "uploads", name, *data])
    assert listed.output.startswith(f"{upload} admin team/app last byte: ")
    done = CliRunner().invoke(cli, ["repo", "uploads", name, "--cancel", upload, *data])
    assert done.output == "The upload of admin to team/app was cancelled.\n"
    assert CliRunner().invoke(cli, ["repo", "uploads", name, *data]).output == ""
    gone = CliRunner().invoke(cli, ["repo", "uploads", name, "--cancel", upload, *data])
    assert gone.exit_code == 1
