"""The only distribution of the product: the core, the Docker format and the web pages.

``conf/`` holds data only. It is installed as ``repoman.conf``, so that the wheel contains the
default configuration; no module imports it.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def read_version() -> str:
    """Return the ``__version__`` of the package without importing it."""
    text = (ROOT / "repoman" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("repoman/__init__.py has no __version__.")
    return found[1]


TEST = [
    "axe-playwright-python>=0.1.4",
    "hypothesis>=6.100",
    "nexus-api-client>=3.97",
    "oras>=0.2.40",
    "playwright>=1.45",
    "pytest>=8.3",
    "pytest-randomly>=3.15",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
    "schemathesis>=4.0",
    "setuptools>=68",
    "wheel>=0.43",
]

setup(
    # Not "repoman", which is an unrelated project on the Python Package Index.
    name="repoman-server",
    version=read_version(),
    description="A repository manager with a private Docker registry",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[
        *find_packages(include=["repoman", "repoman.*", "repoman_docker", "repoman_docker.*"]),
        *find_packages("web"),
        "repoman.conf",
    ],
    package_dir={"repoman_web": "web/repoman_web", "repoman.conf": "conf"},
    package_data={
        "": ["py.typed", "templates/**/*", "static/**/*"],
        "repoman.conf": ["*.toml", "examples/*"],
        "repoman.db": ["migrations/*.py"],  # scripts that are loaded by path
    },
    entry_points={
        "console_scripts": ["repoman = repoman.cli:main"],
        "repoman.plugins": ["docker = repoman_docker.plugin", "web = repoman_web.plugin"],
    },
    install_requires=[
        "apscheduler>=3.10,<4",
        "argon2-cffi>=23.1",
        "click>=8.1",
        "cryptography>=42",
        "flask>=3.0",
        "flask-swagger-ui>=5.21",
        "flask-wtf>=1.2",
        "google-re2>=1.1",
        "jinja2>=3.1",
        "ldap3>=2.9.1",
        "peewee>=4.5",
        "pluggy>=1.5",
        "pyjwt>=2.10",
        "pydantic>=2.7",
        "pydantic-settings>=2.3",
        "pyyaml>=6.0",
        "requests>=2.32",
        "waitress==3.0.2",
        "zstandard>=0.22",
        "wtforms>=3.1",
    ],
    extras_require={
        "test": TEST,
        "dev": [*TEST, "mypy>=1.11", "ruff>=0.6", "types-pyyaml>=6.0", "types-requests>=2.32"],
    },
    zip_safe=False,
)
