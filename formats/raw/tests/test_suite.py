"""The format does what all formats do."""

from io import BytesIO

from repoman.testing import FormatSuite, Sample
from repoman_raw import plugin


class TestRaw(FormatSuite):
    name = "raw"
    plugin = plugin
    shadows = False
    puts = True
    takes_forms = True

    def make(self, package, version, content=""):
        path = f"{package}/{package}-{version}.txt"
        return Sample(path, f"{package} {version} {content}".encode())

    def form(self, sample):
        directory, _, filename = sample.path.rpartition("/")
        return {
            "raw.directory": f"/{directory}",
            "raw.asset1": (BytesIO(sample.data), filename),
            "raw.asset1.filename": filename,
        }
