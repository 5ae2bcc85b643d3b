"""Hosted Docker repositories: images that clients push."""

from collections.abc import Callable
from functools import partial

from repoman.plugin import Built, Capabilities, RepositoryContext
from repoman_docker.browsing.space import version_space
from repoman_docker.hosted.blobs import HostedBlobs, HostedUploads
from repoman_docker.hosted.collection import HostedCollector
from repoman_docker.hosted.deletion import NOTE, Deletion
from repoman_docker.hosted.lists import HostedLists, HostedSearch
from repoman_docker.hosted.manifests import HostedManifests
from repoman_docker.hosted.policy import DeploymentPolicy
from repoman_docker.hosted.trash import Trash
from repoman_docker.hosted.undo import HostedUndo
from repoman_docker.protocol.patterns import TagChoice
from repoman_docker.sections import DockerHostedSection, DockerHostedStorageSection
from repoman_docker.service import DockerRepository
from repoman_docker.v1.images import open_images
from repoman_docker.v1.pushes import open_pushes


def build_hosted(context: RepositoryContext) -> Built:
    """Return the services of a hosted repository."""
    docker = context.config.section("docker", DockerHostedSection)
    policy = _policy_of(context, docker)
    trash = Trash(context.content, docker.undo_days)
    blobs = HostedBlobs(context.content, policy)
    manifests = HostedManifests(context.content, context.blobs, policy, docker, trash.discard)
    check_tag = policy.check_delete if policy.has_immutable else None
    deletion = Deletion(context.content, policy.read_only, check_tag, trash.discard)
    lists = HostedLists(context.content)
    images = open_images(context, manifests, blobs, lists.tags)
    pushes = open_pushes(context, policy, manifests, images, trash.discard)

    def drop_incomplete(now: float, idle_s: float, check_stop: Callable[[], None]) -> int:
        uploads = context.uploads.end_idle(now - idle_s, check_stop)
        return uploads + pushes.drop_old(now, idle_s, check_stop)

    service = DockerRepository(
        settings=docker,
        blobs=blobs,
        uploads=HostedUploads(context.content, context.blobs, context.uploads, policy),
        manifests=manifests,
        lists=lists,
        search=HostedSearch(context.content),
        v1_images=images,
        v1_pushes=lambda _: pushes,
        namespaces=docker.stands_for,
        drop_incomplete=drop_incomplete,
        undo=HostedUndo(context.content, manifests, policy, trash, docker.undo_days),
        delete_unneeded=deletion.delete_unneeded,
    )
    return Built(service, _capabilities(context, docker, policy, deletion))


def _policy_of(context: RepositoryContext, docker: DockerHostedSection) -> DeploymentPolicy:
    storage = context.config.section("storage", DockerHostedStorageSection)
    return DeploymentPolicy(
        context.config.name,
        storage.write_policy,
        redeploy_latest=storage.redeploy_latest,
        immutable=TagChoice(docker.immutable_tags),
    )


def _capabilities(
    context: RepositoryContext,
    docker: DockerHostedSection,
    policy: DeploymentPolicy,
    deletion: Deletion,
) -> Capabilities:
    collector = HostedCollector(context.config.id, context.content, docker)
    return Capabilities(
        collector=collector,
        delete_component=deletion.delete_component,
        delete_asset=deletion.delete_asset,
        deletion_note=NOTE,
        protection=policy.protection if policy.has_immutable else None,
        undo_days=docker.undo_days,
        version_space=partial(version_space, context.config.id),
        upload_sessions=context.uploads,
    )
