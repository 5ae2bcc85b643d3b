"""A client of the registry protocol that does what docker does, and wrong things when told to.

Every answer, to whatever request, is held against what must be true of all of them; see
:func:`check_answer`.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple
from urllib.parse import urlencode

from tests.functional.docker.images import ABSENT, Image, digest_of, media_type_of
from tests.functional.docker.wires import Answer, Body, Wire

Login = tuple[str, str] | None


class Failure(NamedTuple):
    """Where a push or pull ends, and with which answer."""

    step: str
    status: int
    code: str


class Failures:
    """The ends that a push or a pull may come to."""

    NO_LOGIN = Failure("ping", 401, "UNAUTHORIZED")
    READ_ONLY = Failure("start upload", 403, "DENIED")
    READ_ONLY_MANIFEST = Failure("put manifest", 403, "DENIED")
    REDEPLOY = Failure("put manifest", 403, "DENIED")
    UPLOAD_UNKNOWN = Failure("append", 404, "BLOB_UPLOAD_UNKNOWN")
    OUT_OF_ORDER = Failure("append", 416, "RANGE_INVALID")
    WRONG_DIGEST = Failure("finish upload", 400, "DIGEST_INVALID")
    NO_DIGEST = Failure("finish upload", 400, "DIGEST_INVALID")
    WRONG_LENGTH = Failure("append", 400, "SIZE_INVALID")
    BLOB_MISSING = Failure("put manifest", 400, "MANIFEST_BLOB_UNKNOWN")
    MANIFEST_INVALID = Failure("put manifest", 400, "MANIFEST_INVALID")
    NAME_INVALID = Failure("ask for blob", 400, "NAME_INVALID")
    TAG_INVALID = Failure("put manifest", 400, "TAG_INVALID")
    MANIFEST_UNKNOWN = Failure("get manifest", 404, "MANIFEST_UNKNOWN")


class Mistake(Enum):
    """What a pushing client may do wrong."""

    NO_LAYER = "does not push the layers"
    NO_CONFIG = "does not push the config"
    UNKNOWN_UPLOAD = "sends the bytes to a session that does not exist"
    GAP = "leaves out a byte"
    WRONG_RANGE = "announces a byte too many"
    WRONG_DIGEST = "finishes with the digest of other bytes"
    NO_DIGEST = "finishes without a digest"
    NO_JSON = "pushes a manifest that is no JSON"
    WRONG_SIZE = "pushes a manifest with a wrong size"


class Refused(Exception):
    """A step of a push or pull was not answered as it should."""

    def __init__(self, step: str, answer: Answer) -> None:
        super().__init__(f"{step}: {answer.status} {answer.body!r}")
        self.step = step
        self.answer = answer

    @property
    def failure(self) -> Failure:
        """The name of the end."""
        code = self.answer.code if self.answer.body else ""
        return Failure(self.step, self.answer.status, code)


def check_answer(method: str, prefix: str, answer: Answer) -> None:
    """Hold an answer against the rules that all answers keep."""
    headers = answer.headers
    assert headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    assert "Content-Encoding" not in headers
    assert answer.status != 500, answer.body
    if "Location" in headers:
        assert headers["Location"].startswith(f"{prefix}/v2/"), headers
    if method == "HEAD" or answer.status in (204, 304):
        assert answer.body == b""
    elif answer.status >= 400 and "Content-Range" not in headers:
        check_error(answer)


def check_error(answer: Answer) -> None:
    """An error is told in the registry's form, with a sentence for people."""
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.errors
    for error in answer.errors:
        assert error["code"] == error["code"].upper()
        assert " " in error["message"]
        assert error["message"].endswith(".")


class Registry:
    """A repository as one client sees it.

    Args:
        wire: how to reach the server.
        prefix: what stands before ``/v2/`` in the address.
        login: name and password, None for nobody.
    """

    def __init__(self, wire: Wire, prefix: str, login: Login) -> None:
        self.wire = wire
        self.prefix = prefix
        self.login = login

    @property
    def repository(self) -> str:
        """The repository's name, where it stands in the address."""
        return self.prefix.rpartition("/")[2]

    def as_user(self, login: Login) -> "Registry":
        """The same repository as somebody else sees it."""
        return Registry(self.wire, self.prefix, login)

    # --- Single requests -------------------------------------------------------------------------

    def target(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """The address of a path below ``/v2/``, or of a Location."""
        target = path if path.startswith("/") else f"{self.prefix}/v2/{path}"
        if not query:
            return target
        return f"{target}{'&' if '?' in target else '?'}{urlencode(query)}"

    def send(
        self,
        method: str,
        path: str,
        body: Body = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and return its checked answer."""
        sent = {"Accept-Encoding": "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5"}
        if self.login is not None:
            token = b64encode(":".join(self.login).encode()).decode()
            sent["Authorization"] = f"Basic {token}"
        answer = self.wire.send(method, self.target(path, query), {**sent, **(headers or {})}, body)
        check_answer(method, self.prefix, answer)
        return answer

    def get(self, path: str, **options: Mapping[str, str]) -> Answer:
        """Send a GET."""
        return self.send("GET", path, **options)

    def head(self, path: str, **options: Mapping[str, str]) -> Answer:
        """Send a HEAD."""
        return self.send("HEAD", path, **options)

    def delete(self, path: str) -> Answer:
        """Send a DELETE."""
        return self.send("DELETE", path)

    def start(self, name: str, **query: str) -> Answer:
        """Ask for an upload session."""
        return self.send("POST", f"{name}/blobs/uploads/", query=query)

    def begin(self, name: str, **query: str) -> str:
        """Open an upload session and return its address."""
        return self._expect("start upload", self.start(name, **query), 202).headers["Location"]

    def append(
        self, location: str, data: Body, start: int | None = None, end: int | None = None
    ) -> Answer:
        """Send a chunk, from ``start`` to ``end`` (None: what ``data`` comes to), or a stream."""
        return self.send("PATCH", location, data, headers=_content_range(data, start, end))

    def finish(
        self, location: str, digest: str | None, data: Body = b"", start: int | None = None
    ) -> Answer:
        """End an upload session."""
        query = {} if digest is None else {"digest": digest}
        return self.send(
            "PUT", location, data, query=query, headers=_content_range(data, start, None)
        )

    def put_manifest(
        self, name: str, reference: str, manifest: bytes, media_type: str | None = ""
    ) -> Answer:
        """Send a manifest; with the media type it says itself, another, or None."""
        if media_type == "":
            media_type = media_type_of(manifest)
        headers = {} if media_type is None else {"Content-Type": media_type}
        return self.send("PUT", f"{name}/manifests/{reference}", manifest, headers=headers)

    # --- Whole blobs and images ------------------------------------------------------------------

    def push_blob(self, name: str, data: bytes, algorithm: str = "sha256") -> str:
        """Upload a blob in a session and return its digest."""
        digest = digest_of(data, algorithm)
        self._expect("finish upload", self.finish(self.begin(name), digest, data), 201)
        return digest

    def push_blobs(self, name: str, image: Image) -> None:
        """Upload all that an image manifest names."""
        for blob in image.blobs:
            self.push_blob(name, blob)

    def push_manifest(self, name: str, reference: str, manifest: bytes) -> str:
        """Upload a manifest and return its digest."""
        answer = self.put_manifest(name, reference, manifest)
        return self._expect("put manifest", answer, 201).headers["Docker-Content-Digest"]

    def has_blob(self, name: str, digest: str) -> bool:
        """Whether an image has a blob."""
        return self.head(f"{name}/blobs/{digest}").status == 200

    def tags(self, name: str) -> list[str]:
        """The tags of an image, none where there is no such image."""
        answer = self.get(f"{name}/tags/list")
        return answer.json()["tags"] if answer.status == 200 else []

    def push(
        self,
        name: str,
        reference: str,
        image: Image,
        *,
        mistake: Mistake | None = None,
        failure: Failure | None = None,
    ) -> str:
        """Push an image as docker does, make the mistake, and come to the failure if one is named.

        Return the text for the user: the digest, or why it failed.
        """
        return _end(lambda: self._push(name, reference, image, mistake), failure)

    def pull(self, name: str, reference: str, *, failure: Failure | None = None) -> bytes:
        """Pull an image as docker does, checking every digest, and return its manifest."""
        manifest = b""

        def pull() -> str:
            nonlocal manifest
            manifest = self._pull(name, reference)
            return ""

        _end(pull, failure)
        return manifest

    def _push(self, name: str, reference: str, image: Image, mistake: Mistake | None) -> str:
        self._expect("ping", self.get(""), 200)
        for blob in image.blobs:
            is_config = blob is image.config
            left_out = Mistake.NO_CONFIG if is_config else Mistake.NO_LAYER
            if mistake is not left_out:
                self._push_as_docker(name, blob, mistake)
        manifest = image.manifest
        if mistake is Mistake.NO_JSON:
            manifest = manifest[:-1]
        elif mistake is Mistake.WRONG_SIZE:
            manifest = manifest.replace(b'"size": ', b'"size": 1')
        answer = self.put_manifest(name, reference, manifest, media_type_of(image.manifest))
        answer = self._expect("put manifest", answer, 201)
        assert answer.headers["Docker-Content-Digest"] == digest_of(manifest)
        return answer.headers["Docker-Content-Digest"]

    def _push_as_docker(self, name: str, blob: bytes, mistake: Mistake | None) -> None:
        digest = digest_of(blob)
        asked = self._ask(f"{name}/blobs/{digest}")
        if asked.status == 200:
            return
        self._expect("ask for blob", asked, 404)
        answer = self._append_as_docker(name, blob, mistake)
        assert answer.headers["Range"] == f"0-{len(blob) - 1}"
        if mistake is Mistake.WRONG_DIGEST:
            digest = ABSENT
        answer = self.finish(
            answer.headers["Location"], None if mistake is Mistake.NO_DIGEST else digest
        )
        self._expect("finish upload", answer, 201)
        self._expect("find blob", self._ask(f"{name}/blobs/{digest}"), 200)

    def _append_as_docker(self, name: str, blob: bytes, mistake: Mistake | None) -> Answer:
        location = self.begin(name)
        if mistake is Mistake.UNKNOWN_UPLOAD:
            location = location[:-4] + "0000"
        if mistake is Mistake.GAP:
            answer = self.append(location, blob[1:], 1)
        elif mistake is Mistake.WRONG_RANGE:
            answer = self.append(location, blob, 0, len(blob))
        else:
            answer = self.append(location, [blob[:100], blob[100:]])
        return self._expect("append", answer, 202)

    def _pull(self, name: str, reference: str) -> bytes:
        self._expect("ping", self.get(""), 200)
        asked = self._ask(f"{name}/manifests/{reference}")
        digest = self._expect("get manifest", asked, 200).headers["Docker-Content-Digest"]
        manifest = self._expect("get manifest", self.get(f"{name}/manifests/{digest}"), 200)
        assert digest_of(manifest.body) == digest
        fields = manifest.json()
        for child in fields.get("manifests", ()):
            self._pull(name, child["digest"])
        for blob in (*fields.get("layers", ()), *filter(None, [fields.get("config")])):
            answer = self._expect("get blob", self.get(f"{name}/blobs/{blob['digest']}"), 200)
            assert digest_of(answer.body) == blob["digest"]
        return manifest.body

    def _ask(self, path: str) -> Answer:
        answer = self.head(path)
        return answer if answer.status == 200 else self.get(path)  # for the text

    @staticmethod
    def _expect(step: str, answer: Answer, status: int) -> Answer:
        if answer.status != status:
            raise Refused(step, answer)
        return answer


def _content_range(data: Body, start: int | None, end: int | None) -> dict[str, str]:
    if start is None:
        return {}
    if end is None:
        assert isinstance(data, bytes)
        end = start + len(data) - 1
    return {"Content-Range": f"{start}-{end}"}


def _end(work: Callable[[], str], failure: Failure | None) -> str:
    try:
        text = work()
    except Refused as refused:
        if refused.failure != failure:
            raise
        return refused.answer.message
    assert failure is None, f"did not fail with {failure}"
    return text
