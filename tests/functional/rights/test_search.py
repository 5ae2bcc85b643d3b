"""Search shows what one may see, and counts nothing else."""

from base64 import b64encode
from contextlib import ExitStack
from urllib.parse import urlencode

import pytest

from tests.fakes.index import fake_index
from tests.functional.docker.driver import Login, Registry
from tests.functional.docker.images import make_image
from tests.functional.rights.stage import Stage, view

IMAGES = ("team/app", "private/app", "team/base", "private/base", "team/app-2")


@pytest.fixture(scope="module")
def hosted(stage: Stage) -> str:
    """A repository with images of a team and others."""
    name = stage.make_repository(docker__v1_enabled=True)
    for image in IMAGES:
        stage.connector(name).push(image, "1", make_image())
    return name


def search(registry: Registry, q: str = "", **query: object) -> dict:
    headers = {}
    if registry.login is not None:
        login = b64encode(":".join(registry.login).encode()).decode()
        headers["Authorization"] = f"Basic {login}"
    target = f"{registry.prefix}/v1/search?{urlencode({'q': q, **query})}"
    answer = registry.wire.send("GET", target, headers)
    assert answer.status == 200, answer.body
    return answer.json()


def names(registry: Registry, q: str = "", **query: object) -> list[str]:
    return [each["name"] for each in search(registry, q, **query)["results"]]


def team_member(stage: Stage, repository: str, *actions: str) -> Login:
    """A user who may do this with the images of a team."""
    return stage.make_user(stage.make_selected(repository, 'path =^ "/v2/team/"', actions))


def test_what_a_selector_picks_is_found_and_counted(stage, hosted):
    registry = stage.connector(hosted, team_member(stage, hosted, "browse"))
    assert names(registry, "app") == ["team/app", "team/app-2"]
    body = search(registry, "", n=2)
    assert (body["num_results"], body["num_pages"]) == (3, 2)
    assert names(registry, "", n=2, page=2) == ["team/base"]
    assert search(registry, "private")["num_results"] == 0


def test_to_read_is_not_to_browse(stage, hosted):
    assert names(stage.connector(hosted, team_member(stage, hosted, "read")), "app") == []


def test_the_main_port_shows_the_same(stage, hosted):
    user = team_member(stage, hosted, "browse")
    assert names(stage.mounted(hosted, user), "app") == ["team/app", "team/app-2"]


def test_in_a_group_the_rights_in_the_group_count(stage, hosted):
    group = stage.make_repository("docker-group", docker__v1_enabled=True, group__members=[hosted])
    user = team_member(stage, group, "browse")
    assert names(stage.connector(group, user), "app") == ["team/app", "team/app-2"]
    assert names(stage.connector(hosted, user), "app") == []
    whole = stage.make_user(*view(group, "browse"))
    assert len(names(stage.connector(group, whole), "app")) == 3


def test_what_an_index_finds_is_shown_to_those_who_may_see_it(stage):
    with ExitStack() as stack:
        index = stack.enter_context(fake_index())
        index.add(
            "team/app", "private/app", *(f"private/app-{n}" for n in range(50)), "team/last-app"
        )
        proxy = stage.make_repository(
            "docker-proxy",
            docker__v1_enabled=True,
            proxy__remote_url=index.url,
            docker_proxy__index_type="custom",
            docker_proxy__index_url=index.url,
        )
        body = search(stage.connector(proxy, team_member(stage, proxy, "browse")), "app")
        assert [each["name"] for each in body["results"]] == ["team/app", "team/last-app"]
        assert body["num_results"] == 2
        assert search(stage.connector(proxy), "app")["num_results"] == 53
