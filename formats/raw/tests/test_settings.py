"""The settings of raw repositories, and their connectors."""

import pytest

from repoman.plugin import Invalid
from repoman.testing import HttpClient
from tests.live import free_port


def test_a_connector_serves_the_files_at_its_root(repoman):
    port = free_port()
    repoman.repositories.create("more", "raw-hosted", {"raw": {"http_port": port}})
    connector = HttpClient(repoman, connector="more")
    assert connector.put("/folder/a", b"hello").status_code == 201
    assert HttpClient(repoman).get("/repository/more/folder/a").data == b"hello"
    [found] = repoman.repositories.connectors()
    assert (found.repository, found.scheme, found.port) == ("more", "http", port)


def test_a_connector_may_have_tls(repoman):
    port = free_port()
    repoman.repositories.update("files", {"raw": {"https_port": port}})
    [found] = repoman.repositories.connectors()
    assert found.url == f"https://127.0.0.1:{port}/"


def test_without_a_port_there_is_no_connector(repoman):
    assert repoman.repositories.connectors() == []


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"raw": {"http_port": 0}}, "raw.http_port"),
        ({"raw": {"http_port": "many"}}, "raw.http_port"),
        ({"raw": {"https_port": 65536}}, "raw.https_port"),
        ({"raw": {"port": 1}}, "raw.port"),
        ({"storage": {"write_policy": "never"}}, "storage.write_policy"),
        ({"proxy": {}}, "proxy"),
    ],
)
def test_a_wrong_setting_is_named(repoman, settings, field):
    with pytest.raises(Invalid) as caught:
        repoman.repositories.create("more", "raw-hosted", settings)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")
