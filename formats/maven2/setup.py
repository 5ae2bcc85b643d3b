"""The distribution ``repoman-maven2``; install it into the environment of the server."""

from setuptools import find_packages, setup

setup(
    name="repoman-maven2",
    version="0.1.0",
    description="Repositories of Maven artifacts for repoman",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["repoman_maven2", "repoman_maven2.*"]),
    package_data={"repoman_maven2": ["py.typed"]},
    entry_points={"repoman.plugins": ["maven2 = repoman_maven2.plugin"]},
    # repoman-server is not in install_requires: it is installed already in the server's
    # environment, and a package index may have an unrelated project with that name.
    zip_safe=False,
)
