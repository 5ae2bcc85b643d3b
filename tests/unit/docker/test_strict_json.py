import json
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.strict_json import MAX_SIZE, JsonObject, parse_object
from tests.clock import cpu_limit

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{} x", "not JSON"),
        (b"{}{}", "not JSON"),
        (b"{}\x00", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": 1,}', "not JSON"),
        (b'{"a": "\n"}', "not JSON"),
        (b'{"a": 01}', "not JSON"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b'{"a": -Infinity}', "-Infinity is not a number"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        ("{}".encode("utf-16"), "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'"a"', "not a JSON object"),
        (b'{"a": 1, "b": 2, "a": 1}', "the field 'a' more than once"),
        (b'{"x": [{"a": 1, "\\u0061": 2}]}', "the field 'a' more than once"),
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"a":' * 1_000_000, "nested too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
    ],
)
def test_what_parsers_could_disagree_on_is_refused(body, words):
    with pytest.raises(RegistryError) as caught:
        parse_object(body)
    assert (caught.value.code, caught.value.status) == (ErrorCode.MANIFEST_INVALID, 400)
    assert words in caught.value.message


def test_surrounding_white_space_is_allowed():
    assert "a" in parse_object(b' \r\n\t{"a": 1}\n\n')


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000, "1." + "9" * 5000, "1e999999999"])
def test_huge_numbers_are_accepted_where_they_do_not_matter(number):
    fields = parse_object(b'{"x": %s}' % number.encode())
    assert "x" in fields
    with pytest.raises(RegistryError):
        fields.integer("x")


def test_a_huge_number_takes_no_time():
    with cpu_limit(5):
        parse_object(b'{"x": %s}' % (b"9" * 4_000_000))


def test_fields_are_read_with_their_types():
    fields = parse_object(
        b'{"t": "x", "i": 2, "o": {"i": 3}, "l": [{"i": 4}, {"i": 5}],'
        b' "ts": ["a", "b"], "m": {"k": "v"}}'
    )
    assert fields.text("t") == "x"
    assert fields.integer("i") == fields.size("i") == 2
    assert fields.record("o").integer("i") == 3
    assert [entry.integer("i") for entry in fields.records("l")] == [4, 5]
    assert fields.texts("ts") == ("a", "b")
    assert fields.text_map("m") == {"k": "v"}


@pytest.mark.parametrize("fields", [JsonObject({}), JsonObject({"a": None})])
def test_null_counts_as_absent(fields):
    assert "a" not in fields
    assert fields.text("a") == ""
    assert fields.integer("a") is None
    assert fields.record("a") is None
    assert list(fields.records("a")) == []
    assert fields.texts("a") == ()
    assert fields.text_map("a") == {}
    with pytest.raises(RegistryError, match="'a' must be a number of bytes"):
        fields.size("a")


def test_a_field_that_is_null_is_given_all_the_same():
    assert JsonObject({"a": None}).is_given("a")
    assert not JsonObject({}).is_given("a")


@pytest.mark.parametrize(
    ("read", "value"),
    [
        *((JsonObject.text, value) for value in (1, True, [], {}, "\ud800", "a\udfff")),
        *((JsonObject.integer, value) for value in ("1", True, 2.0, [], {})),
        *((JsonObject.size, value) for value in (-1, MAX_SIZE + 1, 1.0, False, "1")),
        *((JsonObject.record, value) for value in (1, "x", [])),
        *((JsonObject.texts, value) for value in ("x", {}, [1], [None], ["\ud800"])),
        *((JsonObject.text_map, value) for value in ([], {"a": 1}, {"a": None}, {"\ud800": ""})),
        *((lambda f, k: list(f.records(k)), value) for value in ({}, "x", [1], [None], [[]])),
    ],
)
def test_other_types_are_refused(read, value):
    with pytest.raises(RegistryError, match=r"In the manifest, 'a.* must|contains") as caught:
        read(JsonObject({"a": value}), "a")
    assert caught.value.code is ErrorCode.MANIFEST_INVALID


def test_the_error_names_the_place():
    fields = parse_object(b'{"layers": [{}, {"annotations": {"k": 1}}]}')
    second = list(fields.records("layers"))[1]
    with pytest.raises(RegistryError, match=r"'layers\[1\]\.annotations\.k' must be a string"):
        second.text_map("annotations")


def test_sizes_fit_into_a_database():
    assert JsonObject({"a": MAX_SIZE}).size("a") == 2**63 - 1


@pytest.mark.parametrize("key", ["Layers", "LAYERS", "layerS", "layer\u017f"])
def test_known_fields_in_another_case_are_refused(key):
    known = {"layers": "layers"}
    with pytest.raises(RegistryError, match="must be written layers"):
        JsonObject({"layers": [], key: []}).check_case(known)
    JsonObject({"layers": [], "other": 1, "Other": 2}).check_case(known)


def test_values_are_found_at_any_depth():
    fields = parse_object(b'{"d": 1, "x": [{"d": 2}, [{"y": {"d": {"d": 3}}}]], "z": "d"}')
    found = list(fields.values_of("d"))
    assert {value for value in found if isinstance(value, int)} == {1, 2, 3}
    assert len(found) == 4


@given(st.binary() | st.text().map(str.encode) | JSON.map(lambda value: json.dumps(value).encode()))
@example(b'{"\\ud800": 1}')
def test_any_bytes_are_an_object_or_a_registry_error(body):
    try:
        fields = parse_object(body)
    except RegistryError:
        return
    assert isinstance(json.loads(body), dict)
    assert list(fields.values_of("no such field")) == []


@given(st.dictionaries(st.just("a"), JSON, min_size=1))
def test_any_field_is_read_or_a_registry_error(value):
    fields = JsonObject(value)
    for read in (
        fields.text,
        fields.integer,
        fields.size,
        fields.record,
        fields.texts,
        fields.text_map,
        lambda key: list(fields.records(key)),
    ):
        with suppress(RegistryError):
            read("a")


@given(st.text())
def test_the_text_of_an_error_is_short_and_printable_whatever_the_key(key):
    error = JsonObject({}, "a").error(key, "is wrong")
    assert error.message.isprintable()
    assert len(error.message) < 1000
