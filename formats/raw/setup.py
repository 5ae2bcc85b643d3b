"""The distribution ``repoman-raw``; install it into the environment of the server."""

from setuptools import find_packages, setup

setup(
    name="repoman-raw",
    version="0.1.0",
    description="Repositories of plain files for repoman",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["repoman_raw", "repoman_raw.*"]),
    package_data={"repoman_raw": ["py.typed"]},
    entry_points={"repoman.plugins": ["raw = repoman_raw.plugin"]},
    # repoman-server is not in install_requires: it is installed already in the server's
    # environment, and a package index may have an unrelated project with that name.
    zip_safe=False,
)
