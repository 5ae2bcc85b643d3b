"""What becomes of repositories whose format is uninstalled: they stay, and come back with it."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from click.testing import CliRunner

from repoman.cli import cli
from repoman.errors import RepomanError
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.testing.formats.base import FormatTests
from repoman.testing.formats.faces import REST, install_plugins
from repoman.testing.formats.hosted import Told, compact
from repoman.testing.formats.remote import RemoteServer
from repoman.testing.formats.samples import Sample
from repoman.testing.formats.site import Settings, Site
from repoman.testing.processes import run_in_process

HOSTED, MIRROR, GROUP = "own", "mirror", "whole"
PAGES = (
    "/browse",
    f"/browse/{HOSTED}",
    f"/browse/{HOSTED}/paths",
    f"/browse/{HOSTED}/activity",
    f"/browse/{MIRROR}",
    f"/browse/{GROUP}",
    "/search?q=demo",
    "/admin/repositories",
    f"/admin/repositories/{HOSTED}",
    "/admin/information",
    "/",
    f"{REST}/repositories",
    f"{REST}/repositories/{HOSTED}",
    f"{REST}/repositorySettings",
    f"{REST}/components?repository={HOSTED}",
    f"{REST}/assets?repository={HOSTED}",
    f"{REST}/search?q=demo",
    f"{REST}/metrics/prometheus",
    "/api/v1/audit",
    "/api/v1/events",
)


class AbsenceTests(FormatTests):
    """Tests of a format that is uninstalled and installed again."""

    def test_absence_keeps_everything_and_it_comes_back(
        self, tmp_path: Path, remote_files: RemoteServer
    ) -> None:
        _, cached = self._files()
        remote_files.files = dict(self.remote([cached]))
        assert run_in_process(self.fill_with_the_format, tmp_path, remote_files.url) == ""
        assert run_in_process(self.look_without_the_format, tmp_path) == ""
        assert run_in_process(self.use_the_format_again, tmp_path) == ""

    def _files(self) -> tuple[Sample, Sample]:
        """Return a file that is stored, and one of the remote."""
        return self.make("ours", "1.0.0"), self.samples()[0]

    def fill_with_the_format(self, directory: Path, url: str) -> None:
        """Make repositories with content."""
        self._fill(self.start(directory), url, *self._files())

    def look_without_the_format(self, directory: Path) -> None:
        """Check what is told and kept."""
        site, files = self.start(directory, is_installed=False), self._files()
        self._check_told(site, files[0])
        self._check_kept(site, *files)
        site.repoman.stop()
        self._check_commands(directory / "data", site.plugins)

    def use_the_format_again(self, directory: Path) -> None:
        """Check that all is back, and delete it."""
        site, (own, cached) = self.start(directory), self._files()
        for name, sample in ((HOSTED, own), (MIRROR, cached), (GROUP, own), (GROUP, cached)):
            assert self.is_named(site.client(name), sample), name
        new = self.make("ours", "2.0.0")
        self.store(site.client(HOSTED), new)
        assert self.is_named(site.client(GROUP), new)
        site.repoman.repositories.delete(GROUP)
        site.repoman.repositories.delete(HOSTED)

    def _fill(self, site: Site, url: str, own: Sample, cached: Sample) -> None:
        """Make repositories of all types, with content and a policy that would remove it."""
        site.create(f"{self.name}-hosted", name=HOSTED)
        proxy: Settings = {
            "proxy": {"remote_url": url},
            "http_client": {"auto_block": False, "retries": 0},
        }
        site.create(f"{self.name}-proxy", proxy, name=MIRROR)
        site.create(f"{self.name}-group", {"group": {"members": [HOSTED, MIRROR]}}, name=GROUP)
        self.store(site.client(HOSTED), own)
        self.keep(site.client(MIRROR), cached.path)
        assert self.is_named(site.client(GROUP), cached)
        policy = CleanupPolicy("all", asset_regex=".*")
        site.repoman.cleanup_policies.create(policy)
        for name in (HOSTED, MIRROR):
            settings = {"cleanup": {"policy_names": ["all"]}}
            site.repoman.repositories.update(name, settings)
        site.repoman.stop()

    def _check_told(self, site: Site, own: Sample) -> None:
        """Check that clients, pages and REST say what is missing."""
        told = f"The format '{self.name}' is not installed."
        for name in (HOSTED, MIRROR, GROUP):
            assert site.repoman.repositories.get(name).problem == told
            client = site.client(name)
            for path in (own.path, *self.documents(own)):
                answer = client.get(path)
                assert (answer.status_code, told in answer.text) == (503, True)
            assert self.upload(client, own).status_code == 503
            assert client.as_user(None).get(own.path).status_code in (401, 404, 503)
        for path in PAGES:
            answer = site.http.get(path, follow_redirects=True)
            assert answer.status_code < 500 or answer.status_code == 503, (path, answer.text)
        for name in (HOSTED, MIRROR, GROUP):
            assert "is not installed" in site.http.get(f"/browse/{name}").text
        listed = {each["name"] for each in site.rest(f"{REST}/repositories").json}  # type: ignore[union-attr]
        assert {HOSTED, MIRROR, GROUP} <= listed
        assert "not installed" in site.http.get("/admin/information").text
        recipe = f"{self.name}-hosted"
        assert site.http.get(f"/admin/repositories/-/new/{recipe}").status_code == 404

    def _check_kept(self, site: Site, own: Sample, cached: Sample) -> None:
        """Have everything done that removes something, and check that all is there."""
        rows = [site.rows(name) for name in (HOSTED, MIRROR)]
        repoman, told = site.repoman, Told()
        repoman.cleaner.run(told)
        repoman.sweep()
        for task in repoman.tasks.all():
            with suppress(RepomanError):  # It is disabled, or of the plugin itself.
                repoman.make_runner().execute(repoman.tasks.run(task))
        for _ in range(2):
            compact(site)
        assert [site.rows(name) for name in (HOSTED, MIRROR)] == rows
        assert 0 not in rows
        for each in (own, cached):
            assert site.has_blob(hashlib.sha256(each.data).hexdigest())

    def _check_commands(self, data: Path, plugins: Mapping[str, object]) -> None:
        """Check that the command line tells of it, and goes on."""
        install_plugins(plugins)
        for words in (["repo", "list"], ["repo", "show", HOSTED], ["export"], ["cleanup", "list"]):
            done = CliRunner().invoke(cli, [*words, "--data", str(data)])
            assert done.exit_code == 0, (words, done.output, done.exception)
        listed = CliRunner().invoke(cli, ["repo", "list", "--data", str(data)]).output
        assert "is not installed" in listed, listed
