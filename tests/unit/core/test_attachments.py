"""JSON documents with files in base64, in pieces of any size."""

import base64
import json
import random

import pytest

from repoman.errors import Invalid, TooLarge
from repoman.http import attachments
from repoman.http.attachments import DocumentSink

DATA = bytes(range(256)) * 40
VALUE = {
    "a": {"_attachments": {"x": {"data": "no file"}}},
    "k": ["{", {"data": "]"}, [{"_attachments": {"x": {"data": "none"}}}]],
    'q"\\': 'a"\\',
    "_attachments": {
        'f"é.tgz': {"type": "x", "data": base64.b64encode(DATA).decode(), "length": 3},
        "empty": {"data": ""},
        "g": {"more": {"data": "none"}, "data": base64.b64encode(b"abcd").decode()},
    },
    "data": "z",
}


class File:
    """A sink that keeps all in memory."""

    def __init__(self, _name):
        self.data = b""
        self.is_closed = False

    def check_room(self, size):
        pass

    def write(self, data):
        self.data += bytes(data)

    def close(self):
        self.is_closed = True


def read(body, sizes=(1 << 16,), open_file=File, **options):
    sink, position = DocumentSink(open_file, **options), 0
    dice = random.Random(1)
    try:
        while position < len(body):
            size = dice.choice(sizes)
            sink.write(memoryview(body)[position : position + size])
            position += size
        return sink.finish()
    except BaseException:
        sink.close()
        raise


@pytest.mark.parametrize("sizes", [(1,), (1, 2, 3, 7, 1000), (1 << 16,)])
@pytest.mark.parametrize("is_escaped", [False, True])
def test_files_leave_the_document_while_it_arrives(sizes, is_escaped):
    body = json.dumps(VALUE, indent=1).encode()
    if is_escaped:
        body = body.replace(b"/", b"\\/")
    with read(body, sizes) as found:
        assert {name: each.data for name, each in found.files.items()} == {
            'f"é.tgz': DATA,
            "empty": b"",
            "g": b"abcd",
        }
    assert all(each.is_closed for each in found.files.values())
    without = json.loads(body)
    for each in without["_attachments"].values():
        each["data"] = ""
    assert found.value == without


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "[]", "}}}}", '{"a": 1,}', '{"a": NaN}', '{"a": "', "[" * 50, '"\xff"'),
        *(
            f'{{"_attachments": {{"a": {{"data": "{data}"}}}}}}'
            for data in ("abc", "ab==abcd", "é")
        ),
        '{"_attachments": {"a": {"data": "YQ=="',
        '{"_attachments": {"a": {"data": "Y\\u0051=="}}}',
        '{"_attachments": {"a": {"data": "YQ==", "data": "YQ=="}}}',
    ],
)
def test_what_is_no_such_document_is_refused(text):
    for sizes in ((1,), (1 << 16,)):
        with pytest.raises(Invalid):
            read(text.encode("latin-1"), sizes)


def test_a_document_has_limits():
    with pytest.raises(TooLarge):
        read(b"[" * (attachments.DEPTH_MAX + 1))
    files = {str(each): {"data": "YQ=="} for each in range(attachments.FILES_MAX + 1)}
    with pytest.raises(TooLarge):
        read(json.dumps({"_attachments": files}).encode())
    with pytest.raises(TooLarge, match="more than 1000 bytes"):
        read(json.dumps({"a": "x" * 1001}).encode(), max_bytes=1000)
    data = base64.b64encode(b"x" * 5000).decode()
    body = json.dumps({"_attachments": {"a": {"data": data}}}).encode()
    with read(body, max_bytes=1000) as found:
        assert len(found.files["a"].data) == 5000


def test_files_of_a_refused_document_are_closed():
    opened = []

    def open_file(name):
        opened.append(File(name))
        return opened[-1]

    with pytest.raises(Invalid):
        read(b'{"_attachments": {"a": {"data": "YQ=="}}', open_file=open_file)
    assert [each.is_closed for each in opened] == [True]
