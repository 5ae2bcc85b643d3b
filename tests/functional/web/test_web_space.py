"""Where the disk space went, on pages and over REST: as far as the visitor may know."""

import re

import pytest

from repoman.catalog.sample_records import DAY_S, add_to_samples
from repoman.collection_records import end_pass, save_position
from repoman.db.models import database_proxy
from repoman.security.rights_records import Role
from repoman.testing import ADMIN
from repoman.testing.client import HttpClient
from tests.functional.web.conftest import Browser
from tests.statements import executed_statements

PAGE = "/admin/space"
TAB = "/browse/files/space"
API = "/api/v1"
KIB = 1024


@pytest.fixture
def client(repoman):
    client = HttpClient(repoman)
    repoman.repositories.create("more", "raw-hosted", {})
    for path, data in (
        ("files/only-here.bin", bytes(3 * KIB)),
        ("files/both.bin", b"x" * KIB),
        ("more/both.bin", b"x" * KIB),
    ):
        assert client.put(f"/repository/{path}", data, auth=ADMIN).status_code < 300
    return client


@pytest.fixture
def admin(browser, client):
    browser.log_in()
    return browser


def sign_in(repoman, *privileges):
    """Open a browser of a user with these privileges."""
    repoman.security.roles.create(Role("some", "", "", privileges, ()))
    repoman.users.create("ann", "a password", ["some"])
    browser = Browser(repoman)
    browser.log_in("ann", "a password")
    return browser


def text_of(answer):
    assert answer.status_code == 200
    return re.sub(r"(&nbsp;|\u00a0|<[^>]+>|\s)+", " ", answer.text)


def note_days(repoman, name, *values):
    """Have these values been the sum at the beginning of the last days."""
    now = repoman.proxies.clock()
    today = now - now % DAY_S
    with repoman.database.transaction(touches=()):
        for back, value in enumerate(reversed(values)):
            database_proxy.execute_sql(
                "INSERT OR REPLACE INTO sample (name, period, at, value) VALUES (?, 'day', ?, ?)",
                (name, today - back * DAY_S, value),
            )


def note_freed(repoman, **sizes):
    with repoman.database.transaction(touches=()):
        counts = {f"freed {type_.replace('__', '.')}": size for type_, size in sizes.items()}
        add_to_samples(counts, repoman.proxies.clock())


def test_the_page_says_where_the_space_went(repoman, admin):
    note_freed(repoman, blobstore__compact=7 * KIB, **{"repository__trim-caches": 5 * KIB})
    text = text_of(admin.get(PAGE))
    assert "Without sharing it would be 5.0 KiB" in text
    assert "files 3.0 KiB 1.0 KiB 4.0 KiB" in text
    assert "more 0 B 1.0 KiB 1.0 KiB" in text
    assert "Waiting to be freed 0 B" in text
    assert "0 incomplete uploads 0 B" in text
    assert "Freed in 7 days 7.0 KiB 7.0 KiB in 24 h" in text
    assert "Proxy - Trim caches 5.0 KiB in 7 d, 5.0 KiB in 24 h, given back by compaction" in text
    assert "Write-ahead log" in text
    assert "Growth Stored 4.0 KiB Reclaimable 0 B This is now." in text


def test_what_waits_to_be_freed_counts_also_without_sharing(repoman, client, admin):
    for path in ("files/only-here.bin", "more/both.bin"):
        assert client.delete(f"/repository/{path}", auth=ADMIN).status_code < 300
    assert text_of(admin.get(PAGE)).count("Waiting to be freed 3.0 KiB") == 2
    for path in (PAGE, "/admin/blobstores"):
        assert "Without sharing it would be 4.0 KiB" in text_of(admin.get(path))
    ann = sign_in(repoman, "nx-blobstores-read")
    assert "Without sharing it would be 4.0 KiB" in text_of(ann.get(PAGE))


def test_what_a_rule_could_free_stands_right_below_the_name(repoman, admin):
    id_ = repoman.repositories.get("files").config.id
    with repoman.database.transaction():
        save_position(id_, "", 1, KIB)
        end_pass(id_, 1.0)
    page = admin.get(PAGE).text
    # The name is a block of its own: a break behind it would be an empty line.
    assert re.search(r'class="cut"[^>]*>files</a><span[^>]*>1.0\s*KiB reclaimable by a rule', page)


def test_the_tab_of_a_repository_says_what_it_takes(repoman, admin):
    text = text_of(admin.get(TAB))
    assert "Total 4.0 KiB" in text
    assert "Unique 3.0 KiB freed if this repository goes" in text
    assert "Shared 1.0 KiB" in text
    assert "Growth Total 4.0 KiB Unique 3.0 KiB This is now." in text
    assert "the chart begins tomorrow" in text
    id_ = repoman.repositories.get("files").config.id
    note_days(repoman, f"repository {id_} size", KIB, 2 * KIB, 4 * KIB)
    note_days(repoman, f"repository {id_} own", KIB, KIB, 3 * KIB)
    page = admin.get(f"{TAB}?days=365")
    text = text_of(page)
    assert "Over 3 days" in text
    assert "begins tomorrow" not in text
    assert "Total bytes over 3 days, from 1.0\u00a0KiB to 4.0\u00a0KiB" in page.text
    assert re.search(r"\d{4}-\d\d-\d\d 4.0 KiB 3.0 KiB \d{4}-\d\d-\d\d 2.0 KiB 1.0 KiB", text)
    for order in ("own", "size", "pull", "name", "nonsense"):
        assert admin.get(f"{TAB}?order={order}&days=nonsense").status_code == 200
    assert admin.get(f"{TAB}?after=nonsense").status_code == 406


def test_the_tab_is_for_those_who_see_all_of_a_repository(repoman, admin):
    assert TAB in admin.get("/browse/files").text
    repoman.repositories.create("all", "raw-group", {"group": {"members": ["files"]}})
    assert "/browse/all/space" not in admin.get("/browse/all").text
    assert admin.get("/browse/all/space").status_code == 404
    some = sign_in(repoman, "nx-search-read")
    assert some.get(TAB).status_code in (403, 404)


def test_the_page_is_for_those_who_may_read_blob_stores(repoman, admin):
    assert PAGE in admin.get("/").text
    ann = sign_in(repoman, "nx-blobstores-read")
    text = text_of(ann.get(PAGE))
    assert "Without sharing" in text
    assert "files" not in text, "a repository that she may not know of"
    assert "Space that comes back by itself" not in text
    bob = Browser(repoman)
    repoman.users.create("bob", "a password", [])
    bob.log_in("bob", "a password")
    assert bob.get(PAGE).status_code == 403
    assert PAGE not in bob.get("/account").text


def test_home_says_what_comes_back_by_itself_also_on_a_new_server(repoman, browser):
    browser.log_in()
    text = text_of(browser.get("/"))
    assert "This server is new" in text
    assert "Space that comes back by itself" in text
    assert "without any setting. Nothing had to be freed so far. The next look is" in text
    assert "Admin - Compact blob stores next in" in text
    note_freed(repoman, blobstore__compact=3 * KIB)
    assert "3.0 KiB freed in 7 days, 3.0 KiB in 24 h." in text_of(browser.get("/"))
    [task] = [each for each in repoman.tasks.all() if each.type == "blobstore.compact"]
    repoman.tasks.update(task, is_enabled=False)
    assert "Admin - Compact blob stores" not in text_of(browser.get("/"))


def test_the_page_of_a_blob_store_shows_how_it_grew(repoman, admin):
    told = "Growth Stored 4.0 KiB Reclaimable 0 B This is now."
    assert told in text_of(admin.get("/admin/blobstores/default"))
    note_days(repoman, "store default size", KIB, 2 * KIB)
    assert "Over 2 days" in text_of(admin.get("/admin/blobstores/default"))


def test_it_takes_the_same_statements_however_much_there_is(repoman, admin, client):
    def count(path):
        admin.get(path)
        with executed_statements() as statements:
            admin.get(path)
        return len(statements)

    before = count(PAGE), count(TAB)
    for number in range(20):
        repoman.repositories.create(f"r{number}", "raw-hosted", {})
        client.put(f"/repository/r{number}/a.txt", b"a", auth=ADMIN)
        client.put(f"/repository/files/{number}.txt", b"a", auth=ADMIN)
    repoman.refresh()
    assert (count(PAGE), count(TAB)) <= before


def test_rest_says_the_same(repoman, client):
    def get(path, **options):
        return client.request("GET", f"{API}{path}", auth=ADMIN, **options)

    space = get("/usage/space").json
    [store] = space["blobStores"]
    assert (store["name"], store["size"], store["waiting"]) == ("default", 4 * KIB, 0)
    assert store["repositories"] == [
        {"name": "files", "size": 4 * KIB, "ownSize": 3 * KIB, "byRule": None},
        {"name": "more", "size": KIB, "ownSize": 0, "byRule": None},
    ]
    parts = sum(space[name] for name in ("database", "log", "reserve", "audit"))
    assert space["total"] == 4 * KIB + parts
    note_freed(repoman, blobstore__compact=9)
    freed = {each["type"]: each for each in get("/usage/freed").json}
    assert (freed["blobstore.compact"]["week"], freed["blobstore.compact"]["givesBack"]) == (
        9,
        True,
    )
    assert freed["blobstore.compact"]["tasks"] == ["Admin - Compact blob stores"]
    assert freed["repository.trim-caches"]["day"] == 0
    id_ = repoman.repositories.get("files").config.id
    note_days(repoman, f"repository {id_} size", 1, 5)
    note_days(repoman, f"repository {id_} own", 1, 3)
    days = get("/repositories/files/usage/days?days=1").json
    assert [(each["size"], each["ownSize"]) for each in days] == [(5, 3)]
    assert len(get("/repositories/files/usage/days").json) == 2
    note_days(repoman, "store default size", 8)
    [day] = get("/usage/blobstores/default/days").json
    assert (day["size"], day["reclaimable"]) == (8, 0)
    assert get("/usage/blobstores/none/days").status_code == 404
    assert get("/repositories/files/usage/days?days=0").status_code == 400


def test_rest_is_for_those_who_may(repoman, client):
    repoman.security.roles.create(Role("some", "", "", ("nx-blobstores-read",), ()))
    repoman.users.create("ann", "a password", ["some"])

    def get(path):
        return client.request("GET", f"{API}{path}", auth=("ann", "a password"))

    [store] = get("/usage/space").json["blobStores"]
    assert store["repositories"] == []
    assert get("/usage/freed").status_code == 403
    assert get("/repositories/files/usage/days").status_code == 404
