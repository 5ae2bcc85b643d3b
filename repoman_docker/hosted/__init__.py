"""Hosted Docker repositories: images that clients push."""

from collections.abc import Callable

from repoman.plugin import Built, Capabilities, RepositoryContext, UploadSessions
from repoman_docker.hosted.blobs import HostedBlobs, HostedUploads
from repoman_docker.hosted.collection import HostedCollector
from repoman_docker.hosted.deletion import Deletion
from repoman_docker.hosted.lists import HostedLists, HostedSearch
from repoman_docker.hosted.manifests import HostedManifests
from repoman_docker.hosted.policy import DeploymentPolicy
from repoman_docker.sections import DockerHostedSection, DockerHostedStorageSection
from repoman_docker.service import DockerRepository
from repoman_docker.v1.images import open_images
from repoman_docker.v1.pushes import open_pushes


def build_hosted(context: RepositoryContext) -> Built:
    """Return the services of a hosted repository."""
    docker = context.config.section("docker", DockerHostedSection)
    storage = context.config.section("storage", DockerHostedStorageSection)
    policy = DeploymentPolicy(
        context.config.name, storage.write_policy, redeploy_latest=storage.redeploy_latest
    )
    blobs = HostedBlobs(context.content, policy)
    manifests = HostedManifests(context.content, context.blobs, policy, docker)
    lists = HostedLists(context.content)
    images = open_images(context, manifests, blobs, lists.tags)
    pushes = open_pushes(context, policy, manifests, images)

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
    )
    deletion = Deletion(context.content, policy.read_only)
    collector = HostedCollector(context.config.id, context.content, docker)
    return Built(service, _capabilities(deletion, context.uploads, collector))


def _capabilities(
    deletion: Deletion, uploads: UploadSessions, collector: HostedCollector
) -> Capabilities:
    return Capabilities(
        collector=collector,
        delete_component=deletion.delete_component,
        delete_asset=deletion.delete_asset,
        upload_sessions=uploads,
    )
