"""The catalog as users see it: no more than what their rights let them browse."""

import pytest

from repoman.catalog.model import AssetQuery, ComponentQuery, PackageQuery, PageRequest
from repoman.catalog.visibility import ActorViewer, EveryViewer
from repoman.errors import NotFound
from repoman.security.actors import Credentials
from tests.functional.docker.images import make_image
from tests.functional.rights.stage import view

TAGS = [("team/app", "1"), ("team/app", "2"), ("team/tool", "1"), ("other/app", "1")]
BROWSE = ("browse",)


@pytest.fixture(scope="module")
def repository(stage):
    """A repository with some images."""
    name = stage.make_repository()
    for image, tag in TAGS:
        stage.connector(name).push(image, tag, make_image(f"{image}:{tag}".encode()))
    return name


def viewer_of(stage, login):
    repoman = stage.repoman
    actor = repoman.security.authenticator.authenticate(Credentials(*login))
    return ActorViewer(repoman.security.authorizer, repoman.repositories, actor)


def seen(stage, viewer, repository):
    """Return the tags that the catalog lists."""
    query = ComponentQuery(repositories=(repository,), kind="tag")
    page = stage.repoman.catalog.components(query, PageRequest(), viewer)
    assert page.next is None
    return sorted((each.name, each.version) for each in page.items)


def test_a_user_sees_what_a_selector_picks(stage, repository):
    expression = 'path =^ "/v2/team/app/"'
    login = stage.make_user(stage.make_selected(repository, expression, BROWSE))
    viewer = viewer_of(stage, login)
    assert seen(stage, viewer, repository) == TAGS[:2]
    catalog = stage.repoman.catalog
    assets = catalog.assets(AssetQuery(repositories=(repository,)), PageRequest(), viewer).items
    assert assets, "manifests, tags and blobs of the image"
    assert all(each.path.startswith("/v2/team/app/") for each in assets)
    hidden = catalog.components(
        ComponentQuery(name="other/app"), PageRequest(), EveryViewer(stage.repoman.repositories)
    ).items[0]
    with pytest.raises(NotFound):
        catalog.component(hidden.id, viewer)


def test_a_selector_without_a_range_hides_as_much(stage, repository):
    expression = 'path =~ ".*/(team/tool)/.*"'
    login = stage.make_user(stage.make_selected(repository, expression, BROWSE))
    assert seen(stage, viewer_of(stage, login), repository) == [TAGS[2]]


def test_who_may_browse_a_repository_sees_all_of_it_and_no_other_one(stage, repository):
    other = stage.make_repository()
    stage.connector(other).push("team/secret", "1", make_image(b"secret"))
    viewer = viewer_of(stage, stage.make_user(*view(repository, "browse")))
    assert seen(stage, viewer, repository) == sorted(TAGS)
    packages = stage.repoman.catalog.packages(PackageQuery(), PageRequest(), viewer).items
    assert {each.repository for each in packages} == {repository}
    assert {each.name for each in packages} == {name for name, _ in TAGS}
    with pytest.raises(NotFound):
        stage.repoman.catalog.usage(other, viewer)
    assert seen(stage, EveryViewer(stage.repoman.repositories), other) == [("team/secret", "1")]


def test_who_has_no_right_sees_nothing(stage, repository):
    viewer = viewer_of(stage, stage.make_user())
    assert seen(stage, viewer, repository) == []
    assert stage.repoman.catalog.packages(PackageQuery(), PageRequest(), viewer).items == []
    with pytest.raises(NotFound):
        stage.repoman.catalog.browse(repository, "", PageRequest(), viewer)
