"""Who may do what with repositories of every format: nobody, users, tokens."""

from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from repoman.http.formats import Format
from repoman.http.router import RestConverter
from repoman.security.actors import READING, Limit
from repoman.testing.factory import ADMIN
from repoman.testing.formats.base import FormatTests
from repoman.testing.formats.remote import RemoteServer
from repoman.testing.formats.site import RepositoryClient, Site

REST = "/service/rest/v1"
REFUSED = (401, 403, 404)


class RightsTests(FormatTests):
    """Tests of rights."""

    def privileges(self, repository: str, *actions: str) -> list[str]:
        """Return the names of privileges on the content of a repository."""
        return [f"nx-repository-view-{self.name}-{repository}-{each}" for each in actions]

    def test_rights_nobody_reads_or_writes_without_a_login(self, client: RepositoryClient) -> None:
        first, second, _ = self.samples()
        self.store(client, first)
        nobody = client.as_user(None)
        for path in (first.path, *self.documents(first)):
            assert nobody.get(path).status_code == 401
        assert self.upload(nobody, second).status_code == 401
        assert not self.is_named(client, second)

    def test_rights_anonymous_visitors_read_where_they_may(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        first, second, _ = self.samples()
        self.store(client, first)
        site.repoman.repositories.update(hosted, {"access": {"anonymous": True}})
        nobody = client.as_user(None)
        assert self.is_named(nobody, first)
        assert self.upload(nobody, second).status_code == 401
        assert not self.is_named(client, second)

    @pytest.mark.parametrize("way", ["main", "connector"])
    def test_rights_each_action_needs_its_own(self, site: Site, hosted: str, way: str) -> None:
        client = site.client(hosted, way)
        first, second, _ = self.samples()
        self.store(client, first)
        stranger = client.as_user(site.user())
        reader = client.as_user(site.user(*self.privileges(hosted, "browse", "read")))
        writer = client.as_user(site.user(*self.privileges(hosted, "read", "add", "edit")))
        assert stranger.get(first.path).status_code in REFUSED
        assert self.is_named(reader, first)
        for each in (stranger, reader):
            assert self.upload(each, second).status_code in REFUSED
            assert each.delete(first.path).status_code in (*REFUSED, 405)
        assert not self.is_named(client, second)
        assert self.is_named(client, first)
        self.store(writer, second)
        assert self.is_named(client, second)
        assert writer.delete(first.path).status_code in (*REFUSED, 405)

    def test_rights_a_token_is_held_to_its_names(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        mine, other = self.make("mine", "1.0.0"), self.make("other", "1.0.0")
        self.store(client, mine, other)
        names = (mine.rule_name,)
        token = site.repoman.security.user_tokens.create(ADMIN[0], hosted, Limit(names=names))
        limited = client.as_user((ADMIN[0], token))
        assert limited.get(mine.path).data == mine.data
        assert limited.get(other.path).status_code in REFUSED
        for sample in (mine, other):
            for path in self.documents(sample):
                answer = limited.get(path)
                assert answer.status_code == 200 or sample is other or "/" not in path
        login = (ADMIN[0], token)
        found = site.rest(f"{REST}/search?repository={hosted}", auth=login).text
        for told in (str(site.components(hosted, login)), found):
            assert mine.path in told
            assert other.path not in told
        assert self.upload(limited, self.make("other", "2.0.0")).status_code in REFUSED
        assert not self.is_named(client, self.make("other", "2.0.0"))

    def test_rights_a_token_for_reading_stores_nothing(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        first, second, _ = self.samples()
        self.store(client, first)
        limit = Limit(actions=frozenset(READING))
        token = site.repoman.security.user_tokens.create(ADMIN[0], f"r-{hosted}", limit)
        limited = client.as_user((ADMIN[0], token))
        assert self.is_named(limited, first)
        assert self.upload(limited, second).status_code in REFUSED
        assert not self.is_named(client, second)

    @pytest.mark.parametrize("type_", ["hosted", "group"])
    def test_rights_a_selector_shows_one_package_alone(
        self, site: Site, hosted: str, type_: str
    ) -> None:
        mine, other, absent = (self.make(each, "1.0.0") for each in ("mine", "other", "absent"))
        self.store(site.client(hosted), mine, other)
        members = {"group": {"members": [hosted]}}
        name = hosted if type_ == "hosted" else site.create(f"{self.name}-group", members)
        shown = (mine.path, *self.documents(mine))
        login = site.user(site.selected(name, shown, "browse", "read"))
        reader = site.client(name).as_user(login)
        assert self.is_named(reader, mine)
        for path, like in zip(self.paths(other), self.paths(absent), strict=True):
            if path not in shown:
                refused, unknown = reader.get(path), reader.get(like)
                assert refused.status_code in REFUSED, path
                told = refused.text.replace("other", "absent")
                assert (refused.status_code, told) == (unknown.status_code, unknown.text)
        listed = site.components(name, login) if type_ == "hosted" else []
        pages = [site.http.get(f"/browse/{name}", auth=login, follow_redirects=True).text]
        pages.append(site.rest(f"{REST}/search?repository={name}", auth=login).text)
        assert not [each for each in (*map(str, listed), *pages) if other.path in each]

    def test_rights_every_route_asks_for_some(self, site: Site, hosted: str) -> None:
        self.store(site.client(hosted), self.samples()[0])
        stranger = site.client(hosted).as_user(site.user())
        for rule, method, answer in self._ask_every_route(site, stranger):
            is_open = rule.endpoint.rpartition(".")[2] in self.open_routes
            assert is_open or answer.status_code in REFUSED, (method, rule, answer.status)

    def test_rights_who_has_none_cannot_have_a_remote_asked(
        self, site: Site, mirror: str, remote_files: RemoteServer
    ) -> None:
        whole = site.create(f"{self.name}-group", {"group": {"members": [mirror]}})
        sample = self.samples()[0]
        for name in (mirror, whole):
            writer = site.user(*self.privileges(name, "add", "edit", "delete"))
            for login in (None, site.user(), writer):
                client = site.client(name).as_user(login)
                for path in self.paths(sample):
                    client.get(path)
                    client.head(path)
                for _ in self._ask_every_route(site, client):
                    pass
        assert remote_files.asked == []

    def _ask_every_route(
        self, site: Site, client: RepositoryClient
    ) -> Iterator[tuple[Rule, str, TestResponse]]:
        """Send a request to each of the format's own routes, and return its answer."""
        for rule in self._rules(site):
            path = "".join(
                "x" if is_dynamic else text for is_dynamic, text in rule._trace
            ).removeprefix("|/")
            for method in (rule.methods or set()) - {"OPTIONS"}:
                data = b"{}" if method != "GET" else None
                yield rule, method, client.request(method, path, data=data)

    def _rules(self, site: Site) -> list[Rule]:
        """Return the rules of the format's own routes."""
        found = site.repoman.plugins.hook.repoman_register_formats()
        [format_] = [each for some in found for each in some if each.name == self.name]
        app = Flask(__name__, static_folder=None)
        app.url_map.converters["rest"] = RestConverter
        _register(app, format_)
        return list(app.url_map.iter_rules())


def _register(app: Flask, format_: Format) -> None:
    for each in format_.blueprints:
        app.register_blueprint(each)
