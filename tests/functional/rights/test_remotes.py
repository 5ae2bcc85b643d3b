"""Who may see how the remote of a proxy is, and who may have it asked."""

import pytest

from repoman.testing import HttpClient
from tests.fakes.registry import fake_registry
from tests.functional.rights.stage import view


@pytest.fixture
def upstream():
    with fake_registry() as registry:
        yield registry


@pytest.mark.parametrize(
    ("actions", "status", "checked"),
    [
        ((), 404, 404),
        (("read",), 200, 403),
        (("edit", "read"), 200, 200),
    ],
)
def test_a_check_needs_the_right_to_edit(stage, upstream, actions, status, checked):
    proxy = stage.make_repository("docker-proxy", proxy__remote_url=upstream.url)
    admin = [f"nx-repository-admin-docker-{proxy}-{each}" for each in actions]
    login = stage.make_user(*admin, *(view(proxy, "browse") if actions else ()))
    client, path = HttpClient(stage.repoman), f"/api/v1/repositories/{proxy}"
    assert client.get(f"{path}/remote", auth=login).status_code == status
    assert client.request("POST", f"{path}/remote/check", auth=login).status_code == checked
    assert ("GET /v2/" in upstream.lines()) is (checked == 200)
