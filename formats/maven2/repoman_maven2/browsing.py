"""What pages show of artifacts: lines to copy for mvn and Gradle."""

from html import escape

from repoman.plugin import (
    Snippet,
    UploadGuide,
    UseGuide,
    UseRequest,
    UseSection,
    takes_uploads,
)
from repoman_maven2.layout import SEGMENT

GUIDE = UploadGuide(
    labels={
        "groupId": "Group id",
        "artifactId": "Artifact id",
        "version": "Version",
        "extension": "Extension",
        "classifier": "Classifier",
    },
    hints={"extension": "jar, pom, war", "classifier": "sources, javadoc; usually none"},
)


def guide(asked: UseRequest) -> UseGuide:
    """Return how clients use an artifact, and deploy one where the visitor may."""
    address, id_ = escape(asked.address.rstrip("/")), escape(asked.via.config.name)
    group, _, name = asked.name.rpartition(":")
    group, name = _known(group, "GROUP"), _known(name, "NAME")
    version = _known(asked.version, "VERSION")
    where = f"<repository>\n  <id>{id_}</id>\n  <url>{address}</url>\n</repository>"
    wanted = (
        f"<dependency>\n  <groupId>{group}</groupId>\n  <artifactId>{name}</artifactId>\n"
        f"  <version>{version}</version>\n</dependency>"
    )
    login = (
        f"<server>\n  <id>{id_}</id>\n  <username>{escape(asked.user or 'USER')}</username>\n"
        "  <password>PASSWORD</password>\n</server>"
    )
    server = Snippet(login, "~/.m2/settings.xml, in <servers>")
    maven = [Snippet(where, "pom.xml, in <repositories>"), Snippet(wanted, "in <dependencies>")]
    gradle = f'repositories {{\n    maven {{ url = uri("{address}") }}\n}}'
    coordinate = f'implementation("{group}:{name}:{version}")'
    sections = [
        UseSection("maven", "Use", "Maven", (*maven, *(() if asked.is_open else (server,)))),
        UseSection("gradle", "Use", "Gradle", (Snippet(gradle), Snippet(coordinate))),
    ]
    if asked.may_add and takes_uploads(asked.via):
        deploy = Snippet(where, "pom.xml, in <distributionManagement>")
        sections.append(
            UseSection("deploy", "Publish", "mvn deploy", (deploy, server, Snippet("mvn deploy")))
        )
    return UseGuide(tuple(sections), placeholders=("Group id:artifact id", "Version"))


def _known(text: str, placeholder: str) -> str:
    """Return a part of a coordinate, or else what stands for it."""
    return text if SEGMENT.fullmatch(text) else placeholder
