"""The images of a group for V1 clients: those of the first member that has them."""

from repoman.plugin import Member, first_found
from repoman_docker.group.members import DockerMembers
from repoman_docker.protocol.reference import Tag
from repoman_docker.service import DockerRepository, V1Image, Visible


class GroupImages:
    """Asks the members in order."""

    def __init__(self, members: DockerMembers) -> None:
        self._members = members

    def tag(self, name: str, tag: Tag) -> str:
        """See :class:`repoman_docker.service.V1Images`."""
        members = self._members.serving(name)
        return self._members.first(members, lambda each: each.v1_images.tag(name, tag))[1]

    def tags(self, name: str, limit: int) -> dict[str, str]:
        """See :class:`repoman_docker.service.V1Images`."""
        members = self._members.serving(name)
        found = self._members.collect(
            members, lambda each: each.service.v1_images.tags(name, limit)
        )
        merged: dict[str, str] = {}
        for tags in reversed(found):
            merged |= tags
        return dict(sorted(merged.items())[:limit])

    def find(self, image_id: str, is_visible: Visible) -> V1Image:
        """See :class:`repoman_docker.service.V1Images`."""
        named = [(each.repository.name, each) for each in self._members.all()]

        def find(member: Member[DockerRepository]) -> V1Image:
            return member.service.v1_images.find(image_id, self._serving(member, is_visible))

        return first_found(named, find)[1]

    def _serving(self, member: Member[DockerRepository], is_visible: Visible) -> Visible:
        return lambda name: is_visible(name) and self._members.serves(member, name)
