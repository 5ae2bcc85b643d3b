"""``docker.namespaces``: mirrors of mirrors, and what a group stands for."""

import pytest

from tests.functional.docker.images import make_image
from tests.functional.docker_proxy.proxies import name_of

NAME = "team/app"
TAG = f"{NAME}/manifests/1"


@pytest.fixture
def image(upstream):
    image = make_image()
    upstream.put(NAME, "1", image)
    return image


@pytest.mark.parametrize("asked", ["docker.io", "index.docker.io", "Docker.io"])
def test_a_mirror_of_a_mirror(make_proxy, upstream, image, asked):
    proxy = make_proxy(upstream.url, docker__namespaces=["docker.io"])
    answer = proxy.get(f"{TAG}?ns={asked}")
    assert (answer.status, answer.body) == (200, image.manifest)
    assert answer.headers["OCI-Namespace"] == asked
    assert proxy.get(f"{TAG}?ns=quay.io").status == 404
    assert proxy.get(TAG).status == 200


def test_what_is_set_is_all_that_a_proxy_stands_for(make_proxy, upstream, image):
    proxy = make_proxy(upstream.url, docker__namespaces=["registry.example.com"])
    assert proxy.get(f"{TAG}?ns=127.0.0.1:{upstream.port}").status == 404
    assert proxy.get(f"{TAG}?ns=registry.example.com").status == 200


def test_a_group_stands_for_what_its_members_stand_for(make_proxy, upstream, image):
    proxy = make_proxy(upstream.url, docker__namespaces=["docker.io"])
    group = make_proxy.group(make_proxy.hosted(), proxy)
    answer = group.get(f"{TAG}?ns=docker.io")
    assert (answer.status, answer.headers["X-Repoman-Member"]) == (200, name_of(proxy))
    assert group.get(f"{TAG}?ns=quay.io").status == 404


def test_a_group_may_stand_for_a_registry_that_no_member_is_a_mirror_of(
    make_proxy, upstream, image
):
    group = make_proxy.group(make_proxy(upstream.url), docker__namespaces=["docker.io"])
    assert group.get(f"{TAG}?ns=docker.io").body == image.manifest
    assert group.get(f"{TAG}?ns=127.0.0.1:{upstream.port}").status == 404


def test_in_a_group_the_mirrors_of_a_registry_answer_alone(
    make_proxy, upstream, make_upstream, image
):
    other = make_upstream()
    other.put(NAME, "1", make_image())
    mirror = make_proxy(upstream.url, docker__namespaces=["docker.io"])
    group = make_proxy.group(make_proxy(other.url), mirror, docker__namespaces=["docker.io"])
    assert group.get(f"{TAG}?ns=docker.io").body == image.manifest
    make_proxy.repoman.repositories.update(name_of(mirror), {}, is_online=False)
    # While the mirror is away, nobody else's images pass for the registry's.
    assert group.get(f"{TAG}?ns=docker.io").status == 404
    assert other.log == []


def test_a_hosted_repository_may_stand_for_a_registry(make_proxy):
    hosted, image = make_proxy.hosted(), make_image()
    hosted.push(NAME, "1", image)
    make_proxy.repoman.repositories.update(name_of(hosted), {"docker": {"namespaces": ["quay.io"]}})
    group = make_proxy.group(hosted)
    assert group.get(f"{TAG}?ns=quay.io").body == image.manifest
    assert group.get(f"{TAG}?ns=docker.io").status == 404
