"""Addresses that clients are told: they lead to the repository as the client has addressed it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urldefrag, urljoin

from repoman.http.body import WSGI, Environ
from repoman.testing.formats.base import PACKAGE, FormatTests
from repoman.testing.formats.site import RepositoryClient, Site

HOST = "packages.example.com"
FORWARDED = {"HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_HOST": HOST}
COMPONENTS = "/service/rest/v1/components?repository="
# The address of the server as clients see it, and what the WSGI server adds to their requests.
SEEN_AS: Mapping[str, dict[str, str]] = {"http://localhost": {}, f"https://{HOST}": FORWARDED}


class AddressTests(FormatTests):
    """Tests of addresses."""

    def test_addresses_lead_to_the_repository_that_was_addressed(
        self, site: Site, hosted: str, mirror: str
    ) -> None:
        sample = self.samples()[0]
        self.store(site.client(hosted), sample)
        whole = site.create(f"{self.name}-group", {"group": {"members": [hosted]}})
        for name in (hosted, mirror, whole):
            for client, base in self._ways(site, name):
                assert client.get(sample.path).data == sample.data
                for path in self.documents(sample) if self.links else ():
                    found = {
                        urldefrag(urljoin(f"{base}{path}", each)).url
                        for each in re.findall(self.links, client.get(path).text)
                    }
                    assert f"{base}{sample.path}" in found, (path, found)
                    for each in found:
                        assert each.startswith(base), (path, base)
                        assert client.get(each.removeprefix(base)).status_code == 200

    def test_addresses_of_what_was_stored_are_those_of_the_client(
        self, site: Site, hosted: str
    ) -> None:
        for number, (client, base) in enumerate(self._ways(site, hosted)):
            answer = self.upload(client, self.make(PACKAGE, f"{number}.0.0"))
            assert answer.status_code < 300, answer.text
            if "Location" in answer.headers:
                assert urljoin(base, answer.headers["Location"]).startswith(base)
        for address, environ in SEEN_AS.items():
            items = site.rest(f"{COMPONENTS}{hosted}", environ_overrides=environ).json["items"]  # type: ignore[index]
            assets = [asset for each in items for asset in each["assets"]]
            assert assets
            for each in assets:
                assert each["downloadUrl"].startswith(f"{address}/repository/{hosted}/")

    def _ways(self, site: Site, name: str) -> Iterator[tuple[RepositoryClient, str]]:
        """Yield clients of a repository, and its address as each of them sees it."""
        for way, path in (("main", f"/repository/{name}/"), ("connector", "/")):
            yield site.client(name, way), f"http://localhost{path}"
            behind = site.client(name, way)
            behind.wrap(lambda app: partial(_forward, app))
            yield behind, f"https://{HOST}{path}"


def _forward(app: WSGI, environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Send a request as a proxy in front of the server does, which ends TLS."""
    return app({**environ, **FORWARDED}, start_response)
