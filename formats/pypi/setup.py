"""The distribution ``repoman-pypi``; install it into the environment of the server."""

from setuptools import find_packages, setup

setup(
    name="repoman-pypi",
    version="0.1.0",
    description="Repositories of Python packages for repoman",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["repoman_pypi", "repoman_pypi.*"]),
    package_data={"repoman_pypi": ["py.typed"]},
    entry_points={"repoman.plugins": ["pypi = repoman_pypi.plugin"]},
    install_requires=["packaging>=23"],
    # repoman-server is not in install_requires: it is installed already in the server's
    # environment, and a package index may have an unrelated project with that name.
    zip_safe=False,
)
