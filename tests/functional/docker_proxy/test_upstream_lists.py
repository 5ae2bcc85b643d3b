"""Lists of upstreams in pages: links that lead astray, and that no list is cut without a word."""

import pytest

from tests.fakes.scripted import reply
from tests.functional.docker.images import OCI_INDEX, OCI_MANIFEST
from tests.functional.docker_proxy.shapes import NAME, by_token, guarded

TAGS = [f"t{number:03}" for number in range(250)]
LIST = f"{NAME}/tags/list"


def pages(make_link, prefix="", tags=TAGS, size=100):
    """Answer with a list in pages, each with the link that ``make_link`` returns."""

    def answer(asked):
        if asked.path != f"{prefix}/v2/{LIST}":
            return reply(404)
        left = [tag for tag in tags if tag > asked.query.get("last", [""])[0]]
        page = left[:size]
        link = make_link(page[-1]) if len(left) > size else None
        headers = {} if link is None else {"Link": link}
        return reply(200, {"name": NAME, "tags": page}, **headers)

    return answer


@pytest.mark.parametrize(
    ("link", "prefix"),
    [
        ('</v2/{list}?n=100&last={last}>; rel="next"', ""),
        ('<{url}/v2/{list}?n=100&last={last}>; rel="next"', ""),
        ("</v2/{list}?n=100&last={last}>;rel=next", ""),
        ('</v2/{list}?n=100&last={last}>; title="a, b"; rel="last next"', ""),
        ('</other>; rel="prev", </v2/{list}?last={last}>; REL="next"', ""),
        ('<?n=100&last={last}>; rel="next"', ""),
        ('<list?n=100&last={last}>; rel="next"', ""),
        ('<https://127.0.0.1:{port}/v2/{list}?n=100&last={last}>; rel="next"', ""),
        ('<http://internal.example/v2/{list}?n=100&last={last}>; rel="next"', ""),
        ('<http://internal.example:5000/v2/other/tags/list?last={last}>; rel="next"', ""),
        ('<//internal.example/v2/{list}?last={last}>; rel="next"', ""),
        ('<http://[bad/v2/{list}?last={last}>; rel="next"', ""),
        ('</v2/{list}?n=100&last={last}>; rel="next"', "/api/docker/remote"),
        ('</api/docker/remote/v2/{list}?last={last}>; rel="next"', "/api/docker/remote"),
        ('</v2/remote/{list}?last={last}>; rel="next"', "/api/docker/remote"),
    ],
)
def test_a_list_goes_on_wherever_its_link_points(make_proxy, script, link, prefix):
    def make_link(last):
        return link.format(list=LIST, last=last, url=server.url, port=server.port)

    server = script(pages(make_link, prefix))
    proxy = make_proxy(server.url + prefix)
    answer = proxy.get(LIST)
    assert answer.json()["tags"] == TAGS
    assert "Warning" not in answer.headers
    assert len(server.log) == 3
    proxy.get(LIST)
    assert len(server.log) == 3  # it was kept


@pytest.mark.parametrize(
    "link",
    ['<http://internal.example/page/2>; rel="next"', '<http://internal.example/?n=1>; rel="next"'],
)
def test_a_list_that_cannot_be_followed_says_so_and_is_not_kept(make_proxy, script, link):
    server = script(lambda asked: reply(200, {"tags": ["a"]}, Link=link))
    proxy = make_proxy(server.url)
    for _ in range(2):
        answer = proxy.get(LIST)
        assert answer.json()["tags"] == ["a"]
        assert f"The list of the remote {server.url} may be incomplete" in answer.headers["Warning"]
    assert len(server.log) >= 2


def test_a_list_whose_next_page_fails_says_so(make_proxy, script):
    server = script(
        lambda asked: (
            reply(404)
            if "last" in asked.query
            else reply(200, {"tags": ["a"]}, Link=f'</v2/{LIST}?last=a>; rel="next"')
        )
    )
    answer = make_proxy(server.url).get(LIST)
    assert answer.json()["tags"] == ["a"]
    assert "may be incomplete" in answer.headers["Warning"]


@pytest.mark.parametrize("tags", [["a", "b"], ["a"]])
@pytest.mark.parametrize("last", ["b", "{count}", ""])
def test_a_link_that_brings_nothing_new_ends_the_list(make_proxy, script, tags, last):
    def answer(_):
        number = last.format(count=len(server.log))
        return reply(200, {"tags": tags}, Link=f'</v2/{LIST}?last={number}>; rel="next"')

    server = script(answer)
    found = make_proxy(server.url).get(LIST)
    assert found.json()["tags"] == tags
    assert "Warning" not in found.headers
    assert len(server.log) == 2


def test_pages_without_an_entry_are_passed_over(make_proxy, script):
    """Registries that filter by rights send some."""

    def answer(asked):
        number = int(asked.query.get("page", ["0"])[0])
        link = f'</v2/{LIST}?page={number + 1}>; rel="next"'
        entries = ["a"] if number == 0 else ["b"] if number == 5 else []
        return reply(200, {"tags": entries}, **({} if number == 5 else {"Link": link}))

    assert make_proxy(script(answer).url).get(LIST).json()["tags"] == ["a", "b"]


def test_pages_without_an_entry_end_somewhere(make_proxy, script):
    def answer(_):
        return reply(200, {"tags": []}, Link=f'</v2/{LIST}?page={len(server.log)}>; rel="next"')

    server = script(answer)
    assert "may be incomplete" in make_proxy(server.url).get(LIST).headers["Warning"]
    assert len(server.log) < 20


def test_a_list_without_links_that_is_cut_at_what_was_asked_for(make_proxy, script):
    tags = [f"t{number:05}" for number in range(2500)]
    server = script(pages(lambda last: None, tags=tags, size=1000))
    assert make_proxy(server.url).get(f"{LIST}?n=5000").json()["tags"] == tags
    assert [each.query.get("last") for each in server.log] == [None, ["t00999"], ["t01999"]]


def test_a_list_of_exactly_that_length_that_knows_no_pages(make_proxy, script):
    tags = [f"t{number:05}" for number in range(1000)]
    server = script(lambda asked: reply(200, {"tags": tags}))
    assert make_proxy(server.url).get(f"{LIST}?n=5000").json()["tags"] == tags
    assert len(server.log) == 2


@pytest.mark.parametrize("body", [{"name": NAME, "tags": None}, {"name": NAME}, {"tags": []}])
def test_an_image_without_tags(make_proxy, script, body):
    assert make_proxy(script(lambda asked: reply(200, body)).url).get(LIST).json()["tags"] == []


def test_a_list_at_another_registry_goes_on_there(make_proxy, script):
    second = script(
        guarded(
            by_token(lambda: second.url),
            pages(lambda last: f'</v2/{LIST}?n=100&last={last}>; rel="next"'),
        )
    )
    first = script(lambda asked: reply(307, Location=f"{second.url}{asked.path}"))
    assert make_proxy(first.url).get(LIST).json()["tags"] == TAGS


def test_referrers_in_pages_go_on_too(make_proxy, script):
    entries = [
        {"mediaType": OCI_MANIFEST, "digest": f"sha256:{number:064}", "size": 7}
        for number in range(5)
    ]
    subject = f"sha256:{'b' * 64}"

    def answer(asked):
        start = int(asked.query.get("from", ["0"])[0])
        link = {"Link": f'<http://internal/x?from={start + 2}>; rel="next"'} if start < 4 else {}
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries[start:][:2]}
        return reply(200, index, Content_Type=OCI_INDEX, **link)

    found = make_proxy(script(answer).url).get(f"{NAME}/referrers/{subject}")
    assert [each["digest"] for each in found.json()["manifests"]] == [
        each["digest"] for each in entries
    ]
