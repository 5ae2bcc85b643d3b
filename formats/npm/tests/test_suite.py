"""The format does what all formats do."""

import io
import json
from random import Random

from formats.npm.tests.conftest import SHORT, make_document, make_tarball
from repoman.testing import FormatSuite, RemoteFile, Sample, tar_bombs
from repoman_npm import plugin


class TestNpm(FormatSuite):
    name = "npm"
    plugin = plugin
    replaces = False
    has_digests = True
    media_types = ("application/json", SHORT)
    links = r'"tarball": ?"([^"]+)"'
    versions = (
        *("0.9.9", "1.0.0-0", "1.0.0-2", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1"),
        *("1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1"),
        *("1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0-nightly.20260101", "2.0.0-rc", "2.0.0"),
        *("2.1.0-0", "2.1.0", "10.0.0"),
    )
    takes_forms = True

    # A version is published once, with any bytes: see test_publishing.
    test_hosted_the_same_file_again_changes_nothing = None

    def make(self, package, version, content=""):
        path = f"{package}/-/{package}-{version}.tgz"
        return Sample(path, make_tarball(package, version, content), package, version)

    def make_big(self, size):
        data = make_tarball("big", "1.0.0", **{"package/data": Random(0).randbytes(size)})
        return Sample("big/-/big-1.0.0.tgz", data, "big", "1.0.0")

    def bombs(self, sample):
        return tar_bombs("package/package.json")

    def upload(self, client, sample):
        document = make_document(sample.name, sample.version, sample.data)
        return client.put(sample.name, json.dumps(document).encode())

    def documents(self, sample):
        return {sample.name: sample.path}

    def remote(self, samples):
        packuments, files = {}, {}
        for each in samples:
            sent = make_document(each.name, each.version, each.data)
            [manifest] = sent["versions"].values()
            manifest["dist"]["tarball"] = f"/files/{each.path}"
            known = packuments.setdefault(each.name, {"name": each.name, "versions": {}})
            known["versions"][each.version] = manifest
            known["dist-tags"] = {"latest": each.version}
            files[f"/files/{each.path}"] = RemoteFile(each.data)
        for name, packument in packuments.items():
            body = json.dumps(packument).encode()
            files[f"/{name}"] = RemoteFile(body, "application/json")
        return files

    def form(self, sample):
        return {"npm.asset": (io.BytesIO(sample.data), "package.tgz")}

    def refused(self):
        good = self.samples()[0]
        return [
            Sample(good.path, good.data, good.name, "1.0"),
            Sample(good.path, good.data, good.name, "../1.0.0"),
            Sample(good.path, good.data, "Demo", "1.0.0"),
            Sample(good.path, good.data, "../x", "1.0.0"),
            Sample(good.path, good.data, "demo\n", "1.0.0"),
            Sample(good.path, good.data, "-", "1.0.0"),
        ]

    def twins(self, sample):
        return ["Demo", "DEMO", "d%C3%A9mo", sample.path.upper(), f"{sample.path}/"]
