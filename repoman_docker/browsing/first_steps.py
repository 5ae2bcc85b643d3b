"""What to try first on a new server: a pull through a mirror of Docker Hub, and a push."""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from repoman.plugin import HomeCard, RepositoryType, Snippet, UseRequest
from repoman_docker.protocol.registries import is_hub
from repoman_docker.service import DockerRepository

IMAGE = "nginx"  # Small, and everybody knows it.


def first_steps(requests: Sequence[UseRequest]) -> list[HomeCard]:
    """Return the steps that these repositories allow; nothing if they allow none."""
    snippets = (*_pull(requests), *_push(requests))
    return [HomeCard("Try it", snippets)] if snippets else []


def _pull(requests: Sequence[UseRequest]) -> Iterator[Snippet]:
    mirrors = [each for each in requests if _is_hub_mirror(each)]
    groups_first = sorted(mirrors, key=lambda each: not _is_a(each, RepositoryType.GROUP))
    for each in groups_first[:1]:
        text = f"docker pull {_host(each)}/{IMAGE}"
        if not each.is_open:
            text = f"{_login(each)}\n{text}"
        yield Snippet(text, "Pull from Docker Hub, kept here from now on")


def _push(requests: Sequence[UseRequest]) -> Iterator[Snippet]:
    hosted = (each for each in requests if each.may_add and _is_a(each, RepositoryType.HOSTED))
    each = next(hosted, None)
    if each is not None:
        target = f"{_host(each)}/team/{IMAGE}:1"
        lines = (_login(each), f"docker tag {IMAGE} {target}", f"docker push {target}")
        yield Snippet("\n".join(lines), "Log in and push an image of your own")


def _is_hub_mirror(asked: UseRequest) -> bool:
    service = asked.repository.service
    mirrored = service.namespaces if isinstance(service, DockerRepository) else None
    return any(map(is_hub, mirrored or ()))


def _is_a(asked: UseRequest, kind: RepositoryType) -> bool:
    return asked.repository.config.type is kind


def _host(asked: UseRequest) -> str:
    return urlsplit(asked.address).netloc


def _login(asked: UseRequest) -> str:
    return f"docker login {_host(asked)}"
