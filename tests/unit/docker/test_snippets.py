"""The lines to copy for each client: right for the address, and safe whatever is filled in."""

import json
from types import SimpleNamespace

import pytest
import yaml

from repoman.plugin import GroupSection, HostedStorageSection, RepositoryType, UseRequest
from repoman_docker.browsing.snippets import guide, pull_commands
from repoman_docker.sections import DockerSection
from repoman_docker.service import DockerRepository


def repository(
    name="images",
    namespaces=None,
    *,
    is_online=True,
    kind=RepositoryType.HOSTED,
    v1_enabled=False,
    **sections,
):
    settings = DockerSection(v1_enabled=v1_enabled)
    service = DockerRepository(settings, *([None] * 7), namespaces=namespaces)
    sections = sections or {"storage": HostedStorageSection()}
    config = SimpleNamespace(is_online=is_online, type=kind, sections=sections)
    return SimpleNamespace(name=name, service=service, config=config)


def guided(address="https://images.example:5443", **asked):
    found = asked.pop("repository", repository())
    return guide(UseRequest(found, found, address, **asked))


def section(found, key):
    return next(each for each in found.sections if each.key == key)


def texts(found):
    return [snippet.text for each in found.sections for snippet in each.snippets]


def test_each_client_has_its_lines():
    found = guided(name="team/app", version="2.1", user="ci-build", may_add=True)
    assert [each.key for each in found.sections] == [
        "docker", "podman", "containerd", "kubernetes", "github", "gitlab", "jenkins", "nginx",
    ]  # fmt: skip
    reference = "images.example:5443/team/app:2.1"
    docker = section(found, "docker").snippets
    assert [each.text for each in docker] == [
        "docker login images.example:5443 -u ci-build",
        f"docker pull {reference}",
        f"docker tag app {reference}\ndocker push {reference}",
    ]
    assert found.notices == ()


def test_without_an_image_the_lines_name_placeholders():
    found = guided()
    assert section(found, "docker").snippets[1].text == "docker pull images.example:5443/NAME:TAG"


def test_plain_http_is_told_everywhere_it_has_to_be():
    found = guided("http://images.example:5000")
    assert found.notices[0].title == "This address is plain HTTP"
    daemon = json.loads(section(found, "daemon").snippets[0].text)
    assert daemon == {"insecure-registries": ["images.example:5000"]}
    assert "--tls-verify=false" in section(found, "podman").snippets[0].text
    assert "--insecure-registry=images.example:5000" in section(found, "gitlab").snippets[0].text
    assert "proxy_pass http://127.0.0.1:5000;" in section(found, "nginx").snippets[0].text


def test_a_proxy_of_the_hub_is_a_mirror_if_everybody_may_read():
    hub = repository("hub", frozenset({"docker.io", "index.docker.io"}))
    found = guided("http://images.example:5002", repository=hub)
    daemon = json.loads(section(found, "daemon").snippets[0].text)
    assert daemon["registry-mirrors"] == ["http://images.example:5002"]
    hosts = section(found, "containerd").snippets[0]
    assert hosts.caption == "/etc/containerd/certs.d/docker.io/hosts.toml"
    assert 'server = "https://registry-1.docker.io"' in hosts.text
    assert "needs access without a login" in found.notices[1].title
    opened = guided("https://images.example", repository=hub, is_open=True)
    assert opened.notices == ()
    quay = guided(repository=repository("quay", frozenset({"quay.io"})))
    assert [each.key for each in quay.sections if each.key == "daemon"] == []
    assert section(quay, "containerd").snippets[0].caption.endswith("certs.d/quay.io/hosts.toml")


def test_what_takes_no_pushes_has_lines_for_pulls_alone():
    proxy = repository("hub", kind=RepositoryType.PROXY)
    locked = repository(storage=HostedStorageSection(write_policy="deny"))
    group = {"kind": RepositoryType.GROUP}
    reading = repository(**group, group=GroupSection(members=("a",)))
    for each in (proxy, locked, reading):
        found = guided(repository=each, may_add=True, user="ann")
        assert "push" not in "".join(texts(found)).replace("build-push", "push"), each.name
        assert found.notices[0].text == f"{each.name} is for pulls: it takes no pushes."
        assert "docker pull" in section(found, "gitlab").snippets[0].text
    writing = repository(**group, group=GroupSection(members=("a",), writable_member="a"))
    found = guided(repository=writing, may_add=True)
    assert "docker push" in "".join(texts(found))
    assert found.notices == ()


def test_docker_searches_where_version_1_is_enabled():
    assert "docker search" not in "".join(texts(guided()))
    found = guided(repository=repository(v1_enabled=True), name="team/app")
    assert section(found, "docker").snippets[-1].text == "docker search images.example:5443/app"


def test_what_is_offline_says_so():
    assert guided(repository=repository(is_online=False)).notices[0].title.endswith("offline")


@pytest.mark.parametrize("odd", ["app; rm -rf /", "$(id)", "a\nb", "../x", "`id`", "x" * 300])
def test_nothing_gets_into_the_lines_that_is_not_checked(odd):
    found = guided(name=odd, version=odd)
    assert texts(found) == texts(guided())


def test_a_user_name_stays_one_word():
    found = guided(user="o'neil $(id)")
    assert "-u 'o'\"'\"'neil $(id)'" in section(found, "docker").snippets[0].text


def test_the_files_are_valid():
    found = guided("http://images.example:5000", name="team/app", version="1")
    for key in ("github", "gitlab"):
        yaml.safe_load(section(found, key).snippets[0].text)
    pod = yaml.safe_load(section(found, "kubernetes").snippets[1].text)
    assert pod["spec"]["containers"][0] == {
        "name": "app",
        "image": "images.example:5000/team/app:1",
    }


def test_an_image_is_pulled_by_its_tag_and_its_digest():
    found = pull_commands("images.example", "team/app:1", "sha256:abc")
    assert [each.title for each in found] == [
        "docker",
        "podman",
        "crictl",
        "Kubernetes",
        "Dockerfile",
    ]
    assert [each.text for each in found[0].snippets] == [
        "docker pull images.example/team/app:1",
        "docker pull images.example/team/app@sha256:abc",
    ]
