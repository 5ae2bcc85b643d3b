"""The format does what all formats do, as far as it has the same."""

import hashlib
import json
from typing import ClassVar

from repoman.testing import FormatSuite, RemoteFile, Sample
from repoman_docker import plugin

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class TestDocker(FormatSuite):
    name = "docker"
    plugin = plugin
    shadows = False
    has_digests = True
    documents_have_tags = False
    open_routes = ("get_token", "post_token")
    # Tests of its own say what this format does here.
    test_hosted_what_is_deleted_is_gone_everywhere_and_frees_its_bytes = None  # the collector frees
    test_hosted_the_same_file_again_changes_nothing = None  # a push of a tag is a change
    test_proxy_what_is_not_there_is_not_asked_for_again = None  # lists of tags are
    test_face_what_is_kept_beside_files_is_not_shown = None  # nothing is kept beside its files
    blobs: ClassVar[dict] = {}

    def make(self, package, version, content=""):
        config = json.dumps({"architecture": "amd64", "os": "linux", "v": version}).encode()
        layer = f"{package} {version} {content}".encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": describe(CONFIG, config),
            "layers": [describe(LAYER, layer)],
        }
        data = json.dumps(manifest).encode()
        self.blobs[data] = (config, layer)
        return Sample(f"v2/{package}/manifests/{version}", data, package, version)

    def make_big(self, size):
        layer = b"x" * size
        self.blobs[layer] = (layer,)
        return Sample(f"v2/big/blobs/{digest_of(layer)}", layer, "big")

    def upload(self, client, sample):
        for each in self.blobs[sample.data]:
            path = f"v2/{sample.name}/blobs/uploads/?digest={digest_of(each)}"
            options = {"data": each, "content_type": "application/octet-stream"}
            answer = client.post(path, **options)
            if answer.status_code != 201 or each is sample.data:
                return answer
        return client.put(sample.path, sample.data, content_type=MANIFEST)

    def rest_settings(self, type_):
        more = {"dockerProxy": {"indexType": "HUB"}} if type_ == "proxy" else {}
        return {"docker": {"v1Enabled": False, "forceBasicAuth": True}, **more}

    def documents(self, sample):
        return {f"v2/{sample.name}/tags/list": f'"{sample.version}"'}

    def remote(self, samples):
        files, tags = {"/v2/": RemoteFile(b"{}", "application/json")}, {}
        for each in samples:
            root = f"/v2/{each.name}"
            if not each.version:  # a blob alone
                files[f"/{each.path}"] = RemoteFile(each.data)
                continue
            tags.setdefault(each.name, []).append(each.version)
            digest = digest_of(each.data)
            manifest = RemoteFile(each.data, MANIFEST, {"Docker-Content-Digest": digest})
            files |= {f"{root}/manifests/{key}": manifest for key in (each.version, digest)}
            for blob in self.blobs[each.data]:
                files[f"{root}/blobs/{digest_of(blob)}"] = RemoteFile(blob)
        for name, found in tags.items():
            body = json.dumps({"name": name, "tags": found}).encode()
            files[f"/v2/{name}/tags/list"] = RemoteFile(body, "application/json")
        return files


def describe(media_type, data):
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}
