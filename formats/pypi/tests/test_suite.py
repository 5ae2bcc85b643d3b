"""The format does what all formats do."""

import hashlib
import io
import json
from collections import defaultdict

from formats.pypi.tests.conftest import BOUNDARY, JSON, encode, make_wheel
from repoman.testing import FormatSuite, RemoteFile, Sample, zip_bombs
from repoman_pypi import plugin


class TestPyPI(FormatSuite):
    name = "pypi"
    plugin = plugin
    replaces = False
    has_digests = True
    media_types = ("text/html", JSON)
    links = r'href="([^"]+)"'
    versions = (
        *("0.1", "0.9", "0.10", "1.0.dev1", "1.0a1.dev2", "1.0a1", "1.0a2", "1.0b1", "1.0rc1.dev3"),
        *("1.0rc1", "1.0", "1.0+abc", "1.0+local.1", "1.0+9", "1.0+10", "1.0.post1.dev1"),
        *("1.0.post1", "1.0.1", "1.1", "1.10", "2.0.0rc1", "2", "10.0", "2024.1", "1!0.5"),
    )
    takes_forms = True

    def make(self, package, version, content=""):
        filename = f"{package}-{version}-py3-none-any.whl"
        data = make_wheel(package, version, **({"content": content} if content else {}))
        return Sample(f"packages/{package}/{version}/{filename}", data, package, version)

    def bombs(self, sample):
        text = f"Metadata-Version: 2.1\nName: {sample.name}\nVersion: {sample.version}\n"
        return zip_bombs(f"{sample.name}-{sample.version}.dist-info/METADATA", text.encode())

    def upload(self, client, sample):
        filename = sample.path.rpartition("/")[2]
        fields = {
            ":action": "file_upload",
            "name": sample.name,
            "version": sample.version,
            "sha256_digest": hashlib.sha256(sample.data).hexdigest(),
        }
        return client.post(
            "",
            data=encode(fields, [("content", filename, sample.data)]),
            content_type=f"multipart/form-data; boundary={BOUNDARY}",
        )

    def documents(self, sample):
        return {f"simple/{sample.name}/": sample.path.rpartition("/")[2]}

    def remote(self, samples):
        pages, files = defaultdict(list), {}
        for each in samples:
            filename = each.path.rpartition("/")[2]
            digest = hashlib.sha256(each.data).hexdigest()
            pages[each.name].append(
                {"filename": filename, "url": f"/files/{filename}", "hashes": {"sha256": digest}}
            )
            files[f"/files/{filename}"] = RemoteFile(each.data)
        meta = {"api-version": "1.0"}
        for name, links in pages.items():
            page = {"meta": meta, "name": name, "files": links}
            files[f"/simple/{name}/"] = RemoteFile(json.dumps(page).encode(), JSON)
        return files

    def form(self, sample):
        return {"pypi.asset": (io.BytesIO(sample.data), sample.path.rpartition("/")[2])}

    def refused(self):
        good = self.samples()[0]
        return [
            Sample(good.path, b"no archive", good.name, good.version),
            Sample(good.path, good.data, "other", good.version),
            Sample(good.path, good.data, good.name, "9.9"),
            Sample("packages/demo/1/demo.txt", b"text", "demo", "1"),
            Sample("packages/demo/1/..%2f", good.data, "demo", "1.0.0"),
            Sample(good.path, good.data, "../x", "1.0.0"),
            Sample(good.path, good.data, "demo\n", "1.0.0"),
        ]

    def twins(self, sample):
        return [
            "simple/Demo/",
            "simple/demo",
            "simple/DEMO",
            sample.path.upper(),
            "simple/d%C3%A9mo/",
        ]
