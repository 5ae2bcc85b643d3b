"""Content selectors: what is picked is decided for each path, and lists show nothing else."""

import pytest

from repoman.errors import Conflict, Invalid, NotFound
from repoman.security.rights_records import SelectorRow
from tests.functional.docker.driver import Failure, Registry
from tests.functional.docker.images import make_image
from tests.functional.rights.stage import Stage

ONE, TWO = make_image(b"one"), make_image(b"two")
IMAGES = ("team/app", "team/base", "teams/other", "private")


@pytest.fixture(scope="module")
def hosted(stage: Stage) -> str:
    """A repository with some images, each with the tags 1.0, 1.1 and 2.0."""
    name = stage.make_repository()
    registry = stage.connector(name)
    for image in IMAGES:
        registry.push_blobs(image, ONE)
        for tag in ("1.0", "1.1", "2.0"):
            registry.push_manifest(image, tag, ONE.manifest)
    return name


@pytest.fixture
def as_picked(stage, hosted):
    """The repository as somebody sees it who may do this with what the expression picks."""

    def make(expression: str, *actions: str, repository: str = hosted) -> Registry:
        privilege = stage.make_selected(repository, expression, actions)
        return stage.connector(hosted, stage.make_user(privilege))

    return make


def catalog(registry: Registry, **query: str) -> list[str]:
    return registry.get("_catalog", query=query).json()["repositories"]


def test_a_pull_needs_a_path_that_is_picked(as_picked):
    registry = as_picked('path =^ "/v2/team/"', "read")
    registry.pull("team/app", "1.0")
    denied = registry.get("private/manifests/1.0")
    assert (denied.status, denied.code) == (403, "DENIED")
    assert "is not allowed to read private in hosted-" in denied.message
    registry.pull("teams/other", "1.0", failure=Failure("get manifest", 403, "DENIED"))


def test_of_one_image_some_tags_may_be_read(as_picked):
    registry = as_picked('path =~ "/v2/team/app/(manifests/(1[.].*|sha256:.*)|blobs/.*)"', "read")
    registry.pull("team/app", "1.1")
    assert registry.get("team/app/manifests/2.0").status == 403


def test_a_privilege_is_for_its_repository_and_its_format(stage, hosted, as_picked):
    other = stage.make_repository()
    assert as_picked('path =^ "/"', "read", repository=other).get("").status == 200
    assert as_picked('path =^ "/"', "*", repository=other).get("team/app/tags/list").status == 403
    assert as_picked('format == "raw"', "*").get("team/app/tags/list").status == 403
    assert as_picked('format == "docker"', "*").get("team/app/tags/list").status == 200
    assert as_picked('path =^ "/v2/"', "*", repository="*").get("team/app/tags/list").status == 200


def test_the_catalog_shows_what_may_be_browsed(as_picked):
    assert catalog(as_picked('path =^ "/v2/team/"', "browse")) == ["team/app", "team/base"]
    assert set(catalog(as_picked('path =~ "/v2/.*/tags/list"', "browse"))) >= set(IMAGES)
    assert catalog(as_picked('path =^ "/v2/team/"', "read")) == []


def test_pages_of_the_catalog_are_full(as_picked):
    registry = as_picked('path =^ "/v2/team/" or path =^ "/v2/private/"', "browse")
    first = registry.get("_catalog", query={"n": "2"})
    assert first.json()["repositories"] == ["private", "team/app"]
    assert "last=team%2Fapp" in first.headers["Link"]
    last = registry.get("_catalog", query={"n": "2", "last": "team/app"})
    assert last.json()["repositories"] == ["team/base"]
    assert "Link" not in last.headers


def test_tags_that_are_not_picked_are_not_listed(as_picked):
    registry = as_picked('path =~ "/v2/team/app/(tags/list|manifests/1[.].*)"', "browse")
    assert registry.tags("team/app") == ["1.0", "1.1"]
    assert registry.get("team/app/tags/list", query={"n": "1"}).json()["tags"] == ["1.0"]
    assert registry.get("team/base/tags/list").status == 403


def test_a_list_asks_the_database_no_more_for_more_names(stage, hosted, as_picked, monkeypatch):
    registry = as_picked('path =^ "/v2/team/"', "browse")
    assert len(catalog(registry)) == 2
    sqlite = stage.repoman.database._sqlite
    asked = []
    real = sqlite.execute_sql
    monkeypatch.setattr(sqlite, "execute_sql", lambda *given: asked.append(given) or real(*given))
    assert len(catalog(registry)) == 2
    assert len(asked) <= 2  # the names, and that there are no more


def test_a_push_needs_the_right_to_add_there(stage, as_picked):
    registry = as_picked('path =^ "/v2/pushed/new/"', "add", "read")
    registry.push("pushed/new", "1", TWO)
    registry.push("team/app", "9", TWO, failure=Failure("ask for blob", 403, "DENIED"))
    denied = registry.start("team/app")
    assert (denied.status, denied.code) == (403, "DENIED")


def test_a_new_tag_is_added_and_a_tag_that_moves_is_edited(stage, hosted, as_picked):
    adder = as_picked('path =^ "/v2/adding/"', "add", "read")
    adder.push("adding", "1", ONE)
    adder.push("adding", "1", ONE)  # the same again moves nothing
    adder.push_blobs("adding", TWO)
    denied = adder.put_manifest("adding", "1", TWO.manifest)
    assert (denied.status, denied.code) == (403, "DENIED")
    assert "is not allowed to edit adding in hosted-" in denied.message
    also = adder.send(
        "PUT",
        "adding/manifests/3",
        TWO.manifest,
        query={"tag": "1"},
        headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"},
    )
    assert (also.status, also.code) == (403, "DENIED")
    assert stage.connector(hosted).tags("adding") == ["1"]
    as_picked('path =^ "/v2/adding/"', "add", "edit").push_manifest("adding", "1", TWO.manifest)


def test_more_tags_in_one_push_need_the_right_as_well(stage, hosted, as_picked):
    registry = as_picked('path =^ "/v2/tagging/" and path != "/v2/tagging/manifests/stable"', "*")
    registry.push("tagging", "1", ONE)
    denied = registry.send("PUT", "tagging/manifests/2", ONE.manifest, query={"tag": "stable"})
    assert (denied.status, denied.code) == (403, "DENIED")
    assert stage.connector(hosted).tags("tagging") == ["1"]


def test_a_manifest_goes_by_its_digest_only_where_all_its_tags_may(stage, hosted, as_picked):
    admin = stage.connector(hosted)
    digest = admin.push("going", "1", ONE)
    admin.push_manifest("going", "stable", ONE.manifest)
    registry = as_picked('path =^ "/v2/going/" and path != "/v2/going/manifests/stable"', "*")
    denied = registry.delete(f"going/manifests/{digest}")
    assert (denied.status, denied.code) == (403, "DENIED")
    assert admin.tags("going") == ["1", "stable"]
    assert registry.delete("going/manifests/1").status == 202
    assert (
        as_picked('path =^ "/v2/going/"', "delete").delete(f"going/manifests/{digest}").status
        == 202
    )
    assert admin.tags("going") == []


def test_a_token_is_given_for_what_may_be_picked(stage, hosted, as_picked):
    registry = as_picked('path =~ "/v2/team/.*/manifests/1[.]0"', "read")

    def granted(scope: str) -> str:
        answer = registry.get("token", query={"scope": scope})
        token = answer.json()["token"]
        bearer = {"Authorization": f"Bearer {token}"}
        got = registry.get("team/app/manifests/1.0", headers=bearer)
        assert registry.get("team/app/manifests/2.0", headers=bearer).status == 403
        return f"{got.status}"

    assert granted("repository:team/app:pull") == "200"
    assert granted("repository:private:pull") == "401"
    assert granted("repository:team/app:push") == "401"


def test_anybody_may_be_given_a_part(stage, hosted):
    part = stage.make_selected(hosted, 'path =^ "/v2/team/"', ["browse", "read"])
    user = stage.make_user(part)[0]
    stage.repoman.options.update("anonymous", {"enabled": True, "roles": [user]})
    try:
        registry = stage.connector(hosted, None)
        scope = "repository:team/app:pull registry:catalog:*"
        token = registry.get("token", query={"scope": scope}).json()["token"]
        bearer = {"Authorization": f"Bearer {token}"}
        assert registry.get("team/app/manifests/1.0", headers=bearer).status == 200
        shown = registry.get("_catalog", headers=bearer).json()["repositories"]
        assert shown == [each for each in shown if each.startswith("team/")] != []
        assert registry.get("private/manifests/1.0", headers=bearer).status == 401
        # Who has logged in may do what anybody may.
        assert stage.connector(hosted, stage.make_user()).get("team/app/tags/list").status == 200
    finally:
        stage.repoman.options.update("anonymous", {"enabled": False, "roles": ["nx-anonymous"]})


# --- Services ------------------------------------------------------------------------------------


def test_a_selector_changes_for_all_who_have_it(stage, hosted, as_picked):
    expression = 'path =^ "/v2/teams/"'
    registry = as_picked(expression, "browse")
    selectors = stage.repoman.security.selectors
    name = next(each.name for each in selectors.all() if each.expression == expression)
    selectors.change(name, 'path =^ "/v2/private/"')
    assert catalog(registry) == ["private"]


def test_a_deleted_selector_takes_its_privileges_along(stage, hosted, as_picked):
    registry = as_picked('path =^ "/v2/team/base/"', "*")
    selectors = stage.repoman.security.selectors
    name = next(s.name for s in selectors.all() if s.expression == 'path =^ "/v2/team/base/"')
    assert registry.get("team/base/tags/list").status == 200
    selectors.delete(name.upper())
    assert registry.get("team/base/tags/list").status == 403
    assert name not in {each.name for each in stage.repoman.security.privileges.all()}
    selectors.create(SelectorRow(name, 'path =^ "/"'))
    assert registry.get("team/base/tags/list").status == 403
    selectors.delete(name)


def test_a_selector_that_will_not_do_is_refused(stage):
    selectors = stage.repoman.security.selectors
    with pytest.raises(Invalid, match="at character 9"):
        selectors.create(SelectorRow("bad", "path == /v2/"))
    selectors.create(SelectorRow("good", 'path == "/v2/"', "Nothing much."))
    with pytest.raises(Conflict, match="'GOOD' already"):
        selectors.create(SelectorRow("GOOD", 'path == "/v2/"'))
    with pytest.raises(Invalid, match="at character 1"):
        selectors.change("good", "")
    with pytest.raises(NotFound, match="'nowhere'"):
        selectors.change("nowhere", 'path == "/v2/"')
    selectors.change("good", description="Something.")
    assert selectors.get("Good") == SelectorRow("good", 'path == "/v2/"', "Something.")
    selectors.delete("good")
