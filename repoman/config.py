"""The settings: one TOML file, overridden by ``REPOMAN_<SECTION>__<KEY>`` in the environment.

They are read once by :func:`load_settings` and passed to the objects that need
them; no module reads them itself. What an administrator changes while the server runs
(repositories, users) is in the database instead.
"""

import difflib
import logging
import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
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
from repoman.external_url import ContextPath, ExternalUrl
from repoman.problems import setting_problems

PREFIX = "REPOMAN_"
CONFIG = "REPOMAN_CONFIG"  # The environment variable that names the configuration file.
OTHERS = frozenset({CONFIG, "REPOMAN_TRACE_PLUGINS"})  # Variables that are not settings.
NEXUS_VERSION = re.compile(r"\d{1,2}\.\d{1,2}\.\d{1,2}-\d{1,2}")
PASSWORD_MIN_CHARS = 8  # The shortest password that is accepted.
# The configuration file of an installed server.
SYSTEM_CONFIG = Path("/etc/repoman/repoman.toml")

_log = logging.getLogger(__name__)

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]


def _check_nexus_version(version: str) -> str:
    """Return a version that clients can read; some fail at numbers above 127."""
    if version and not NEXUS_VERSION.fullmatch(version):
        raise ValueError("must be a version such as 3.83.0-08, with numbers of at most two digits")
    return version


NexusVersion = Annotated[str, AfterValidator(_check_nexus_version)]


class _Part(BaseModel):
    """A table of the settings file; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(_Part):
    """Where the server listens and what it allows a client. Sizes in bytes, times in seconds."""

    host: str = Field("127.0.0.1", description="Address of the main port and of all connectors.")
    port: Port = Field(8081, description="The main port: UI, REST and /repository/<name>/.")
    https_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="The main port with TLS, in addition to the plain one; 0: none.",
    )
    external_url: ExternalUrl = Field(
        "",
        description=(
            "Address of the main port as clients know it; empty: the address that the client used."
        ),
    )
    context_path: ContextPath = Field(
        "",
        description=(
            "Path below which the main port serves everything, such as /nexus; empty: the root."
        ),
    )
    trusted_proxies: list[IPvAnyNetwork] = Field(
        default_factory=list,
        description="Addresses or networks of proxies whose X-Forwarded- headers are trusted.",
    )
    nexus_compatibility: NexusVersion = Field(
        "",
        description=(
            "Version of Sonatype Nexus Repository 3, such as 3.83.0-08, that the REST API names "
            "for clients that check it; empty: none."
        ),
    )
    threads: PositiveInt = Field(8, description="Worker threads that run the application.")
    cache_memory: PositiveInt = Field(
        67108864, description="Memory that all caches together may take, in bytes."
    )
    bulk_threads: PositiveInt = Field(2, description="Threads that move large bodies and files.")
    connection_limit: PositiveInt = Field(
        4096, description="Most open connections, all ports together."
    )
    backlog: PositiveInt = Field(
        1024, description="Most connections that the kernel queues per port."
    )
    header_limit: PositiveInt = Field(65536, description="Largest request header, in bytes.")
    body_buffer_limit: PositiveInt = Field(
        33554432, description="Largest body that is held in memory or a temporary file, in bytes."
    )
    handshake_timeout: Seconds = Field(10, description="Timeout for the TLS handshake, in seconds.")
    header_timeout: Seconds = Field(
        30, description="Timeout for a complete request header, in seconds."
    )
    idle_timeout: Seconds = Field(
        120, description="Seconds after which an idle connection is closed."
    )
    stall_timeout: Seconds = Field(
        60, description="Seconds in which a transfer must move at least 4 KiB."
    )
    linger_timeout: Seconds = Field(
        10, description="Seconds to read and discard the rest of a refused request body."
    )
    linger_limit: PositiveInt = Field(
        67108864, description="Most bytes of a refused request body to read and discard."
    )
    drain_timeout: Seconds = Field(
        30, description="Seconds that running requests get to finish at shutdown."
    )


class CertificateSettings(_Part):
    """A certificate and its key, as PEM files; paths are relative to the data directory."""

    certificate: Path = Field(description="The certificate, followed by its chain.")
    private_key: Path = Field(description="The private key of the certificate.")


class TlsSettings(_Part):
    """The certificates of the HTTPS connectors. Changed files are loaded without a restart."""

    certificate: Path = Field(
        Path("tls/server.crt"), description="The certificate, followed by its chain."
    )
    private_key: Path = Field(
        Path("tls/server.key"), description="The private key of the certificate."
    )
    hosts: dict[str, CertificateSettings] = Field(
        default_factory=dict,
        description="Additional certificates, by the host name that clients connect to.",
    )


class CatalogSettings(_Part):
    """Lists of content, across repositories."""

    scan_limit: PositiveInt = Field(
        2_000,
        description="Maximum number of rows that one page of a list examines; the rest is on "
        "further pages.",
    )
    page_limit: PositiveInt = Field(500, description="Maximum number of items on a page.")
    versions_limit: PositiveInt = Field(
        10_000,
        description="Maximum number of components that a list of the versions of a component "
        "examines; of more, it has the newest versions.",
    )
    preview_limit: PositiveInt = Field(
        200_000,
        description="Maximum number of components that a preview of cleanup policies examines.",
    )
    growth_days: PositiveInt = Field(
        730, description="Days for which the daily sums of used space are kept."
    )


class DatabaseSettings(_Part):
    """The embedded database."""

    busy_timeout: Seconds = Field(15, description="Seconds that a write waits for other writers.")
    reserve_size: int = Field(
        33554432,
        ge=0,
        description=(
            "Bytes of disk space reserved so that deletions work when the disk is full; 0: none."
        ),
    )


class StorageSettings(_Part):
    """The disks of the database and of blob stores in directories."""

    min_free: int = Field(
        1073741824,
        ge=0,
        description="Bytes of a disk that must stay free, or nothing new is stored; 0: none.",
    )
    min_free_percent: float = Field(
        2, ge=0, lt=100, description="The same in percent of the disk; the smaller one counts."
    )


class BlobStoreSettings(_Part):
    """One blob store; keys other than ``type`` belong to the type."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str = Field("file", description="Type of the blob store; plugins can add types.")


class SecuritySettings(_Part):
    """Authentication."""

    anonymous_read: bool = Field(
        False, description="Whether clients can read without authentication."
    )
    password_memory: float = Field(
        50, ge=0, le=50, description="Seconds for which a verified password is cached."
    )
    password_min_chars: int = Field(
        0,
        ge=0,
        le=100,
        description=(
            f"Characters that a password has at least; 0: {PASSWORD_MIN_CHARS}, and 1 with "
            "server.nexus_compatibility."
        ),
    )
    password_cost: int = Field(
        19456, ge=8192, le=4194304, description="Memory for hashing a password, in KiB."
    )
    login_failures: int = Field(
        10,
        ge=0,
        description=(
            "Failed logins of a user from one address before further attempts are "
            "delayed; 0: no limit."
        ),
    )
    token_lifetime: int = Field(
        300, ge=60, le=86400, description="Lifetime of a bearer token, in seconds."
    )
    login_wait: Seconds = Field(300, description="Longest delay after failed logins, in seconds.")
    key_file: Path = Field(
        Path("keys/secrets.key"),
        description="The keys that encrypt secrets in the database; created at the first start.",
    )
    hsts: int = Field(
        31536000,
        ge=0,
        description=(
            "Seconds for which browsers that used HTTPS must keep using it (HSTS); 0: not sent."
        ),
    )


class SessionSettings(_Part):
    """Logins in the browser. Times in seconds."""

    idle_timeout: float = Field(
        7200, ge=300, description="Seconds without a request after which a session ends."
    )
    per_user: PositiveInt = Field(
        100, description="Most sessions of a user; with more of them the oldest ends."
    )
    lifetime: float = Field(
        86400, ge=300, description="Seconds after which a session ends in any case."
    )


class AuditSettings(_Part):
    """The audit log."""

    days: PositiveInt = Field(90, description="Days for which events are kept.")
    pulls: bool = Field(False, description="Whether pulls are recorded as events.")
    file: str = Field(
        "",
        description=(
            "File that receives the same events as JSON lines; relative to the data directory."
        ),
    )
    file_size: PositiveInt = Field(
        104857600, description="Size at which the file is rotated to FILE.1, in bytes."
    )


class TaskSettings(_Part):
    """The tasks of the server."""

    concurrent: PositiveInt = Field(4, description="Most runs of tasks at the same time.")


class DoctorSettings(_Part):
    """What the doctor checks, and when."""

    interval: int = Field(
        3600, ge=60, description="Seconds after which all checks of the doctor are made again."
    )
    timeout: Seconds = Field(5, description="Seconds that a check may take.")
    certificate_days: PositiveInt = Field(
        30, description="Days before the end of a certificate from which on it is a finding."
    )
    free_space: PositiveInt = Field(
        5368709120, description="Free bytes of a disk below which it is a finding."
    )


class PluginSettings(_Part):
    """The installed plugins. One that cannot be loaded is left out, and the doctor tells of it."""

    required: list[str] = Field(
        default_factory=list,
        description="Names of plugins without which the server does not start.",
    )


class EventSettings(_Part):
    """What is kept of changes and pulls of content."""

    days: PositiveInt = Field(30, description="Days for which events of content are kept.")
    pull_days: PositiveInt = Field(
        400, description="Days for which it is kept how often something was pulled each day."
    )


class LogSettings(_Part):
    """What is logged, to standard error."""

    level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Lowest level that is logged."
    )
    access: bool = Field(True, description="Whether every request is logged.")


class BootstrapRepository(_Part):
    """A repository to create in an empty database."""

    name: str
    recipe: str = Field(description="Format and type, joined by a hyphen.")
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)


class BootstrapSettings(_Part):
    """What to create in an empty database."""

    repositories: list[BootstrapRepository] = Field(default_factory=list)


def _default_blob_stores() -> dict[str, BlobStoreSettings]:
    return {"default": BlobStoreSettings.model_validate({"type": "file", "path": "blobs/default"})}


class Settings(BaseSettings):
    """All settings; see ``docs/configuration.md`` for each key."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    data: Path = Field(Path("data"), description="Directory that holds all data.")
    server: ServerSettings = ServerSettings()
    tls: TlsSettings = TlsSettings()
    database: DatabaseSettings = DatabaseSettings()
    catalog: CatalogSettings = CatalogSettings()
    storage: StorageSettings = StorageSettings()
    blob_stores: dict[str, BlobStoreSettings] = Field(default_factory=_default_blob_stores)
    security: SecuritySettings = SecuritySettings()
    sessions: SessionSettings = SessionSettings()
    audit: AuditSettings = AuditSettings()
    tasks: TaskSettings = TaskSettings()
    doctor: DoctorSettings = DoctorSettings()
    plugins: PluginSettings = PluginSettings()
    events: EventSettings = EventSettings()
    log: LogSettings = LogSettings()
    bootstrap: BootstrapSettings = BootstrapSettings()

    @property
    def password_min_chars(self) -> int:
        """How many characters a password has at least.

        Clients that are written for Sonatype Nexus Repository 3 set passwords of any length.
        """
        usual = 1 if self.server.nexus_compatibility else PASSWORD_MIN_CHARS
        return self.security.password_min_chars or usual

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
    """Return the settings of a TOML file, overridden by those of the environment.

    Without ``config`` the file is the one that ``REPOMAN_CONFIG`` names, else
    ``/etc/repoman/repoman.toml``, else the shipped one. ``data`` overrides the data directory of
    file and environment. Variables that look like settings but are not are logged.

    Raises:
        Invalid: the file cannot be read, is not TOML, or a value is wrong (with the key's path).
    """
    config, text = _read_config(config)
    values = _parse_toml(config, text)
    for warning in _unknown_variables(os.environ):
        _log.warning(warning)
    try:
        settings = Settings(**values)
    except ValidationError as error:
        where = f" in {config} or in the environment" if config else " in the environment"
        raise Invalid("\n".join(setting_problems(error, where))) from error
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
    """Yield a warning for each variable with our prefix that is not a setting.

    It is a warning, not an error: a container platform may set some itself, such as
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
