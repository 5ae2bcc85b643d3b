"""Addresses of registries as people write them, and the names that clients know them by."""

import pytest
from pydantic import ValidationError

from repoman.errors import Invalid
from repoman_docker.plugin import repoman_register_recipes
from repoman_docker.protocol.registries import host_names, namespaces_of
from repoman_docker.sections import DockerSection

HUB = "https://registry-1.docker.io"
PROXY = next(each for each in repoman_register_recipes() if each.name == "docker-proxy")


def parse(url, **docker_proxy):
    return PROXY.parse({"proxy": {"remote_url": url}, "docker_proxy": docker_proxy})


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("https://quay.io", "https://quay.io"),
        ("https://quay.io/", "https://quay.io"),
        (" https://quay.io\n", "https://quay.io"),
        ("https://quay.io/v2", "https://quay.io"),
        ("https://quay.io/v2/", "https://quay.io"),
        ("https://quay.io/v1/", "https://quay.io"),
        ("https://quay.io/V2//", "https://quay.io"),
        ("http://127.0.0.1:5000/v2/", "http://127.0.0.1:5000"),
        ("http://[::1]:5000/v2/", "http://[::1]:5000"),
        ("https://example.com/repository/name/v2/", "https://example.com/repository/name"),
        ("https://example.com/repository/name", "https://example.com/repository/name"),
        ("https://example.com/v2x", "https://example.com/v2x"),
        *(
            (given, HUB)
            for given in (
                "docker.io",
                "docker.io/",
                "hub.docker.com",
                "https://docker.io",
                "https://DOCKER.io/",
                "http://docker.io",
                "https://docker.io:443/v2/",
                "https://hub.docker.com",
                "https://index.docker.io/v1/",
                "https://registry.hub.docker.com",
                "https://registry-1.docker.io/v2/",
                "http://registry-1.docker.io:80",
            )
        ),
    ],
)
def test_an_address_is_used_right(given, stored):
    assert parse(given)["proxy"].remote == stored


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("https://quay.io?x=1", "not have a query or a fragment: write https://quay.io"),
        (
            "https://quay.io/v2/?n=s3cret",
            "not have a query or a fragment: write https://quay.io/v2",
        ),
        ("https://quay.io/?", "not have a query or a fragment: write https://quay.io"),
        ("https://quay.io#s3cret", "not have a query or a fragment: write https://quay.io"),
        (
            "https://ann:s3cret@quay.io/a",
            "not contain a user name and password: write https://quay.io/a",
        ),
        ("https://s3cret@quay.io", "not contain a user name and password: write https://quay.io"),
        ("https://ann:12/s3cret@quay.io", "not contain a user name and password: set the"),
        ("https://quay..io", "must be an http or https address"),
        ("https://:@quay.io", "not contain a user name and password"),
        ("https://quay.io/v2/team/app", "without the path of the API: https://quay.io"),
        ("https://x.org/a/v2/b/manifests/1", "without the path of the API: https://x.org/a"),
        ("https://hub.docker.com/_/nginx", f"a registry without a path: {HUB}"),
        ("https://docker.io/library/nginx", f"a registry without a path: {HUB}"),
        ("quay.io", "must be an http or https address"),
        ("ftp://quay.io", "must be an http or https address"),
        ("https://", "must be an http or https address"),
        ("https://quay.io:99999", "must be an http or https address"),
        ("https://[::1", "must be an http or https address"),
        ("https://quay .io", "must be an http or https address"),
        ("https://quay.io/\x1b[31m", "must be an http or https address"),
    ],
)
def test_an_address_that_cannot_work_is_refused_with_the_right_one(given, text):
    with pytest.raises(Invalid) as caught:
        parse(given)
    assert text in str(caught.value)
    assert caught.value.field == "proxy.remote_url"
    assert "s3cret" not in str(caught.value)


def test_an_index_has_no_secrets_either():
    for given in (
        "https://a:s3cret@x.org",
        "https://x.org?key=s3cret",
        "https://x.org#s3cret",
        "x",
    ):
        with pytest.raises(Invalid, match=r"docker_proxy\.index_url") as caught:
            parse(HUB, index_type="custom", index_url=given)
        assert "s3cret" not in str(caught.value)
    made = parse(HUB, index_type="custom", index_url="https://index.docker.io/v1/")
    assert made["docker_proxy"].index == "https://index.docker.io"


# --- Namespaces ----------------------------------------------------------------------------------


def test_the_names_of_an_address():
    assert host_names("https://quay.io") == {"quay.io"}
    assert host_names("https://Quay.io:443") == {"quay.io", "quay.io:443"}
    assert host_names("http://127.0.0.1:5000/a") == {"127.0.0.1:5000"}
    assert {"docker.io", "index.docker.io", "registry-1.docker.io"} <= host_names(HUB)


def test_one_name_of_docker_hub_means_all():
    assert {"docker.io", "registry-1.docker.io", "quay.io"} <= namespaces_of(
        ["DOCKER.io", "quay.io"]
    )
    assert namespaces_of(["quay.io"]) == {"quay.io"}


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("docker.io", "docker.io"),
        ("Registry.Example.com:5000", "registry.example.com:5000"),
        ("[::1]:5000", "[::1]:5000"),
        (" quay.io ", "quay.io"),
    ],
)
def test_a_namespace_is_a_host(given, stored):
    assert DockerSection(namespaces=[given]).namespaces == (stored,)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("https://docker.io/v2/", "host names only, such as docker.io"),
        ("docker.io/library", "host names such as"),
        ("", "host names such as"),
        ("a b", "host names such as"),
    ],
)
def test_what_is_no_host_is_refused(given, text):
    with pytest.raises(ValidationError, match=text):
        DockerSection(namespaces=[given])
