"""Docker groups: several repositories behind one address.

Calls go to the services of the members, whatever their type. Members that store their own bytes
are asked before those that would have to fetch them.
"""

from dataclasses import replace

from repoman.plugin import (
    Built,
    Capabilities,
    GroupSection,
    GroupTrace,
    MemberPool,
    RepositoryContext,
    RoutingSection,
)
from repoman_docker.group.members import DockerMembers, parse_question
from repoman_docker.group.services import (
    GroupBlobs,
    GroupImageSearch,
    GroupLists,
    GroupManifests,
    GroupUploads,
    GroupV1Images,
)
from repoman_docker.sections import DockerSection
from repoman_docker.service import DockerRepository


def build_group(context: RepositoryContext) -> Built:
    """Return the services of a group."""
    members = DockerMembers(
        context.config.name,
        context.config.section("group", GroupSection),
        context.config.section("routing", RoutingSection),
        context.find_repository,
        MemberPool(),
    )
    whole = DockerRepository(
        settings=context.config.section("docker", DockerSection),
        blobs=GroupBlobs(members),
        uploads=GroupUploads(members),
        manifests=GroupManifests(members),
        lists=GroupLists(members),
        search=GroupImageSearch(members),
        v1_images=GroupV1Images(members),
        v1_pushes=lambda name: members.writable(name).v1_pushes(name),
        names=members.names,
        builds_on=members.builds_on,
    )
    service = replace(whole, view=lambda registry: _mirror(whole, members, registry))
    return Built(service, Capabilities(trace=GroupTrace(members, parse_question)))


def _mirror(
    whole: DockerRepository, members: DockerMembers, registry: str
) -> DockerRepository | None:
    """Return the view of a group for clients that mean a certain registry: only its mirrors.

    If the settings of the group name the registry and no member mirrors it, the view has all
    members.
    """
    registry = registry.lower()
    stands_for = whole.settings.stands_for
    if stands_for is not None and registry not in stands_for:
        return None
    mirrors = replace(members, namespace=registry)
    if stands_for is not None and not members.has_mirror(registry):
        mirrors = members
    elif not any(mirrors.all()):
        return None
    return replace(
        whole,
        blobs=GroupBlobs(mirrors),
        uploads=GroupUploads(mirrors),
        manifests=GroupManifests(mirrors),
        lists=GroupLists(mirrors),
        namespaces=frozenset({registry}),
        names=mirrors.names,
        view=None,
    )
