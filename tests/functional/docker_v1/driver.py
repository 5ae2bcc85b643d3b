"""A client of version 1 that does what docker's engine did, and wrong things when told to.

Over plain HTTP it sends the password once, and the token that it gets with all that follows; with
``basic`` it sends the password always, as over HTTPS. Every answer is held against what must be
true of all of them.
"""

import gzip
import hashlib
import io
import json
import secrets
import tarfile
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from tests.functional.docker.driver import Login
from tests.functional.docker.wires import Answer, Body, Wire

Fields = dict[str, Any]


class Failure(NamedTuple):
    """Where a push or pull ends, with which status and text."""

    step: str
    status: int
    text: str


class Failures:
    """The ends that a push or a pull may come to."""

    WRONG_CHECKSUM = Failure("put checksum", 400, "Checksum mismatch")
    NO_CHECKSUM = Failure("put checksum", 412, "Missing Image's checksum")
    MISSING_PARENT = Failure("put json", 400, "Image depends on a non existing parent")
    NOT_ANNOUNCED = Failure("put json", 400, "This image does not belong to the repository")
    NO_JSON = Failure("put json", 400, "Invalid JSON")
    WRONG_ID = Failure("put json", 400, "JSON data contains invalid id")
    BROKEN_LAYER = Failure("put layer", 400, "The layer")
    NO_LOGIN = Failure("put repository", 401, "")
    REDEPLOY = Failure("put repository", 403, "cannot be overwritten")
    READ_ONLY = Failure("put repository", 403, "read-only")
    NO_PUSH = Failure("put repository", 405, "Push to")
    NO_IMAGE = Failure("get images", 404, "")
    NO_TAG = Failure("get tag", 404, "")


class Mistake(Enum):
    """What a pushing engine may do wrong; it dies at some."""

    DIES_AFTER_JSON = "dies when it has sent the JSON of the last image"
    DIES_AFTER_LAYER = "dies when it has sent the layer of the last image"
    DIES_BEFORE_TAG = "dies before it sends the tag"
    WRONG_CHECKSUM = "sends the checksum of something else"
    NO_CHECKSUM = "sends no checksum"
    NO_PARENT = "leaves out the lowest image"
    NOT_ANNOUNCED = "announces no image"
    NO_JSON = "sends half of the JSON"
    WRONG_ID = "sends the JSON of another image"
    BROKEN_LAYER = "sends half of each layer"


class Refused(Exception):
    """A step was not answered as it should."""

    def __init__(self, step: str, answer: Answer) -> None:
        super().__init__(f"{step}: {answer.status} {answer.body!r}")
        self.step = step
        self.answer = answer

    def is_like(self, failure: Failure) -> bool:
        """Whether this is the end that was named."""
        same = (self.step, self.answer.status) == (failure.step, failure.status)
        return same and failure.text in self.answer.body.decode()


@dataclass(frozen=True)
class V1Image:
    """An image of version 1."""

    json: bytes
    layer: bytes

    @property
    def fields(self) -> Fields:
        """The JSON, read."""
        fields: Fields = json.loads(self.json)
        return fields

    @property
    def id(self) -> str:
        """The image's id."""
        return str(self.fields["id"])

    @property
    def payload(self) -> str:
        """The checksum that engines send."""
        return "sha256:" + hashlib.sha256(self.json + b"\n" + self.layer).hexdigest()


def make_tar(text: bytes) -> bytes:
    """A tar with one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("file")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return buffer.getvalue()


def make_chain(count: int = 2, *, parent: str = "", **more: Any) -> list[V1Image]:
    """Images that nobody has pushed yet, the lowest first; ``more`` is told of the last one."""
    chain: list[V1Image] = []
    for number in range(count):
        fields: Fields = {
            "id": secrets.token_hex(32),
            "created": f"2015-03-0{number + 1}T10:20:30.123456789Z",
            "container_config": {"Cmd": ["/bin/sh", "-c", f"step {number}"]},
            "docker_version": "1.5.0",
            "Size": 700,
        }
        if parent:
            fields["parent"] = parent
        if number == count - 1:
            fields |= {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["run"]}, **more}
        layer = gzip.compress(make_tar(secrets.token_bytes(700)), mtime=0)
        chain.append(V1Image(json.dumps(fields).encode(), layer))
        parent = str(fields["id"])
    return chain


class Engine:
    """An engine of the years of version 1.

    Args:
        wire: how to reach the server.
        prefix: what stands before ``/v1/`` in the address.
        login: name and password, None for nobody.
        basic: whether the password goes with every request.
    """

    def __init__(self, wire: Wire, prefix: str, login: Login, *, basic: bool = False) -> None:
        self.wire = wire
        self.prefix = prefix
        self.login = login
        self._complete: set[str] = set()  # ids of images that were pushed once
        self.basic = basic
        self.token = ""

    # Single requests ----------------------------------------------------------------------------

    def send(
        self,
        method: str,
        path: str,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        *,
        is_first: bool = False,
    ) -> Answer:
        """Send a request as the engine does and return its checked answer."""
        sent = {"User-Agent": "docker/1.5.0 go/go1.4.1 os/linux arch/amd64", **(headers or {})}
        if is_first:
            sent["X-Docker-Token"] = "true"
        if self.login is not None and (self.basic or is_first or not self.token):
            word = b64encode(":".join(self.login).encode()).decode()
            sent["Authorization"] = f"Basic {word}"
        elif self.token:
            sent["Authorization"] = f"Token {self.token}"
        answer = self.wire.send(method, f"{self.prefix}/v1/{path}", sent, body)
        self._check(method, answer)
        self.token = answer.headers.get("X-Docker-Token", self.token)
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        """Send a GET."""
        return self.send("GET", path, headers=headers)

    def put(self, path: str, value: Any, **options: Any) -> Answer:
        """Send a PUT with JSON."""
        return self.send("PUT", path, json.dumps(value).encode(), **options)

    @staticmethod
    def _check(method: str, answer: Answer) -> None:
        assert answer.status != 500, answer.body
        assert "Content-Encoding" not in answer.headers
        if method == "HEAD" or answer.status in (204, 304):
            assert answer.body == b""
        elif answer.status >= 400 and answer.status != 416:
            assert all(isinstance(each, str) for each in answer.json().values())

    # Push ---------------------------------------------------------------------------------------

    def push(
        self,
        name: str,
        tag: str,
        chain: Sequence[V1Image],
        *,
        mistake: Mistake | None = None,
        failure: Failure | None = None,
    ) -> list[str]:
        """Push images as the engine does; return the ids of those that were sent."""
        sent: list[str] = []
        try:
            self._push(name, tag, chain, mistake, sent)
        except Refused as refused:
            if failure is None or not refused.is_like(failure):
                raise
            return sent
        assert failure is None, f"did not fail with {failure}"
        return sent

    def _push(
        self,
        name: str,
        tag: str,
        chain: Sequence[V1Image],
        mistake: Mistake | None,
        sent: list[str],
    ) -> None:
        self._expect("ping", self.send("GET", "_ping"), 200)
        announced = [] if mistake is Mistake.NOT_ANNOUNCED else self._list(tag, chain)
        answer = self.put(f"repositories/{name}/", announced, is_first=True)
        assert self._expect("put repository", answer, 200).headers["X-Docker-Endpoints"]
        there = {each.id for each in chain if self.get(f"images/{each.id}/json").status == 200}
        for image in chain:
            if image.id in there or (mistake is Mistake.NO_PARENT and image is chain[0]):
                continue
            if self._send_image(image, mistake, is_last=image is chain[-1]):
                sent.append(image.id)
            elif mistake in (Mistake.DIES_AFTER_JSON, Mistake.DIES_AFTER_LAYER):
                return
        if mistake is Mistake.DIES_BEFORE_TAG:
            return
        tagged = self.put(f"repositories/{self._full(name)}/tags/{tag}", chain[-1].id)
        self._expect("put tag", tagged, 200)
        endpoints = {"X-Docker-Endpoints": "http://127.0.0.1/v1/"}
        done = self.put(f"repositories/{name}/images", [], headers=endpoints, is_first=True)
        self._expect("put images", done, 204)

    @staticmethod
    def _list(tag: str, chain: Sequence[V1Image]) -> list[Fields]:
        top = chain[-1]
        return [{"id": each.id, **({"Tag": tag} if each is top else {})} for each in chain]

    def _send_image(self, image: V1Image, mistake: Mistake | None, *, is_last: bool) -> bool:
        body = image.json
        if mistake is Mistake.NO_JSON:
            body = body[:-5]
        elif mistake is Mistake.WRONG_ID:
            body = body.replace(image.id.encode(), b"0" * 64)
        answer = self.send("PUT", f"images/{image.id}/json", body)
        if answer.status == 409 and answer.json() == {"error": "Image already exists"}:
            return False
        self._expect("put json", answer, 200)
        if is_last and mistake is Mistake.DIES_AFTER_JSON:
            return False
        layer = image.layer[: len(image.layer) // 2 if mistake is Mistake.BROKEN_LAYER else None]
        answer = self.send("PUT", f"images/{image.id}/layer", [layer[:50], layer[50:]])
        self._expect("put layer", answer, 200)
        if is_last and mistake is Mistake.DIES_AFTER_LAYER:
            return False
        if image.id not in self._complete:
            assert self.get(f"images/{image.id}/json").status in (400, 404), "not complete yet"
        self._send_checksum(image, mistake)
        self._complete.add(image.id)
        return True

    def _send_checksum(self, image: V1Image, mistake: Mistake | None) -> None:
        headers = {
            "X-Docker-Checksum": f"tarsum+sha256:{'0' * 64}",
            "X-Docker-Checksum-Payload": image.payload,
        }
        if mistake is Mistake.WRONG_CHECKSUM:
            headers["X-Docker-Checksum-Payload"] = "sha256:" + "0" * 64
        elif mistake is Mistake.NO_CHECKSUM:
            headers = {}
        answer = self.send("PUT", f"images/{image.id}/checksum", b"", headers)
        self._expect("put checksum", answer, 200)

    # Pull ---------------------------------------------------------------------------------------

    def pull(
        self, name: str, tag: str, *, failure: Failure | None = None, is_old: bool = False
    ) -> list[V1Image]:
        """Pull an image as the engine does and return its chain, the lowest first.

        An old engine, up to 1.6, asks for all tags.
        """
        try:
            return self._pull(name, tag, is_old=is_old)
        except Refused as refused:
            if failure is None or not refused.is_like(failure):
                raise
            return []

    def _pull(self, name: str, tag: str, *, is_old: bool) -> list[V1Image]:
        self._expect("ping", self.send("GET", "_ping"), 200)
        answer = self.send("GET", f"repositories/{name}/images", is_first=True)
        assert isinstance(self._expect("get images", answer, 200).json(), list)
        path = f"repositories/{self._full(name)}/tags"
        if is_old:
            top = self._expect("get tags", self.get(path), 200).json()[tag]
        else:
            top = self._expect("get tag", self.get(f"{path}/{tag}"), 200).json()
        ancestry = self._expect("get ancestry", self.get(f"images/{top}/ancestry"), 200).json()
        assert ancestry[0] == top
        chain = [self._pull_image(each) for each in reversed(ancestry)]
        parents = [each.fields.get("parent") for each in chain]
        assert parents == [None, *(each.id for each in chain[:-1])]
        return chain

    def _pull_image(self, image_id: str) -> V1Image:
        answer = self._expect("get json", self.get(f"images/{image_id}/json"), 200)
        size = int(answer.headers["X-Docker-Size"])
        layer = self._expect("get layer", self.get(f"images/{image_id}/layer"), 200)
        assert layer.headers["Accept-Ranges"] == "bytes"
        assert len(layer.body) == size == int(layer.headers["Content-Length"])
        image = V1Image(answer.body, layer.body)
        assert image.id == image_id
        return image

    def resume(self, image_id: str, offset: int) -> Answer:
        """Go on with a layer as the engine does, whose range ends one byte too far."""
        size = self.get(f"images/{image_id}/json").headers["X-Docker-Size"]
        return self.get(f"images/{image_id}/layer", Range=f"bytes={offset}-{size}")

    @staticmethod
    def _full(name: str) -> str:
        return name if "/" in name else f"library/{name}"

    @staticmethod
    def _expect(step: str, answer: Answer, status: int) -> Answer:
        if answer.status != status:
            raise Refused(step, answer)
        return answer
