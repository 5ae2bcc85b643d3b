"""The settings: one TOML file, overridden by ``REPOMAN_<SECTION>__<KEY>`` in the environment.

They are read once by :func:`load_settings` and handed to whoever needs them; no module reads them
by itself. What an administrator changes while the server runs (repositories, users) is in the
database instead.
"""

import difflib
import logging
import os
import tomllib
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    PositiveInt,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from repoman.errors import Invalid
from repoman.external_url import ExternalUrl
from repoman.problems import problem_of

PREFIX = "REPOMAN_"
CONFIG = "REPOMAN_CONFIG"  # The environment variable that names the configuration file.
OTHERS = frozenset({CONFIG, "REPOMAN_TRACE_PLUGINS"})  # Variables that are not settings.
# The configuration file of an installed server.
SYSTEM_CONFIG = Path("/etc/repoman/repoman.toml")

_log = logging.getLogger(__name__)

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]


class _Part(BaseModel):
    """A table of the settings file; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(_Part):
    """Where the server listens and what it allows a client. Sizes in bytes, times in seconds."""

    host: str = Field("127.0.0.1", description="Address of the main port and of all connectors.")
    port: Port = Field(8081, description="The main port: UI, REST and /repository/<name>/.")
    https_port: int = Field(
        0, ge=0, le=65535, description="The main port with TLS, beside the plain one; 0: none."
    )
    external_url: ExternalUrl = Field(
        "", description="Address of the main port as clients know it; empty: as they ask for it."
    )
    trusted_proxies: list[IPvAnyNetwork] = Field(
        default_factory=list,
        description="Addresses or networks of proxies whose X-Forwarded- headers are believed.",
    )
    threads: PositiveInt = Field(8, description="Worker threads that run the application.")
    bulk_threads: PositiveInt = Field(2, description="Threads that move large bodies and files.")
    connection_limit: PositiveInt = Field(4096, description="Open connections, all ports together.")
    backlog: PositiveInt = Field(1024, description="Connections the kernel may queue per port.")
    header_limit: PositiveInt = Field(65536, description="Largest request header.")
    body_buffer_limit: PositiveInt = Field(
        33554432, description="Largest body that is held in memory or a temporary file."
    )
    handshake_timeout: Seconds = Field(10, description="Time to complete a TLS handshake.")
    header_timeout: Seconds = Field(30, description="Time to send a complete request header.")
    idle_timeout: Seconds = Field(120, description="Time between two requests of a connection.")
    stall_timeout: Seconds = Field(60, description="Time in which a transfer has to move 4 KiB.")
    linger_timeout: Seconds = Field(10, description="Time to swallow a body after refusing it.")
    linger_limit: PositiveInt = Field(67108864, description="Bytes to swallow after refusing.")
    drain_timeout: Seconds = Field(30, description="Time that running requests get at the end.")


class CertificateSettings(_Part):
    """A certificate and its key, as PEM files; relative paths are below the data directory."""

    certificate: Path = Field(description="The certificate, followed by its chain.")
    private_key: Path = Field(description="The key of the certificate.")


class TlsSettings(_Part):
    """The certificates of the HTTPS connectors. Changed files are taken over while running."""

    certificate: Path = Field(
        Path("tls/server.crt"), description="The certificate, followed by its chain."
    )
    private_key: Path = Field(Path("tls/server.key"), description="The key of the certificate.")
    hosts: dict[str, CertificateSettings] = Field(
        default_factory=dict, description="Other certificates, by the host name clients ask for."
    )


class DatabaseSettings(_Part):
    """The embedded database."""

    busy_timeout: Seconds = Field(15, description="Time that a write waits for others.")
    reserve_size: int = Field(
        33554432,
        ge=0,
        description="Bytes that are kept back, so that deletions work on a full disk; 0: none.",
    )


class BlobStoreSettings(_Part):
    """One blob store; keys other than ``type`` belong to the type."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str = Field("file", description="Kind of blob store; plugins may add kinds.")


class SecuritySettings(_Part):
    """Who gets in."""

    anonymous_read: bool = Field(False, description="Whether anybody may read without a login.")
    password_memory: float = Field(
        50, ge=0, le=50, description="Seconds a verified password is remembered."
    )
    password_cost: int = Field(
        19456, ge=8192, le=4194304, description="KiB of memory that hashing a password takes."
    )
    login_failures: int = Field(
        10,
        ge=0,
        description="Wrong passwords for a user from one address before there is a wait; 0: any.",
    )
    token_lifetime: int = Field(
        300, ge=60, le=86400, description="Seconds for which a bearer token is good."
    )
    login_wait: Seconds = Field(300, description="The longest wait after a wrong password.")
    key_file: Path = Field(
        Path("keys/secrets.key"),
        description="The keys of what is secret in the database; made at the first start.",
    )
    hsts: int = Field(
        31536000,
        ge=0,
        description="Seconds for which browsers that came by HTTPS come by nothing else.",
    )


class SessionSettings(_Part):
    """Logins in the browser. Times in seconds."""

    idle_timeout: float = Field(
        7200, ge=300, description="Time without a request after which a session ends."
    )
    lifetime: float = Field(86400, ge=300, description="Time after which it ends in any case.")


class AuditSettings(_Part):
    """The audit log."""

    days: PositiveInt = Field(90, description="Days that events are kept.")
    pulls: bool = Field(False, description="Whether pulls are events too.")
    file: str = Field(
        "", description="A file of JSON lines with the same events; relative paths begin in data."
    )
    file_size: PositiveInt = Field(
        104857600, description="Bytes at which the file is put aside as FILE.1."
    )


class LogSettings(_Part):
    """What is logged, to standard error."""

    level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level.")
    access: bool = Field(True, description="Whether each request writes a line.")


class BootstrapRepository(_Part):
    """A repository made in an empty database."""

    name: str
    recipe: str = Field(description="Format and type, joined by a hyphen.")
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)


class BootstrapSettings(_Part):
    """What an empty database is filled with."""

    repositories: list[BootstrapRepository] = Field(default_factory=list)


def _default_blob_stores() -> dict[str, BlobStoreSettings]:
    return {"default": BlobStoreSettings.model_validate({"type": "file", "path": "blobs/default"})}


class Settings(BaseSettings):
    """All settings; see ``docs/configuration.md`` for each key."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    data: Path = Field(Path("data"), description="Directory that holds everything stored.")
    server: ServerSettings = ServerSettings()
    tls: TlsSettings = TlsSettings()
    database: DatabaseSettings = DatabaseSettings()
    blob_stores: dict[str, BlobStoreSettings] = Field(default_factory=_default_blob_stores)
    security: SecuritySettings = SecuritySettings()
    sessions: SessionSettings = SessionSettings()
    audit: AuditSettings = AuditSettings()
    log: LogSettings = LogSettings()
    bootstrap: BootstrapSettings = BootstrapSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, whose values arrive as init arguments."""
        return env_settings, init_settings


def shipped_config() -> str:
    """Return the text of the configuration file inside the package, as TOML."""
    return resources.files("repoman.conf").joinpath("repoman.toml").read_text(encoding="utf-8")


def load_settings(config: Path | None = None, data: Path | None = None) -> Settings:
    """Return the settings of a TOML file, with those of the environment before them.

    Without ``config`` the file is the one that ``REPOMAN_CONFIG`` names, else
    ``/etc/repoman/repoman.toml``, else the shipped one. ``data`` overrides the data directory of
    file and environment. Variables that look like settings and are none are logged.

    Raises:
        Invalid: the file cannot be read, is no TOML, or a value is wrong (with the key's path).
    """
    config, text = _read_config(config)
    values = _parse_toml(config, text)
    for warning in _unknown_variables(os.environ):
        _log.warning(warning)
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise Invalid("\n".join(_explain(error, config))) from error
    except SettingsError as error:
        raise Invalid(_explain_json(error)) from error
    return settings.model_copy(update={"data": data}) if data is not None else settings


def _explain_json(error: SettingsError) -> str:
    """Return which variable should have been JSON: the one with the text that was not."""
    text = getattr(error.__cause__, "doc", None)
    names = [
        name
        for name, value in os.environ.items()
        if value == text and name.upper().startswith(PREFIX)
    ]
    if not names:
        return f"The environment cannot be read: {error}."
    return (
        f"The environment variable {' or '.join(names)} must be JSON, "
        'such as ["10.0.0.0/8"] for a list.'
    )


def _read_config(config: Path | None) -> tuple[Path | None, str]:
    """Return the configuration file, or None for the shipped one, and its text."""
    named = config or (Path(os.environ[CONFIG]) if os.environ.get(CONFIG) else None)
    path = named or SYSTEM_CONFIG
    try:
        return path, path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        if named is None:
            return None, shipped_config()
        raise _unreadable(path, error) from error
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _parse_toml(config: Path | None, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(config, error) from error


def _unreadable(config: Path | None, error: Exception) -> Invalid:
    return Invalid(f"The configuration file {config} cannot be read: {error}")


def _unknown_variables(names: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each variable that begins as ours do and means nothing.

    It is a warning and no error: a container platform may set some by itself, such as
    ``REPOMAN_SERVICE_HOST`` where the service is called repoman. What follows the name of a known
    section is checked with the settings.
    """
    sections = {f"{PREFIX}{name.upper()}": field for name, field in Settings.model_fields.items()}
    for name in sorted(name for name in names if name.upper().startswith(PREFIX)):
        section = name.upper().partition("__")[0]
        if section not in sections and name not in OTHERS:
            guess = difflib.get_close_matches(name.upper(), _known_variables(sections), 1)
            hint = f" Did you mean {guess[0]}?" if guess else ""
            yield f"The environment variable {name} is not a setting and has no effect.{hint}"


def _known_variables(sections: dict[str, Any]) -> Iterator[str]:
    yield from OTHERS
    for section, field in sections.items():
        yield section
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"{section}__{key.upper()}" for key in field.annotation.model_fields)


def _explain(error: ValidationError, config: Path | None) -> Iterator[str]:
    where = f" in {config} or in the environment" if config else " in the environment"
    for item in error.errors():
        path = ".".join(str(part) for part in item["loc"])
        problem = "is not a known key" if item["type"] == "extra_forbidden" else problem_of(item)
        yield f"Setting {path}{where}: {problem}"
