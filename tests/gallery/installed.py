"""A server with the gallery as an installed plugin."""

import os
from pathlib import Path

from tests.architecture import ROOT
from tests.live import LiveServer


def gallery_server(directory: Path) -> LiveServer:
    """A server that is not started yet, in a directory of its own."""
    installed = directory / "plugins" / "gallery-1.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: gallery\nVersion: 1\n")
    (installed / "entry_points.txt").write_text(
        "[repoman.plugins]\ngallery = tests.gallery.plugin\n"
    )
    server = LiveServer(directory)
    server.environment["PYTHONPATH"] = os.pathsep.join([str(installed.parent), str(ROOT)])
    return server
