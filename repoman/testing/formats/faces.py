"""Where people meet a format: command line, REST, pages, browse, search, lines to copy."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from repoman.cli import cli
from repoman.files.format import DOCUMENTS, STATES
from repoman.http.format_pages import UseRequest
from repoman.plugins import create_plugin_manager
from repoman.testing.formats.base import FormatTests
from repoman.testing.formats.site import RepositoryClient, Site
from repoman.testing.processes import run_in_process

TYPES = ("hosted", "proxy", "group")
REST = "/service/rest/v1"
KEPT = (STATES.strip("/"), DOCUMENTS.strip("/"))
_QUOTED = re.compile("'[^']*'")  # What a shell takes as it is.


class FaceTests(FormatTests):
    """Tests of what the core shows and offers of a format."""

    @pytest.mark.parametrize("type_", TYPES)
    def test_face_rest_creates_a_repository_of_each_type(
        self, site: Site, hosted: str, remote_files: Any, type_: str
    ) -> None:
        body: dict[str, Any] = {
            "name": f"rest-{hosted}-{type_}",
            "online": True,
            "storage": {"blobStoreName": "default", "strictContentTypeValidation": True},
        }
        if type_ == "hosted":
            body["storage"]["writePolicy"] = "ALLOW"
        elif type_ == "proxy":
            body["proxy"] = {"remoteUrl": remote_files.url}
            body["negativeCache"] = {"enabled": True}
            body["httpClient"] = {"blocked": False, "autoBlock": True}
        else:
            body["group"] = {"memberNames": [hosted]}
        body |= self.rest_settings(type_)
        path = f"{REST}/repositories/{self.rest_name or self.name}/{type_}"
        sent: dict[str, Any] = {"data": json.dumps(body), "content_type": "application/json"}
        made = site.http.request("POST", path, **sent)
        assert made.status_code == 201, made.text
        shown = site.rest(f"{path}/{body['name']}")
        assert shown.status_code == 200, shown.text
        assert (shown.json["name"], shown.json["format"]) == (body["name"], self.name)  # type: ignore[index]
        assert site.client(body["name"]).get(self.samples()[0].path).status_code == 404

    @pytest.mark.parametrize("type_", TYPES)
    def test_face_a_page_creates_a_repository_of_each_type(
        self, site: Site, hosted: str, remote_files: Any, type_: str
    ) -> None:
        name, path = f"page-{hosted}-{type_}", f"/admin/repositories/-/new/{self.name}-{type_}"
        page = site.http.get(path)
        assert page.status_code == 200, page.text
        fields = {**_fields_of(page.text), "name": name}
        if type_ == "proxy":
            fields["proxy.remote_url"] = remote_files.url
        if type_ == "group":
            fields["group.members"] = hosted
        made = site.http.request("POST", path, data=fields)
        assert made.status_code == 303, made.status
        assert site.repoman.repositories.get(name).config.recipe == f"{self.name}-{type_}"
        assert name in site.http.get("/admin/repositories").text
        assert site.http.get(f"/admin/repositories/{name}").status_code == 200

    def test_face_the_command_line_creates_and_lists(self, tmp_path: Path) -> None:
        assert run_in_process(self.create_by_commands, tmp_path) == ""

    def create_by_commands(self, directory: Path) -> None:
        """Create a repository of each type."""
        site = self.start(directory)
        site.repoman.stop()
        install_plugins(site.plugins)
        data = ["--data", str(directory / "data")]
        for type_, settings in self.command_settings().items():
            words = [word for each in settings for word in ("--set", each)]
            _command("repo", "create", *words, f"{self.name}-{type_}", f"cli-{type_}", *data)
        told = _command("repo", "list", *data)
        assert all(f"cli-{type_}" in told for type_ in TYPES), told

    def test_face_what_is_stored_is_listed_and_found(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        samples = self.samples(hosted)
        self.store(client, *samples)
        digest = hashlib.sha256(samples[0].data).hexdigest()
        shown = {
            asset["checksum"]["sha256"]: each
            for each in site.components(hosted)
            for asset in each["assets"]
        }
        for each in samples:
            component = shown[hashlib.sha256(each.data).hexdigest()]
            assert component["format"] == self.name
            assert component["version"] == (each.version or component["version"])
        found = site.rest(f"{REST}/search?repository={hosted}&sha256={digest}").json["items"]  # type: ignore[index]
        assert [each["name"] for each in found] == [shown[digest]["name"]]
        name = shown[digest]["name"]
        named = site.rest(f"{REST}/search", query_string={"repository": hosted, "name": name})
        assert digest in named.text
        for address in (each["downloadUrl"] for each in shown[digest]["assets"]):
            path = address.partition(f"/repository/{hosted}/")[2]
            assert path
            assert client.get(path).status_code == 200

    def test_face_pages_show_what_is_stored(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        sample = self.samples()[0]
        self.store(client, sample)
        for path in (f"/browse/{hosted}", "/browse", f"/browse/{hosted}/activity"):
            page = site.http.get(path, follow_redirects=True)
            assert (page.status_code, hosted in page.text) == (200, True), path
        [name] = {each["name"] for each in site.components(hosted)}
        assert site.http.get(f"/browse/{hosted}/paths").status_code == 200
        found = site.http.get("/search", query_string={"q": name.strip("/")})
        assert (found.status_code, hosted in found.text) == (200, True)

    def test_face_what_is_kept_beside_files_is_not_shown(
        self, site: Site, hosted: str, client: RepositoryClient, mirror: str
    ) -> None:
        first, second, *_ = self.samples()
        self.store(client, first, second)
        delete = site.repoman.repositories.get(hosted).capabilities.delete_asset
        assert delete is not None
        delete(first.path, lambda _path: None)
        assert self.is_named(site.client(mirror), first)
        for name in (hosted, mirror):
            for directory in ("", STATES, DOCUMENTS):
                tree = site.rest(f"{REST}/repositories/{name}/browse?path={directory}")
                assert tree.status_code == 200, tree.text
                assert not any(each in tree.text for each in KEPT)
            page = site.http.get(f"/browse/{name}/paths")
            assert page.status_code == 200
            for text in (page.text, str(site.assets(name))):
                assert not any(each in text for each in KEPT)

    def test_face_what_nobody_may_see_is_not_shown(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        self.store(client, self.samples()[0])
        stranger = site.user()
        answer = site.rest(f"{REST}/components?repository={hosted}", auth=stranger)
        assert answer.status_code in (403, 404)
        found = site.rest(f"{REST}/search?repository={hosted}", auth=stranger)
        assert found.json["items"] == []  # type: ignore[index]
        for path in (f"/browse/{hosted}", f"/browse/{hosted}/paths"):
            assert site.http.get(path, auth=stranger).status_code in (403, 404)

    @pytest.mark.parametrize("type_", TYPES)
    def test_face_clients_are_told_what_to_type(
        self, site: Site, hosted: str, mirror: str, type_: str
    ) -> None:
        members = {"group": {"members": [hosted]}}
        whole = site.create(f"{self.name}-group", members)
        name = {"hosted": hosted, "proxy": mirror, "group": whole}[type_]
        found = site.repoman.repositories.get(name)
        address = f"http://127.0.0.1:8081/repository/{name}/"
        asked = UseRequest(found, found, address, may_add=True)
        guide = site.repoman.plugins.hook.repoman_web_use(request=asked)
        texts = [line.text for section in guide.sections for line in section.snippets]
        assert any("127.0.0.1:8081" in each for each in texts), texts
        assert site.http.get(f"/browse/{name}", follow_redirects=True).status_code == 200

    def test_face_lines_to_copy_are_no_commands(self, site: Site, hosted: str) -> None:
        found = site.repoman.repositories.get(hosted)
        address = f"http://127.0.0.1:8081/repository/{hosted}/"
        evil = "x;$(touch pwned)`id`"
        asked = UseRequest(found, found, address, name=evil, version=evil, user="amy")
        guide = site.repoman.plugins.hook.repoman_web_use(request=asked)
        for section in guide.sections:
            for line in section.snippets:
                unquoted = _QUOTED.sub("", line.text)
                assert "$(touch" not in unquoted, line.text
                assert "`id`" not in unquoted, line.text

    def test_face_a_form_stores_what_clients_store(self, site: Site, hosted: str) -> None:
        if not self.takes_forms:
            specs = site.rest(f"{REST}/formats/upload-specs").json
            assert self.name not in [each["format"] for each in specs]  # type: ignore[union-attr]
            return
        sample = self.samples()[0]
        path = f"{REST}/components?repository={hosted}"
        sent: dict[str, Any] = {"content_type": "multipart/form-data"}
        stranger = site.user(f"nx-repository-view-{self.name}-{hosted}-browse")
        refused = site.http.request(
            "POST", path, auth=stranger, data=dict(self.form(sample)), **sent
        )
        assert refused.status_code in (403, 404)
        assert not self.is_named(site.client(hosted), sample)
        answer = site.http.request("POST", path, data=dict(self.form(sample)), **sent)
        assert answer.status_code == 204, answer.text
        assert self.is_named(site.client(hosted), sample)
        assert site.http.get(f"/upload/{hosted}").status_code == 200


def install_plugins(plugins: Mapping[str, object]) -> None:
    """Have commands of this process find these plugins."""

    def create(builtin: Iterable[object], _: object = None, required: Iterable[str] = ()) -> object:
        return create_plugin_manager(builtin, plugins, required)

    pytest.MonkeyPatch().setattr("repoman.core.create_plugin_manager", create)


def _command(*words: str) -> str:
    """Return the output of a command, which must work."""
    done = CliRunner().invoke(cli, list(words))
    assert done.exit_code == 0, f"{words}: {done.output} {done.exception}"
    return done.output


class _Fields(HTMLParser):
    """Collects what a browser would send for the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._select = self._textarea = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a field."""
        given = {key: value or "" for key, value in attrs}
        name, value = given.get("name", ""), given.get("value", "on")
        is_box = given.get("type") in ("checkbox", "radio")
        if tag == "input" and name and (not is_box or "checked" in given):
            if "disabled" not in given and given.get("type") != "file":
                self.found[name] = value if is_box else given.get("value", "")
        elif tag == "select":
            self._select = name
        elif tag == "textarea":
            self._textarea = name
            self.found[name] = ""
        elif tag == "option" and self._select and self._is_chosen(given):
            self.found[self._select] = value

    def _is_chosen(self, given: dict[str, str]) -> bool:
        return "selected" in given or self._select not in self.found

    def handle_data(self, data: str) -> None:
        """Take the text of a field."""
        if self._textarea:
            self.found[self._textarea] += data

    def handle_endtag(self, tag: str) -> None:
        """End a field."""
        if tag == "textarea":
            self._textarea = ""
        elif tag == "select":
            self._select = ""


def _fields_of(page: str) -> dict[str, str]:
    fields = _Fields()
    fields.feed(page[page.index("data-guard") :])
    return fields.found
