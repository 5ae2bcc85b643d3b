"""What people see of images: lists, the details of one, and what it costs to find them out."""

import secrets

import pytest

from repoman.errors import Invalid, NotFound
from repoman.security.actors import Credentials
from repoman_docker.browsing.comparison import Change, compare
from repoman_docker.browsing.details import describe_image
from repoman_docker.browsing.images import ImageOrder, list_images
from repoman_docker.browsing.kinds import ArtifactKind, AttachmentIcon
from repoman_docker.browsing.layer_files import LISTS, find_layer
from repoman_docker.browsing.layers import Count
from repoman_docker.browsing.loading import load_image
from repoman_docker.browsing.tags import TagOrder, TagQuery, list_tags, list_untagged, newest_tag
from tests.functional.docker.browsed import (
    artifact,
    attestation,
    built,
    index,
    tar_of,
    with_child,
)
from tests.functional.docker.images import descriptor, digest_of, make_image, to_json
from tests.functional.rights.stage import view
from tests.statements import executed_statements

BASE = tar_of("etc/os-release")
PACKAGES = tar_of("usr/bin/curl")
APP = tar_of("app/main")


@pytest.fixture
def hosted(stage):
    return stage.make_repository()


@pytest.fixture
def registry(stage, hosted):
    return stage.mounted(hosted)


def see(stage, name, login=None):
    """A repository as the program sees it, or somebody."""
    repoman = stage.repoman
    actor = (
        None if login is None else repoman.security.authenticator.authenticate(Credentials(*login))
    )
    return repoman.views.open(repoman.repositories.get(name), actor)


def push_index(registry, name, tag, body, *images):
    for image in images:
        registry.push_blobs(name, image)
        registry.push_manifest(name, digest_of(image.manifest), image.manifest)
    return registry.push_manifest(name, tag, body)


# Images ----------------------------------------------------------------------------------------


def test_images_are_listed_with_what_they_take(stage, hosted, registry):
    registry.push(
        "team/app",
        "1",
        built(
            BASE,
            PACKAGES,
            APP,
            config={"Labels": {"org.opencontainers.image.description": "The application"}},
        ),
    )
    registry.push("team/app", "2", built(BASE, PACKAGES, tar_of("app/new")))
    registry.push("alpine", "3", built(BASE, steps=STEPS_BASE))
    page = list_images(see(stage, hosted))
    assert [(each.name, each.tags, each.description) for each in page.items] == [
        ("alpine", 1, ""),
        ("team/app", 2, "The application"),
    ]
    assert (page.items[1].namespace, page.items[1].short_name) == ("team/", "app")
    assert page.items[1].own_size < page.items[1].size
    assert page.next is None


STEPS_BASE = (("ADD rootfs.tar.xz /", False),)


def test_images_are_found_by_a_part_of_their_name_and_paged_in_each_order(stage, hosted, registry):
    for number in range(5):
        registry.push(f"team/app-{number}", "1", make_image(secrets.token_bytes(100 + number)))
    registry.push("other", "1", make_image(secrets.token_bytes(10)))
    everything = see(stage, hosted)
    for order, expected in (
        (ImageOrder.NAME, [0, 1, 2, 3, 4]),
        (ImageOrder.PUSHED, [4, 3, 2, 1, 0]),
        (ImageOrder.SIZE, [4, 3, 2, 1, 0]),
        (ImageOrder.PULLED, None),
    ):
        names, after = [], ""
        while True:
            page = list_images(everything, "APP", order, after, 2)
            names += [each.name for each in page.items]
            after = page.next
            if not after:
                break
        if expected is not None:
            assert names == [f"team/app-{each}" for each in expected], order
        assert sorted(names) == [f"team/app-{each}" for each in range(5)]
    assert [each.name for each in list_images(everything, "oth*").items] == ["other"]
    with pytest.raises(Invalid):
        list_images(everything, after="no key")


def test_a_group_says_where_each_image_is_from(stage):
    one, two = stage.make_repository(), stage.make_repository()
    stage.mounted(one).push("app", "1", make_image())
    stage.mounted(two).push("app", "2", make_image())
    group = stage.make_repository("docker-group", group__members=[two, one])
    found = list_images(see(stage, group)).items
    assert [(each.name, each.member) for each in found] == [("app", one), ("app", two)]
    tags = list_tags(see(stage, group), "app", TagQuery(order=TagOrder.NAME)).items
    assert [(each.tag, each.member) for each in tags] == [("1", one), ("2", two)]


def test_the_first_member_of_a_group_that_has_a_tag_shows_it(stage):
    one, two = stage.make_repository(), stage.make_repository()
    first, second = make_image(), make_image()
    stage.mounted(one).push("app", "1", second)
    stage.mounted(two).push("app", "1", first)
    group = stage.make_repository("docker-group", group__members=[two, one])
    found = load_image(see(stage, group), "app", "1")
    assert (str(found.digest), found.member) == (first.digest, two)


# Tags ------------------------------------------------------------------------------------------


def test_a_tag_is_listed_with_all_that_is_said_of_it(stage, hosted, registry):
    amd, arm = built(BASE, APP, PACKAGES), built(BASE, steps=STEPS_BASE, architecture="arm64")
    windows = built(APP, steps=STEPS_BASE).manifest  # is not pushed
    body = index(
        (arm.manifest, "linux/arm64"), (windows, "windows/amd64"), (amd.manifest, "linux/amd64")
    )
    provenance, child = attestation(amd.manifest, b"{}", "https://slsa.dev/provenance/v1")
    body = with_child(body, child)
    digest = push_index(registry, "app", "2.1", body, amd, arm, provenance)
    for tag in ("2", "latest"):
        registry.push_manifest("app", tag, body)
    signature = artifact(body, "application/vnd.dev.sigstore.bundle.v0.3+json", b"signed")
    registry.push_blobs("app", signature)
    registry.push_manifest("app", digest_of(signature.manifest), signature.manifest)
    [latest, two, one] = list_tags(see(stage, hosted), "app", TagQuery()).items
    assert [one.tag, two.tag, latest.tag] == ["2.1", "2", "latest"]
    assert one.digest == digest
    assert one.platforms == ("linux/amd64", "linux/arm64", "windows/amd64")
    assert one.kind is ArtifactKind.INDEX
    assert one.also == ("2", "latest")
    assert latest.also == ("2", "2.1")
    assert one.is_signed
    assert one.size == sum(map(len, (*amd.blobs, amd.manifest)))
    assert one.total_size == one.size + sum(map(len, (*arm.blobs, arm.manifest)))
    assert one.pushed_by == "admin"
    assert (one.pulled_at, one.pulls) == (0, 0)


def test_pulls_are_counted_for_each_tag(stage, hosted, registry):
    image = make_image()
    registry.push("app", "1", image)
    registry.push("app", "2", make_image())
    registry.get("app/manifests/1")
    registry.get(f"app/manifests/{image.digest}")
    stage.repoman.pulls.flush(is_last=True)
    rows = {each.tag: each for each in list_tags(see(stage, hosted), "app", TagQuery()).items}
    assert rows["1"].pulls == 2
    assert rows["1"].pulled_at > 0
    assert rows["2"].pulls == 0
    assert describe_image(see(stage, hosted), "app", "1").pulls == 2


def test_tags_are_ordered_filtered_and_paged(stage, hosted, registry):
    image, arm = make_image(), built(BASE, steps=STEPS_BASE, architecture="arm64")
    for tag in ("2.10", "latest", "v2.9", "2.11-rc.1", "main"):
        registry.push("app", tag, image)
    registry.push("app", "arm", arm)
    registry.push("other", "3", image)
    everything = see(stage, hosted)

    def tags(query, size=2):
        found, after = [], ""
        while True:
            page = list_tags(everything, "app", query, after, size)
            found += [each.tag for each in page.items]
            after = page.next
            if not after:
                return found

    assert tags(TagQuery()) == ["arm", "main", "2.11-rc.1", "v2.9", "latest", "2.10"]
    assert tags(TagQuery(order=TagOrder.VERSION))[:3] == ["2.11-rc.1", "2.10", "v2.9"]
    assert tags(TagQuery(order=TagOrder.VERSION), 4)[3:] == ["main", "latest", "arm"]
    assert tags(TagQuery(order=TagOrder.NAME))[0] == "2.10"
    assert tags(TagQuery("2.1*", order=TagOrder.NAME)) == ["2.10", "2.11-rc.1"]
    assert tags(TagQuery("MAIN".lower())) == ["main"]
    assert tags(TagQuery(platform="linux/arm64")) == ["arm"]
    assert tags(TagQuery(platform="linux/riscv64")) == []
    assert newest_tag(everything, "app") == "2.10"
    assert newest_tag(everything, "nothing") == ""


def test_a_page_of_tags_takes_as_many_statements_as_one_tag(stage, hosted, registry):
    counts = []
    for number, name in ((2, "few"), (40, "many")):
        for tag in range(number):
            registry.push(
                name,
                f"1.{tag}",
                built(BASE, PACKAGES, APP, tar_of(f"x{tag}"), steps=(*STEPS, ("COPY x x", False))),
            )
        opened = see(stage, hosted)
        with executed_statements() as statements:
            assert len(list_tags(opened, name, TagQuery()).items) == number
        counts.append(len(statements))
        with executed_statements() as statements:
            describe_image(opened, name, "1.0")
        counts.append(len(statements))
    assert counts[0] == counts[2] <= 8
    assert counts[1] == counts[3] <= 8


STEPS = (
    ("ADD rootfs.tar.xz /", False),
    ("RUN /bin/sh -c apt-get update # buildkit", False),
    ("ENV GREETING=hello", True),
    ("COPY app /app # buildkit", False),
    ('CMD ["serve"]', True),
)


def test_manifests_without_a_tag_are_listed_apart(stage, hosted, registry):
    old, new, child = make_image(), make_image(), make_image()
    registry.push("app", "1", old)
    registry.push("app", "1", new)
    body = index((child.manifest, "linux/amd64"))
    push_index(registry, "app", "2", body, child)
    attached = artifact(new.manifest, "application/spdx+json", b"sbom")
    registry.push_blobs("app", attached)
    registry.push_manifest("app", digest_of(attached.manifest), attached.manifest)
    registry.push("app/below", "1", make_image())
    page = list_untagged(see(stage, hosted), "app")
    assert [(each.digest, each.kind) for each in page.items] == [(old.digest, ArtifactKind.IMAGE)]
    assert page.next is None


def test_manifests_without_a_tag_are_paged(stage, hosted, registry):
    digests = []
    for _ in range(5):
        image = make_image()
        registry.push("app", "1", image)
        digests.append(image.digest)
    found, after, pages = [], "", 0
    while after is not None:
        page = list_untagged(see(stage, hosted), "app", after, 2)
        found += [each.digest for each in page.items]
        after, pages = page.next, pages + 1
    assert found == sorted(digests[:-1])
    assert pages == 3


# One image -------------------------------------------------------------------------------------


def test_an_image_is_described_with_its_layers_and_steps(stage, hosted, registry):
    base, packages, app = (tar_of(secrets.token_hex(8)) for _ in range(3))
    image = built(
        base,
        packages,
        app,
        steps=STEPS,
        config={
            "Entrypoint": ["tini", "--"],
            "Cmd": ["serve"],
            "User": "10001",
            "WorkingDir": "/app",
            "Env": ["PATH=/bin", "EMPTY="],
            "ExposedPorts": {"9090/tcp": {}, "80/tcp": {}},
            "Labels": {"a": "label", "both": "same", "c": "of label"},
            "Healthcheck": {"Test": ["CMD", "check"], "Interval": 30_000_000_000},
        },
        annotations={"both": "same", "c": "of annotation"},
    )
    registry.push("app", "1", image)
    registry.push("app", "also", image)
    registry.push(
        "other",
        "1",
        built(base, packages, tar_of("b"), tar_of("c"), steps=(*STEPS, ("COPY c c", False))),
    )
    registry.push("base", "bookworm", built(base, packages, steps=STEPS[:3]))
    found = describe_image(see(stage, hosted), "app", "1")
    config = found.image.config
    assert (config.entrypoint, config.command) == (("tini", "--"), ("serve",))
    assert (config.user, config.directory) == ("10001", "/app")
    assert config.environment == {"PATH": "/bin", "EMPTY": ""}
    assert config.ports == ("80/tcp", "9090/tcp")
    assert config.health_check.interval_s == 30
    assert str(config.platform) == "linux/amd64"
    assert config.created_at == pytest.approx(1795872720.123456)
    assert [(each.name, each.value, each.source) for each in found.labels] == [
        ("a", "label", "label"),
        ("both", "same", "both"),
        ("c", "of annotation", "annotation"),
        ("c", "of label", "label"),
    ]
    rows = found.layers.rows
    assert [(each.step.verb, each.step.text) for each in rows] == [
        ("ADD", "rootfs.tar.xz /"),
        ("RUN", "apt-get update"),
        ("COPY", "app /app"),
    ]
    assert [each.also_in for each in rows] == [Count(2), Count(2), Count(0)]
    assert [each.is_base for each in rows] == [True, True, False]
    assert [each.is_own for each in rows] == [False, False, True]
    assert [each.verb for each in found.empty_steps] == ["ENV", "CMD"]
    assert (found.layers.base, found.layers.base_layers) == ("base:bookworm", 2)
    assert found.layers.shared_size == len(base) + len(packages)
    assert found.layers.own_size == len(app) + len(image.config) + len(image.manifest)
    assert found.layers.shared_with == Count(2)
    assert found.same == ("also",)
    assert not found.is_signed


def test_a_platform_is_chosen_and_those_that_are_not_stored_are_named(stage, hosted, registry):
    amd = built(BASE, steps=STEPS_BASE)
    arm = built(PACKAGES, steps=STEPS_BASE, architecture="arm64")
    body = index(
        (arm.manifest, "linux/arm64"), (APP, "windows/amd64"), (amd.manifest, "linux/amd64")
    )
    provenance, child = attestation(arm.manifest, b"{}", "https://slsa.dev/provenance/v1")
    push_index(registry, "app", "1", with_child(body, child), amd, arm, provenance)
    everything = see(stage, hosted)
    usual = describe_image(everything, "app", "1")
    assert [(each.platform, each.stored is None) for each in usual.image.platforms] == [
        ("linux/amd64", False),
        ("linux/arm64", False),
        ("windows/amd64", True),
    ]
    assert str(usual.image.image_digest) == amd.digest
    other = describe_image(everything, "app", "1", "linux/arm64")
    assert str(other.image.image_digest) == arm.digest
    assert [(each.type.icon, each.to) for each in other.attachments] == [
        (AttachmentIcon.PROVENANCE, "linux/arm64")
    ]
    missing = describe_image(everything, "app", "1", "windows/amd64")
    assert (missing.image.size, missing.layers.rows) == (None, ())
    with pytest.raises(NotFound, match="riscv64"):
        describe_image(everything, "app", "1", "linux/riscv64")


def test_what_is_attached_has_friendly_names(stage, hosted, registry):
    image = make_image()
    registry.push("app", "1", image)
    for kind, annotations in (
        (
            "application/vnd.dev.sigstore.bundle.v0.3+json",
            {"dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1"},
        ),
        ("application/spdx+json", {}),
        ("application/vnd.acme.load-test+json", {"org.acme.run": "nightly"}),
    ):
        attached = artifact(image.manifest, kind, kind.encode(), **annotations)
        registry.push_blobs("app", attached)
        registry.push_manifest("app", digest_of(attached.manifest), attached.manifest)
    registry.push("app", image.digest.replace(":", "-") + ".sig", make_image())
    found = describe_image(see(stage, hosted), "app", "1")
    named = sorted((each.type.name, each.type.about, each.detail) for each in found.attachments)
    assert [each[:2] for each in named] == [
        ("SBOM", "SPDX, JSON"),
        ("Signature", "cosign"),
        ("Signature", "cosign"),
        ("application/vnd.acme.load-test+json", "no friendly name is known"),
    ]
    assert named[3][2] == "org.acme.run = nightly"
    assert found.is_signed


def test_charts_and_unknown_artifacts_say_what_is_known(stage, hosted, registry):
    chart = to_json({"name": "app"})
    manifest = to_json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor(chart, "application/vnd.cncf.helm.config.v1+json"),
            "layers": [descriptor(APP, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")],
        }
    )
    registry.push_blob("charts/app", chart)
    registry.push_blob("charts/app", APP)
    registry.push_manifest("charts/app", "1", manifest)
    odd = to_json({"mediaType": "application/vnd.acme+json", "what": ["ever"]})
    registry.push_manifest("odd", "1", odd)
    found = describe_image(see(stage, hosted), "charts/app", "1")
    assert (found.image.kind, len(found.layers.rows)) == (ArtifactKind.CHART, 1)
    assert found.layers.rows[0].step is None
    unknown = describe_image(see(stage, hosted), "odd", "1")
    assert (unknown.image.kind, unknown.layers.rows) == (ArtifactKind.ARTIFACT, ())


@pytest.mark.parametrize("config", [
    b"[]", b'{"config": 3, "history": [1, {"created_by": 2}], "os": ["linux"]}',
    b'{"config": {"Env": {"a": 1}, "Labels": ["x"], "ExposedPorts": 4, "Cmd": "sh",'
    b' "Healthcheck": {"Test": "x", "Interval": "y"}}, "created": 12, "rootfs": []}',
    b"[" * 100_000,
])  # fmt: skip
def test_odd_configs_are_shown_as_far_as_they_make_sense(stage, hosted, registry, config):
    from tests.functional.docker.images import Image, manifest_of

    registry.push("app", "1", Image(config, (APP,), manifest_of(config, (APP,))))
    found = describe_image(see(stage, hosted), "app", "1")
    assert len(found.layers.rows) == 1
    assert list_tags(see(stage, hosted), "app", TagQuery()).items[0].tag == "1"


def test_nobody_sees_what_they_may_not(stage, hosted, registry):
    image = make_image(BASE)
    registry.push("team/app", "1", image)
    registry.push("secret", "1", image)
    selected = stage.make_selected(hosted, 'path =^ "/v2/team/"', ["browse", "read"])
    login = stage.make_user(selected)
    limited = see(stage, hosted, login)
    assert [each.name for each in list_images(limited).items] == ["team/app"]
    assert list_tags(limited, "secret", TagQuery()).items == []
    assert list_untagged(limited, "secret").items == []
    with pytest.raises(NotFound):
        describe_image(limited, "secret", "1")
    with pytest.raises(NotFound):
        find_layer(limited, "secret", digest_of(BASE))
    # Only what may be seen is counted, but nothing is called freed that others need.
    found = describe_image(limited, "team/app", "1")
    assert found.layers.rows[0].also_in == Count(0)
    assert not found.layers.rows[0].is_own
    assert see(stage, hosted, stage.make_user(*view(hosted, "browse"))).scopes


@pytest.mark.parametrize("reference", ["2", "sha256:" + "0" * 64, "sha256:x", "a/b", "", "\0"])
def test_what_is_not_there_is_not_found(stage, hosted, registry, reference):
    registry.push("app", "1", make_image())
    with pytest.raises(NotFound):
        describe_image(see(stage, hosted), "app", reference)


# Comparing, and the files of layers ------------------------------------------------------------


def test_two_tags_are_compared(stage, hosted, registry):
    old = built(
        BASE,
        PACKAGES,
        APP,
        steps=STEPS,
        created="2026-11-22T00:00:00Z",
        config={"Env": ["A=1", "B=2"], "Labels": {"gone": "x"}, "User": "root"},
    )
    new = built(
        BASE,
        tar_of("usr/bin/wget"),
        APP,
        tar_of("more"),
        steps=(*STEPS, ("COPY more /", False)),
        created="2026-11-28T00:00:00Z",
        config={"Env": ["A=1", "B=3"], "Labels": {"come": "y"}, "User": "root"},
    )
    registry.push("app", "1", old)
    registry.push("app", "2", new)
    everything = see(stage, hosted)
    found = compare(load_image(everything, "app", "1"), load_image(everything, "app", "2"))
    assert [each.change for each in found.layers] == [
        Change.SAME,
        Change.CHANGED,
        Change.SAME,
        Change.ADDED,
    ]
    assert [
        (each.change, each.what, each.name, each.left, each.right) for each in found.values
    ] == [
        (Change.CHANGED, "variable", "B", "2", "3"),
        (Change.REMOVED, "label", "gone", "x", ""),
        (Change.ADDED, "label", "come", "", "y"),
    ]
    assert found.equal_layers == 2
    assert found.equal_values == 3
    assert found.apart_s == 6 * 86_400
    assert found.download_size == len(tar_of("usr/bin/wget")) + len(tar_of("more")) + len(
        new.config
    )
    assert found.growth == found.right.size - found.left.size


def test_the_files_of_a_layer_are_listed(stage, hosted, registry):
    registry.push("app", "1", built(tar_of("usr/bin/b", "usr/a"), steps=STEPS_BASE))
    opened = see(stage, hosted)
    stored = find_layer(opened, "app", digest_of(tar_of("usr/bin/b", "usr/a")))
    found = LISTS.get(opened, stored)
    assert [(each.path, each.size, each.mode) for each in found.files] == [
        ("usr/a", 7, "-rw-r--r--"),
        ("usr/bin/b", 7, "-rw-r--r--"),
    ]
    assert (found.packing, found.cut) == ("gzip", "")
    registry.push("app", "2", make_image())
    config = load_image(opened, "app", "2").manifest.layers[0]
    with pytest.raises(Invalid, match="not an archive"):
        LISTS.get(opened, find_layer(opened, "app", str(config.digest)))


def test_the_number_of_tags_is_of_those_that_one_may_see(stage, hosted, registry, monkeypatch):
    for tag in ("1", "2", "secret"):
        registry.push("app", tag, make_image())
    chosen = 'path == "/v2/app/tags/list" or path =~ "/v2/app/manifests/([12]|sha256.*)"'
    limited = stage.make_user(stage.make_selected(hosted, chosen, ["browse", "read"]))

    def counted(*login):
        [row] = list_images(see(stage, hosted, *login)).items
        return row.tags, row.has_more_tags

    assert (counted(), counted(limited)) == ((3, False), (2, False))
    monkeypatch.setattr("repoman_docker.browsing.images.TAGS_COUNTED", 1)
    assert (counted(), counted(limited)) == ((3, False), (1, True))
