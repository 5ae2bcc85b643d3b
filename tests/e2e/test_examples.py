"""The examples in conf/examples are taken by the programs they are for, without a warning."""

import re
import subprocess
from pathlib import Path

from tests.programs import find_program
from tests.server.certificates import Certificate

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "conf" / "examples"
EXPOSURE_MAX = 30  # Tenths of the level that systemd-analyze gives.
# What Debian's own nginx.conf sets before it includes the example.
DEBIAN = """
sendfile on;
tcp_nopush on;
types_hash_max_size 2048;
ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
ssl_prefer_server_ciphers on;
gzip on;
"""


def run(*command):
    done = subprocess.run(
        list(map(str, command)), check=False, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def test_the_unit_exposes_little_of_the_system():
    status, text = run(
        find_program("systemd-analyze"),
        *("security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_MAX}"),
        EXAMPLES / "repoman.service",
    )
    assert status == 0, text


def test_the_unit_is_one_that_systemd_understands():
    _, text = run(find_program("systemd-analyze"), "verify", EXAMPLES / "repoman.service")
    own = [line for line in text.splitlines() if "repoman.service:" in line]
    assert [line for line in own if "is not executable" not in line] == []


def test_the_unit_reloads_and_says_how_to_use_a_port_below_1024():
    text = (EXAMPLES / "repoman.service").read_text(encoding="utf-8")
    assert "ExecReload=/bin/kill -HUP $MAINPID" in text
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in text


def test_nginx_takes_the_example_beside_the_settings_of_debian(tmp_path):
    certificate = Certificate(tmp_path, "registry.example.com")
    example = (EXAMPLES / "nginx.conf").read_text(encoding="utf-8")
    example = example.replace("/etc/nginx/repoman.crt", str(certificate.path))
    example = example.replace("/etc/nginx/repoman.key", str(certificate.key_path))
    file = tmp_path / "nginx.conf"
    file.write_text(
        f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n"
        f"{DEBIAN}{example}}}\n"
    )
    status, text = run(find_program("nginx"), "-t", "-p", tmp_path, "-c", file)
    assert status == 0, text
    assert "[warn]" not in text


def test_our_own_packages_are_installed_by_their_path():
    """A package index may have a stranger's project of the same name."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *EXAMPLES.iterdir()]
    pages += [*ROOT.glob("formats/*/README.md"), *ROOT.glob("web/repoman_web/templates/**/*.html")]
    found = [
        word
        for page in pages
        for line in re.findall(r"pip install ([^\n`]*)", page.read_text(encoding="utf-8"))
        for word in line.split()
        if word.startswith(("repoman", "'repoman"))
    ]
    assert [word for word in found if not word.endswith(".whl")] == []
    assert [word for word in found if not word.startswith("repoman_")] == []
