"""The format does what all formats do."""

import hashlib
import io

from repoman.testing import FormatSuite, RemoteFile, Sample
from repoman_maven2 import index, plugin


class TestMaven(FormatSuite):
    name = "maven2"
    rest_name = "maven"  # As clients of the settings know it: the format has another name there.
    plugin = plugin
    replaces = False
    has_digests = True
    shadows = False
    puts = True
    takes_forms = True
    versions = (  # In the order of org.apache.maven.artifact.versioning.ComparableVersion.
        *("0.9", "1.0-alpha-1", "1.0-alpha-2", "1.0-beta-2", "1.0-m3", "1.0-rc1", "1.0-cr2"),
        *("1.0-SNAPSHOT", "1.0", "1.0-sp1", "1.0-foo", "1.0-jre", "1-1", "1.0.1-SNAPSHOT"),
        *("1.0.1", "1.2", "1.10", "2.0.CR1", "2.0.Final", "2.0.1", "31.1-android", "31.1-jre"),
        "2024.1",
    )

    def make(self, package, version, content=""):
        path = f"org/acme/{package}/{version}/{package}-{version}.jar"
        return Sample(path, f"{path} {content}".encode(), f"org.acme:{package}", version)

    def documents(self, sample):
        folder = "/".join(sample.path.split("/")[:-2])
        return {f"{folder}/maven-metadata.xml": f"<version>{sample.version}</version>"}

    def remote(self, samples):
        files = {f"/{each.path}": RemoteFile(each.data) for each in samples}
        for each in samples:
            files[f"/{each.path}.sha1"] = RemoteFile(hashlib.sha1(each.data).hexdigest().encode())
            [path] = self.documents(each)
            versions = tuple(other.version for other in samples if other.name == each.name)
            body = index.render(each.name, "", index.Index("20260101000000", versions))
            files[f"/{path}"] = RemoteFile(body, "application/xml")
        return files

    def form(self, sample):
        return {
            "maven2.groupId": "org.acme",
            "maven2.artifactId": sample.name.partition(":")[2],
            "maven2.version": sample.version,
            "maven2.asset1": (io.BytesIO(sample.data), "any.jar"),
            "maven2.asset1.extension": "jar",
        }

    def refused(self):
        good = self.samples()[0]
        paths = ("a.txt", "org/acme/demo/1.0/other-1.0.jar", "org/äcme/demo/1.0/demo-1.0.jar")
        return [Sample(path, good.data) for path in (*paths, f"{good.path}.sha1")]

    def twins(self, sample):
        return [sample.path.upper(), sample.path.replace("acme", "Acme"), f"{sample.path}/"]
