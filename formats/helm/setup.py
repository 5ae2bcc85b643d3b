"""The distribution ``repoman-helm``; install it into the environment of the server."""

from setuptools import find_packages, setup

setup(
    name="repoman-helm",
    version="0.1.0",
    description="Repositories of Helm charts for repoman",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["repoman_helm", "repoman_helm.*"]),
    package_data={"repoman_helm": ["py.typed"]},
    entry_points={"repoman.plugins": ["helm = repoman_helm.plugin"]},
    install_requires=["pyyaml>=6.0"],
    # repoman-server is not in install_requires: it is installed already in the server's
    # environment, and a package index may have an unrelated project with that name.
    zip_safe=False,
)
