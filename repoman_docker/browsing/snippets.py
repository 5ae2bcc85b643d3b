"""Lines to copy for every client of a repository, filled in with its address and an image.

Only checked names get into them: they are pasted into shells and files.
"""

import json
import re
from collections.abc import Iterator, Mapping
from shlex import quote
from urllib.parse import urlsplit

from repoman.plugin import (
    GroupSection,
    HostedStorageSection,
    Repository,
    RepositoryType,
    Snippet,
    UseGuide,
    UseNotice,
    UseRequest,
    UseSection,
    WritePolicy,
)
from repoman_docker.browsing.kinds import ArtifactKind
from repoman_docker.protocol.errors import RegistryError
from repoman_docker.protocol.reference import parse_name, parse_tag
from repoman_docker.protocol.registries import is_hub
from repoman_docker.service import DockerRepository

IMAGE, TAG, USER = "NAME", "TAG", "USER"
TOKEN = "$TOKEN"  # noqa: S105 - the name of a variable in the lines
MIRRORED = "docker.io"

_BY_HAND, _MACHINES, _BUILDS, _FRONT = "By hand", "Machines", "Build servers", "In front"


def guide(asked: UseRequest) -> UseGuide:
    """Return how all clients use a repository at an address."""
    lines = _Lines(asked)
    sections = [
        lines.docker(),
        lines.podman(),
        *lines.mirror(),
        lines.containerd(),
        lines.kubernetes(),
        lines.github(),
        lines.gitlab(),
        lines.jenkins(),
        lines.nginx(),
    ]
    return UseGuide(tuple(sections), tuple(lines.notices()), ("Image", "Tag"))


_IMAGE_PULLS = (
    ("docker", "docker", "docker pull {}"),
    ("podman", "podman", "podman pull {}"),
    ("crictl", "crictl", "crictl pull {}"),
    ("kubernetes", "Kubernetes", "image: {}"),
    ("dockerfile", "Dockerfile", "FROM {}"),
)
_PULLS: Mapping[ArtifactKind, tuple[tuple[str, str, str], ...]] = {
    ArtifactKind.IMAGE: _IMAGE_PULLS,
    ArtifactKind.INDEX: _IMAGE_PULLS,
    ArtifactKind.CACHE: (("buildx", "docker buildx", "--cache-from type=registry,ref={}"),),
    ArtifactKind.ARTIFACT: (("oras", "oras", "oras pull {}"),),
}


def pull_commands(
    host: str, image: str, digest: str = "", kind: ArtifactKind = ArtifactKind.IMAGE
) -> tuple[UseSection, ...]:
    """Return how clients get one thing: by ``NAME:TAG``, and by its digest if it is given."""
    name, _, tag = image.rpartition(":")
    if kind is ArtifactKind.CHART:
        line = f"helm pull oci://{host}/{name or image}" + (f" --version {tag}" if name else "")
        return (UseSection("helm", _BY_HAND, "helm", (Snippet(line),)),)
    references = [f"{host}/{image}"]
    if digest:
        references.append(f"{host}/{name or image}@{digest}")
    return tuple(
        UseSection(key, _BY_HAND, title, tuple(Snippet(shape.format(each)) for each in references))
        for key, title, shape in _PULLS[kind]
    )


def takes_pushes(repository: Repository) -> bool:
    """Return whether clients can push to a repository, if they have the right."""
    sections, kind = repository.config.sections, repository.config.type
    if kind is RepositoryType.GROUP:
        group = sections.get("group")
        return isinstance(group, GroupSection) and bool(group.writable_member)
    storage = sections.get("storage")
    return (
        kind is RepositoryType.HOSTED
        and isinstance(storage, HostedStorageSection)
        and storage.write_policy is not WritePolicy.DENY
    )


class _Lines:
    """The lines for one request."""

    def __init__(self, asked: UseRequest) -> None:
        parts = urlsplit(asked.address)
        self._asked = asked
        self._url = f"{parts.scheme}://{parts.netloc}"
        self._is_plain = parts.scheme == "http"
        self._host = parts.netloc
        self._name = _checked_name(asked.name)
        self._tag = _checked_tag(asked.version)
        self._image = f"{self._host}/{self._name}"
        self._reference = f"{self._image}:{self._tag}"
        self._user = quote(asked.user) if asked.user else USER
        service = asked.via.service
        is_docker = isinstance(service, DockerRepository)
        self._mirrors = service.namespaces if is_docker else None
        self._is_searched = is_docker and service.settings.v1_enabled
        self._may_push = asked.may_add and takes_pushes(asked.via)

    @property
    def _is_hub_mirror(self) -> bool:
        return any(map(is_hub, self._mirrors or ()))

    def docker(self) -> UseSection:
        last = self._name.rpartition("/")[2]
        snippets = [
            Snippet(
                f"docker login {self._host} -u {self._user}",
                "Log in; the password is yours or a token",
            ),
            Snippet(f"docker pull {self._reference}", "Pull"),
        ]
        if self._may_push:
            snippets.append(
                Snippet(
                    f"docker tag {last} {self._reference}\ndocker push {self._reference}", "Push"
                )
            )
        if self._is_searched:
            snippets.append(Snippet(f"docker search {self._host}/{last}", "Search"))
        return UseSection("docker", _BY_HAND, "Docker", tuple(snippets))

    def podman(self) -> UseSection:
        flag = " --tls-verify=false" if self._is_plain else ""
        skopeo = " --src-tls-verify=false" if self._is_plain else ""
        snippets = [
            Snippet(f"podman login{flag} {self._host} -u {self._user}", "Log in"),
            Snippet(f"podman pull{flag} {self._reference}", "Pull"),
            Snippet(f"podman search{flag} {self._host}/{self._name}", "Search"),
            Snippet(
                f"skopeo copy{skopeo} docker://{self._reference} oci:{TAG.lower()}-copy",
                "Copy without an engine",
            ),
        ]
        if self._is_plain:
            snippets.append(
                Snippet(
                    f'[[registry]]\nlocation = "{self._host}"\ninsecure = true',
                    "/etc/containers/registries.conf.d/repoman.conf, instead of the options",
                )
            )
        return UseSection("podman", _BY_HAND, "Podman, skopeo", tuple(snippets))

    def mirror(self) -> Iterator[UseSection]:
        """Yield the settings of the Docker daemon, where there is something to set."""
        settings: dict[str, list[str]] = {}
        notes = []
        if self._is_hub_mirror:
            settings["registry-mirrors"] = [self._url]
            notes.append("A mirror stands in for Docker Hub alone, and is asked without a login.")
        if self._is_plain:
            settings["insecure-registries"] = [self._host]
        if settings:
            text = json.dumps(settings, indent=2)
            caption = "/etc/docker/daemon.json, then: systemctl restart docker"
            title = "Docker daemon as a mirror" if self._is_hub_mirror else "Docker daemon"
            snippets = (Snippet(text, caption),)
            yield UseSection("daemon", _MACHINES, title, snippets, tuple(notes))

    def containerd(self) -> UseSection:
        if self._mirrors:
            registry = MIRRORED if self._is_hub_mirror else min(self._mirrors, key=len)
            server = "registry-1.docker.io" if self._is_hub_mirror else registry
            text = (
                f'server = "https://{server}"\n\n[host."{self._url}"]\n'
                '  capabilities = ["pull", "resolve"]'
            )
        else:
            registry = self._host
            push = ', "push"' if self._may_push else ""
            text = (
                f'server = "{self._url}"\n\n[host."{self._url}"]\n'
                f'  capabilities = ["pull", "resolve"{push}]'
            )
        return UseSection(
            "containerd",
            _MACHINES,
            "containerd",
            (
                Snippet(text, f"/etc/containerd/certs.d/{registry}/hosts.toml"),
                Snippet(
                    "ctr images pull --hosts-dir /etc/containerd/certs.d \\\n"
                    f"  --user {self._user} {self._reference}",
                    "Pull; it asks for the password",
                ),
            ),
        )

    def kubernetes(self) -> UseSection:
        secret, container = _slug(self._asked.via.name), _slug(self._name.rpartition("/")[2])
        return UseSection(
            "kubernetes",
            _MACHINES,
            "Kubernetes",
            (
                Snippet(
                    f"kubectl create secret docker-registry {secret} \\\n"
                    f"  --docker-server={self._host} \\\n"
                    f"  --docker-username={self._user} \\\n"
                    f'  --docker-password="{TOKEN}"',
                    "A secret with the token of a user",
                ),
                Snippet(
                    f"spec:\n  imagePullSecrets:\n    - name: {secret}\n  containers:\n"
                    f"    - name: {container}\n      image: {self._reference}",
                    "In the pod",
                ),
            ),
        )

    def github(self) -> UseSection:
        return UseSection(
            "github",
            _BUILDS,
            "GitHub Actions",
            (
                Snippet(
                    "- uses: docker/login-action@v3\n  with:\n"
                    f"    registry: {self._host}\n    username: {self._user}\n"
                    "    password: ${{ secrets.REGISTRY_TOKEN }}\n"
                    + (
                        "- uses: docker/build-push-action@v6\n  with:\n    push: true\n"
                        f"    tags: {self._image}:${{{{ github.ref_name }}}}"
                        if self._may_push
                        else f"- run: docker pull {self._reference}"
                    ),
                    "Steps of a job; REGISTRY_TOKEN is a secret of the repository",
                ),
            ),
        )

    def gitlab(self) -> UseSection:
        insecure = (
            f'\n      command: ["--insecure-registry={self._host}"]' if self._is_plain else ""
        )
        built = f"{self._image}:$CI_COMMIT_TAG"
        lines = [f"docker pull {self._reference}"]
        if self._may_push:
            lines = [f"docker build -t {built} .", f"docker push {built}"]
        work = "".join(f"\n    - {each}" for each in lines)
        return UseSection(
            "gitlab",
            _BUILDS,
            "GitLab CI",
            (
                Snippet(
                    f"{'push' if self._may_push else 'pull'}:\n  image: docker:27\n  services:\n"
                    f"    - name: docker:27-dind{insecure}\n  script:\n"
                    f'    - echo "$REGISTRY_TOKEN" | docker login -u {self._user} '
                    f"--password-stdin {self._host}{work}",
                    ".gitlab-ci.yml; REGISTRY_TOKEN is a masked variable",
                ),
            ),
        )

    def jenkins(self) -> UseSection:
        work = f"docker.image('{self._name}:{self._tag}').pull()"
        if self._may_push:
            work = f"docker.build('{self._name}').push(env.TAG_NAME)"
        return UseSection(
            "jenkins",
            _BUILDS,
            "Jenkins",
            (
                Snippet(
                    f"docker.withRegistry('{self._url}', 'registry') {{\n  {work}\n}}",
                    "Jenkinsfile; registry is a credential with a user name and a token",
                ),
            ),
        )

    def nginx(self) -> UseSection:
        host, _, port = self._host.rpartition(":")
        if not host or not port.isdigit():  # It is behind another server already.
            host, port = self._host, "PORT"
        upstream = f"http://127.0.0.1:{port}" if self._is_plain else f"https://127.0.0.1:{port}"
        return UseSection(
            "nginx",
            _FRONT,
            "nginx with TLS",
            (
                Snippet(
                    f"server {{\n  listen 443 ssl;\n  server_name {host.strip('[]')};\n"
                    "  # Layers may have any size, and pass through as they come.\n"
                    "  client_max_body_size 0;\n  proxy_request_buffering off;\n"
                    "  proxy_buffering off;\n  proxy_http_version 1.1;\n  location / {\n"
                    f"    proxy_pass {upstream};\n    proxy_set_header Host $http_host;\n"
                    "    proxy_set_header X-Forwarded-For $remote_addr;\n"
                    "    proxy_set_header X-Forwarded-Proto https;\n  }\n}",
                    "/etc/nginx/conf.d/registry.conf",
                ),
            ),
            (
                "Name the address of nginx in server.trusted_proxies, and the external address in "
                "the settings of the repository.",
            ),
        )

    def notices(self) -> Iterator[UseNotice]:
        """Yield what will not work."""
        asked = self._asked
        if not asked.via.config.is_online or not asked.repository.config.is_online:
            yield UseNotice(
                "warn", "This repository is offline", "Clients get an error until it is online."
            )
        if self._is_plain:
            yield UseNotice(
                "warn",
                "This address is plain HTTP",
                "Docker accepts it from other machines only with insecure-registries in its "
                "daemon.json. An HTTPS connector is better.",
            )
        if self._is_hub_mirror and not asked.is_open:
            yield UseNotice(
                "warn",
                "A mirror needs access without a login",
                "The Docker daemon sends no login to a mirror, so it cannot use this repository "
                "as one until everybody may read it.",
            )
        if asked.may_add and not self._may_push:
            name = asked.via.name
            yield UseNotice("plain", "", f"{name} is for pulls: it takes no pushes.")
        elif not asked.may_add and asked.user:
            yield UseNotice("plain", "", "You may read here, not push or delete.")


def _checked_name(text: str) -> str:
    try:
        return parse_name(text.strip())
    except RegistryError:
        return IMAGE


def _checked_tag(text: str) -> str:
    try:
        return parse_tag(text.strip())
    except RegistryError:
        return TAG


def _slug(name: str) -> str:
    """Return a name as Kubernetes accepts it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63] or "registry"
