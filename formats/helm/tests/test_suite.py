"""The format does what all formats do."""

import hashlib
import io
import json
from random import Random

from formats.helm.tests.conftest import make_chart
from repoman.testing import FormatSuite, RemoteFile, Sample, tar_bombs
from repoman_helm import plugin


class TestHelm(FormatSuite):
    name = "helm"
    plugin = plugin
    replaces = False
    has_digests = True
    puts = True
    takes_forms = True
    links = r'"urls":\["([^"]+)"\]'
    versions = (
        *("0.9.9", "1.0.0-0", "1.0.0-2", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1"),
        *("1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1"),
        *("1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0-nightly.20260101", "2.0.0-rc", "2.0.0"),
        *("2.1.0-0", "2.1.0", "10.0.0"),
    )

    def make(self, package, version, content=""):
        data = make_chart(package, version, f"description: about {content or 'nothing'}\n")
        return Sample(f"{package}-{version}.tgz", data, package, version)

    def make_big(self, size):
        data = make_chart("big", "1.0.0", **{"big/data": Random(0).randbytes(size)})
        return Sample("big-1.0.0.tgz", data, "big", "1.0.0")

    def bombs(self, sample):
        return tar_bombs(f"{sample.name}/Chart.yaml")

    def documents(self, sample):
        return {"index.yaml": f'"{sample.path}"'}

    def remote(self, samples):
        entries = {}
        for each in samples:
            entry = {
                "apiVersion": "v2",
                "name": each.name,
                "version": each.version,
                "digest": hashlib.sha256(each.data).hexdigest(),
                "urls": [f"files/{each.path}"],
            }
            entries.setdefault(each.name, []).append(entry)
        body = json.dumps({"apiVersion": "v1", "entries": entries}).encode()
        files = {f"/files/{each.path}": RemoteFile(each.data) for each in samples}
        return {"/index.yaml": RemoteFile(body, "text/yaml"), **files}

    def form(self, sample):
        return {"helm.asset": (io.BytesIO(sample.data), sample.path)}

    def refused(self):
        good = self.samples()[0]
        return [
            Sample(good.path, b"no archive"),
            Sample("other-1.0.0.tgz", good.data),
            Sample("demo-9.9.9.tgz", good.data),
            Sample("demo.txt", b"text"),
        ]

    def twins(self, sample):
        return [sample.path.upper(), sample.path.replace("demo", "Demo"), f"{sample.path}/"]
