"""The images of a group for V1 clients: those of the first member that has them."""

from repoman.plugin import first_found
from repoman_docker.group.members import Member, Members, is_absence
from repoman_docker.protocol.reference import Tag
from repoman_docker.service import V1Image, Visible


class GroupImages:
    """Asks the members in order."""

    def __init__(self, members: Members) -> None:
        self._members = members

    def tag(self, name: str, tag: Tag) -> str:
        """See :class:`repoman_docker.service.V1Images`."""
        members = self._members.for_image(name)
        named = [(each.repository.name, each.service.v1_images) for each in members]
        return first_found(named, lambda images: images.tag(name, tag), is_absence)[1]

    def tags(self, name: str, limit: int) -> dict[str, str]:
        """See :class:`repoman_docker.service.V1Images`."""
        members = self._members.for_image(name)
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

        def find(member: Member) -> V1Image:
            return member.service.v1_images.find(image_id, self._serving(member, is_visible))

        return first_found(named, find)[1]

    def _serving(self, member: Member, is_visible: Visible) -> Visible:
        return lambda name: is_visible(name) and self._members.serves(member, name)
