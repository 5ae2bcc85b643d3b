"""The configuration file inside the package: it shows every key, with its default."""

import json
import os
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import BaseModel

from repoman.cli import cli
from repoman.config import Settings, load_settings, shipped_config
from repoman.core import Repoman
from tests.live import free_port


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """The developer's own REPOMAN_ variables are none of these tests' business."""
    for name in [name for name in os.environ if name.upper().startswith("REPOMAN_")]:
        monkeypatch.delenv(name)


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key of a settings class and of the classes below it, as dotted paths."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from keys(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def holds(values: Any, path: str) -> bool:
    """Whether the parsed file has the key."""
    for part in path.split("."):
        if part not in values:
            return False
        values = values[part]
    return True


def test_the_shipped_file_equals_the_defaults_except_for_the_repositories_it_begins_with():
    shipped, defaults = load_settings().model_dump(), Settings().model_dump()
    assert shipped.pop("bootstrap") != defaults.pop("bootstrap")
    assert shipped == defaults


@pytest.mark.parametrize("path", sorted(keys(Settings)))
def test_the_shipped_file_shows(path):
    assert holds(tomllib.loads(shipped_config()), path)


def test_each_key_of_the_shipped_file_has_a_comment_above_it():
    lines = shipped_config().splitlines()
    bare = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if "=" in line and not line.startswith("#") and not before.startswith("#")
    ]
    assert bare == []


def test_the_shipped_file_says_what_the_settings_say_of_each_key():
    text = " ".join(line.lstrip("# ") for line in shipped_config().splitlines())
    missing = [text_of for text_of in descriptions(Settings) if text_of.rstrip(".") not in text]
    assert missing == []


def descriptions(model: type[BaseModel]) -> Iterator[str]:
    """The description of every key with a default in the file."""
    for field in model.model_fields.values():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from descriptions(inner)
        elif field.description is not None:
            yield field.description


def test_an_empty_database_begins_with_own_images_docker_hub_and_both_behind_one_address():
    hosted, hub, group = load_settings().bootstrap.repositories
    assert (hosted.name, hosted.recipe) == ("docker-hosted", "docker-hosted")
    assert hosted.settings == {"docker": {"http_port": 5001}}
    assert (hub.name, hub.recipe) == ("docker-hub", "docker-proxy")
    assert hub.settings["proxy"] == {"remote_url": "https://registry-1.docker.io"}
    assert hub.settings["docker_proxy"] == {"index_type": "hub"}
    assert (group.name, group.recipe) == ("docker-group", "docker-group")
    assert group.settings["group"] == {"members": ["docker-hosted", "docker-hub"]}
    assert group.settings["docker"] == {"http_port": 5000, "v1_enabled": True}
    assert hub.settings["docker"] == {"v1_enabled": True}


def test_an_empty_database_takes_the_shipped_repositories(tmp_path):
    settings = load_settings(data=tmp_path)
    for repository in settings.bootstrap.repositories:
        repository.settings.setdefault("docker", {})["http_port"] = free_port()
    with Repoman(settings) as repoman:
        assert [each.problem for each in repoman.repositories.all()] == [None, None, None]


def test_what_check_config_prints_has_no_secrets(tmp_path):
    path = tmp_path / "repoman.toml"
    path.write_text(
        '[blob_stores.cloud]\ntype = "s3"\nbucket = "images"\nsecret_key = "hunter2"\n'
        'credentials = { user = "hunter2" }\nmirrors = [{ url = "x", password = "hunter2" }]\n'
        '[[bootstrap.repositories]]\nname = "hub"\nrecipe = "docker-proxy"\n'
        'settings.http_client = { username = "ann", password = "hunter2" }\n'
    )
    done = CliRunner().invoke(cli, ["check-config", "--config", str(path)])
    assert done.exit_code == 0, done.output
    assert "hunter2" not in done.output
    shown = json.loads(done.stdout)
    store = shown["blob_stores"]["cloud"]
    assert (store["bucket"], store["secret_key"]) == ("images", "**********")
    assert (store["credentials"], store["mirrors"][0]["url"]) == ("**********", "x")
    assert shown["bootstrap"]["repositories"][0]["settings"]["http_client"]["username"] == "ann"
    assert shown["security"]["key_file"] == "keys/secrets.key"
