"""What groups of every format do: one address, in the order of the members, without confusion."""

import re
from dataclasses import dataclass

import pytest

from repoman.testing.formats.base import LONG_S, FormatTests
from repoman.testing.formats.remote import RemoteServer
from repoman.testing.formats.site import RepositoryClient, Site


@dataclass(frozen=True)
class Group:
    """A group of a hosted repository and a proxy, in this order."""

    name: str
    own: str
    mirror: str
    client: RepositoryClient


class GroupTests(FormatTests):
    """Tests of groups."""

    @pytest.fixture
    def group(self, site: Site, hosted: str, mirror: str) -> Group:
        """Return a group, whose hosted repository takes what is written."""
        members = {"members": [hosted, mirror], "writable_member": hosted}
        name = site.create(f"{self.name}-group", {"group": members})
        return Group(name, hosted, mirror, site.client(name))

    @pytest.mark.parametrize("way", ["main", "connector"])
    def test_group_has_what_its_members_have(self, site: Site, group: Group, way: str) -> None:
        client = site.client(group.name, way)
        own = self.make("ours", "1.0.0")
        self.store(site.client(group.own), own)
        assert self.is_named(client, own)
        first, second, absent = self.samples()
        assert self.is_named(client, first)
        assert self.is_named(client, second)
        assert not self.is_named(client, absent)

    def test_group_head_is_get_without_the_bytes(self, group: Group) -> None:
        sample = self.samples()[0]
        self.keep(group.client, sample.path)
        for path in (sample.path, *self.documents(sample)):
            got, head = group.client.get(path), group.client.head(path)
            assert (head.status_code, head.data) == (200, b"")
            assert head.headers.get("ETag") == got.headers.get("ETag")
        for path in self.tagged(sample):
            got = group.client.get(path)
            tagged = group.client.get(path, headers={"If-None-Match": got.headers["ETag"]})
            assert tagged.status_code == 304

    def test_group_sees_a_change_of_a_member_at_once(self, site: Site, group: Group) -> None:
        first, second = self.make("ours", "1.0.0"), self.make("ours", "1.1.0")
        self.store(site.client(group.own), first)
        assert self.is_named(group.client, first)
        assert not self.is_named(group.client, second)
        self.store(site.client(group.own), second)
        assert self.is_named(group.client, second)

    def test_group_the_first_member_wins(self, site: Site, group: Group) -> None:
        ours = self.samples("ours")[0]
        assert self.is_named(group.client, self.samples()[0])
        self.store(site.client(group.own), ours)
        assert self.is_named(group.client, ours)

    def test_group_never_asks_a_remote_for_a_name_of_our_own(
        self, site: Site, group: Group, remote_files: RemoteServer
    ) -> None:
        ours, foreign, *_ = self.samples()
        self.store(site.client(group.own), ours)
        remote_files.asked.clear()
        if self.shadows:
            assert self.is_named(group.client, ours)
            assert group.client.get(foreign.path).status_code == 404
            assert remote_files.asked == [] or not any(
                ours.rule_name in each for each in remote_files.asked
            )
        else:
            assert self.is_named(group.client, foreign)

    def test_group_of_groups_never_asks_a_remote_for_a_name_of_our_own(
        self, site: Site, group: Group, remote_files: RemoteServer
    ) -> None:
        if not self.shadows:
            return
        ours, foreign, *_ = self.samples()
        self.store(site.client(group.own), ours)
        other = site.proxy(f"{self.name}-proxy", remote_files.url)
        members = {"members": [group.name, other]}
        outer = site.client(site.create(f"{self.name}-group", {"group": members}))
        remote_files.asked.clear()
        assert self.is_named(outer, ours)
        assert not self.is_named(outer, foreign)
        assert not any(ours.rule_name in each for each in remote_files.asked)

    def test_group_a_name_of_our_own_stays_ours_after_its_last_file(
        self, site: Site, group: Group, remote_files: RemoteServer
    ) -> None:
        if not self.shadows:
            return
        ours, foreign, *_ = self.samples()
        self.store(site.client(group.own), ours)
        delete = site.repoman.repositories.get(group.own).capabilities.delete_asset
        assert delete is not None
        delete(ours.path, lambda _path: None)
        remote_files.asked.clear()
        for each in (ours, foreign):
            assert group.client.get(each.path).status_code == 404
            assert not self.is_named(group.client, each)
        assert not any(ours.rule_name in each for each in remote_files.asked)
        pins = {ours.rule_name: [group.mirror]}
        freed = {"members": [group.own, group.mirror], "pins": pins}
        client = site.client(site.create(f"{self.name}-group", {"group": freed}))
        assert client.get(foreign.path).status_code == 200
        assert self.is_named(client, foreign)

    @pytest.mark.parametrize("state", ["offline", "broken"])
    def test_group_a_name_of_our_own_stays_ours_while_its_member_is_down(
        self, site: Site, group: Group, state: str
    ) -> None:
        if not self.shadows:
            return
        ours, foreign, *_ = self.samples()
        self.store(site.client(group.own), ours)
        members = {"members": [group.name]}
        outer = site.client(site.create(f"{self.name}-group", {"group": members}))
        if state == "offline":
            site.repoman.repositories.update(group.own, {}, is_online=False)
        else:
            own = site.repoman.repositories.get(group.own)
            object.__setattr__(own, "problem", "It does not work.")
        for client in (group.client, outer):
            answer = client.get(foreign.path)
            assert answer.status_code == 503
            assert group.own in answer.text
            for path, text in self.documents(foreign).items():
                assert text not in client.get(path).text
        pins = {ours.rule_name: [group.mirror]}
        reserved = {"members": [group.own, group.mirror], "pins": pins}
        pinned = site.create(f"{self.name}-group", {"group": reserved})
        assert site.client(pinned).get(foreign.path).status_code == 200

    def test_group_a_pin_gives_a_name_to_others_than_its_owner(
        self, site: Site, group: Group
    ) -> None:
        ours, foreign, absent = self.samples()
        self.store(site.client(group.own), absent)
        members = {"members": [group.own, group.mirror], "pins": {ours.rule_name: [group.mirror]}}
        pinned = site.client(site.create(f"{self.name}-group", {"group": members}))
        assert self.is_named(pinned, ours)
        if self.shadows:
            assert self.is_named(pinned, foreign)
            assert not self.is_named(pinned, absent)

    def test_group_a_pin_that_spells_a_name_has_its_members_share_it(
        self, site: Site, group: Group
    ) -> None:
        ours, foreign, _ = self.samples()
        self.store(site.client(group.own), ours)
        pins = {ours.rule_name: [group.own, group.mirror]}
        shared = {"members": [group.own, group.mirror], "pins": pins}
        inner = site.create(f"{self.name}-group", {"group": shared})
        outer = site.create(f"{self.name}-group", {"group": {"members": [inner, group.mirror]}})
        for name in (inner, outer):
            assert self.is_named(site.client(name), ours)
            assert self.is_named(site.client(name), foreign)
        if self.shadows:
            everybody = {"*": [group.own, group.mirror]}
            for wide in (everybody, {**everybody, ours.rule_name: [group.own]}):
                members = {"members": [group.own, group.mirror], "pins": wide}
                client = site.client(site.create(f"{self.name}-group", {"group": members}))
                assert self.is_named(client, ours)
                assert client.get(foreign.path).status_code == 404
            site.repoman.repositories.update(group.own, {}, is_online=False)
            assert site.client(inner).get(foreign.path).status_code == 503
            for path, text in self.documents(foreign).items():
                answer = site.client(inner).get(path)
                assert answer.status_code == 503 or text not in answer.text, path

    def test_group_a_rule_about_packages_leaves_the_documents_about_all(
        self, site: Site, group: Group, remote_files: RemoteServer
    ) -> None:
        sample = self.samples()[0]
        allowed = {"routing": {"mode": "allow", "matchers": [re.escape(sample.rule_name)]}}
        members = {"group": {"members": [group.own, group.mirror]}}
        limited = site.create(f"{self.name}-group", {**members, **allowed})
        mirror = site.proxy(f"{self.name}-proxy", remote_files.url, **allowed)
        for name in (limited, mirror):
            for path, text in self.documents(sample).items():
                answer = site.client(name).get(path)
                assert (answer.status_code, text in answer.text) == (200, True)

    def test_group_writes_to_its_writable_member(self, site: Site, group: Group) -> None:
        new = self.make("fresh", "1.0.0")
        self.store(group.client, new)
        assert self.is_named(site.client(group.own), new)
        assert self.is_named(group.client, new)

    def test_group_without_a_writable_member_takes_nothing(self, site: Site, group: Group) -> None:
        whole = site.create(f"{self.name}-group", {"group": {"members": [group.own]}})
        answer = self.upload(site.client(whole), self.samples()[0])
        assert 400 <= answer.status_code < 500, answer.status
        assert not self.is_named(site.client(group.own), self.samples()[0])

    def test_group_of_groups(self, site: Site, group: Group) -> None:
        outer = site.create(f"{self.name}-group", {"group": {"members": [group.name]}})
        assert self.is_named(site.client(outer), self.samples()[0])

    def test_group_goes_on_while_a_remote_fails(
        self, site: Site, group: Group, remote_files: RemoteServer
    ) -> None:
        own, foreign = self.make("ours", "1.0.0"), self.samples()[0]
        self.store(site.client(group.own), own)
        remote_files.status = 500
        assert self.is_named(group.client, own)
        answer = group.client.get(foreign.path)
        assert answer.status_code >= 500, "an outage is no 404"
        assert answer.status_code != 500
        remote_files.status = 0
        assert self.is_named(group.client, foreign)

    def test_group_marks_what_may_be_incomplete(
        self, site: Site, hosted: str, group: Group, remote_files: RemoteServer
    ) -> None:
        other = site.create(f"{self.name}-hosted")
        sample = self.samples()[0]
        self.store(site.client(other), sample)
        members = {"members": [group.mirror, other]}
        name = site.create(f"{self.name}-group", {"group": members})
        client = site.client(name)
        remote_files.status = 500
        site.clock.jump(LONG_S)
        for path, text in self.documents(sample).items():
            answer = client.get(path)
            assert (answer.status_code, text in answer.text) == (200, True)
            shadowed = self.shadows and sample.name
            assert ("Warning" in answer.headers) or shadowed, path
        remote_files.status = 0
        for path in self.documents(sample):
            assert client.get(path).status_code == 200

    def test_group_tells_where_a_file_comes_from(self, site: Site, group: Group) -> None:
        own, foreign = self.make("ours", "1.0.0"), self.samples()[0]
        self.store(site.client(group.own), own)
        for sample, member in ((own, group.own), (foreign, group.mirror)):
            answer = site.rest(
                f"/api/v1/repositories/{group.name}/trace",
                query_string={"path": f"/{sample.path}"},
            )
            assert answer.status_code == 200, answer.text
            found = {each["member"]: each["outcome"] for each in answer.json["members"]}  # type: ignore[index]
            assert found[member] == "found", found

    def test_group_an_offline_member_is_left_out(self, site: Site, group: Group) -> None:
        own = self.make("ours", "1.0.0")
        self.store(site.client(group.own), own)
        site.repoman.repositories.update(group.mirror, {}, is_online=False)
        assert self.is_named(group.client, own)
        assert group.client.get(self.samples()[0].path).status_code == 404

    def test_group_whose_members_are_all_offline_has_nothing(
        self, site: Site, group: Group
    ) -> None:
        sample = self.samples()[0]
        lonely = site.create(f"{self.name}-group", {"group": {"members": [group.mirror]}})
        site.repoman.repositories.update(group.mirror, {}, is_online=False)
        client = site.client(lonely)
        assert client.get(sample.path).status_code == 404
        for path, text in self.documents(sample).items():
            answer = client.get(path)
            is_empty = answer.status_code == 200 and text not in answer.text
            assert answer.status_code == 404 or is_empty, path
        assert not self.is_named(client, sample)
