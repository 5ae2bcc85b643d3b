"""The option sections of the network: how requests of proxies leave this server."""

from typing import ClassVar
from urllib.parse import quote

from pydantic import Field, SecretStr, field_validator

from repoman.errors import Invalid
from repoman.external_url import is_host
from repoman.options import Options
from repoman.proxy.network import HttpProxies, Network
from repoman.sections import Section
from repoman.trust_store import TrustStore

HTTP_OPTIONS = "http"
HTTP_PROXY_OPTIONS = "http_proxy"
HTTPS_PROXY_OPTIONS = "https_proxy"


class HttpOptions(Section):
    """Requests to other servers."""

    user_agent: str | None = Field(
        None, title="User-Agent", description="Text to add to the User-Agent header."
    )
    timeout: int | None = Field(
        None,
        ge=1,
        le=3600,
        description="Timeout for a response, in seconds, of proxies that set none; unset: 20.",
        json_schema_extra={
            "unit": "seconds",
            "hint": "For a response, where a proxy repository sets none. Empty: 20.",
        },
    )
    retries: int | None = Field(
        None,
        ge=0,
        le=10,
        description="Number of retries after a failure, of proxies that set none; unset: 2.",
        json_schema_extra={
            "hint": "After a failure, where a proxy repository sets none. Empty: 2."
        },
    )
    non_proxy_hosts: tuple[str, ...] = Field(
        (),
        title="Without an HTTP proxy",
        description="Hosts to contact without an HTTP proxy, such as *.example.com.",
    )

    @field_validator("user_agent")
    @classmethod
    def _check_header(cls, value: str | None) -> str | None:
        if value is not None and not (value.isascii() and value.isprintable()):
            raise ValueError("must be one line of ASCII characters, since a header takes no others")
        return value


class HttpProxyOptions(Section):
    """An HTTP proxy through which requests leave."""

    audience: ClassVar = frozenset({"host", "port", "username"})

    enabled: bool = Field(
        False, title="Use it", description="Whether to use it.", json_schema_extra={"hint": ""}
    )
    host: str = Field("", description="Its host name or address.")
    port: int | None = Field(None, ge=1, le=65535, description="Its port.")
    auth_enabled: bool = Field(
        False,
        title="Log in",
        description="Whether it requires a login.",
        json_schema_extra={"hint": "With the user name and password below."},
    )
    username: str = Field("", title="User name", description="User name for it.")
    password: SecretStr = Field(SecretStr(""), description="Password of that user.")
    ntlm_host: str | None = Field(
        None,
        description="Kept for clients; NTLM is not supported.",
        json_schema_extra={"widget": "none"},
    )
    ntlm_domain: str | None = Field(
        None,
        description="Kept for clients; NTLM is not supported.",
        json_schema_extra={"widget": "none"},
    )

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        if value and not is_host(value):
            raise ValueError("must be a host name or address")
        return value

    def check_names(self) -> None:
        """Return if the host has no port, which is an option of its own (Invalid)."""
        if ":" in self.host.rpartition("]")[2]:
            problem = "must be a host name or address without a port; set the port itself"
            raise Invalid(f"host: {problem}.", field="host")

    @property
    def address(self) -> str | None:
        """The address of the proxy with its login; None if it is not to be used."""
        if not (self.enabled and self.host and self.port):
            return None
        login = ""
        if self.auth_enabled and self.username:
            password = quote(self.password.get_secret_value(), safe="")
            login = f"{quote(self.username, safe='')}:{password}@"
        return f"http://{login}{self.host}:{self.port}"


def network_options() -> dict[str, Section]:
    """Return the sections as they begin."""
    return {
        HTTP_OPTIONS: HttpOptions(),
        HTTP_PROXY_OPTIONS: HttpProxyOptions(),
        HTTPS_PROXY_OPTIONS: HttpProxyOptions(),
    }


def create_network(options: Options, trust_store: TrustStore) -> Network:
    """Return the network settings as the options have them."""

    def http_proxies() -> HttpProxies:
        plain = options.get(HTTP_PROXY_OPTIONS, HttpProxyOptions).address
        secure = options.get(HTTPS_PROXY_OPTIONS, HttpProxyOptions).address or plain
        addresses = {"http": plain, "https": secure}
        direct = options.get(HTTP_OPTIONS, HttpOptions).non_proxy_hosts
        return HttpProxies({key: each for key, each in addresses.items() if each}, direct)

    def http() -> HttpOptions:
        return options.get(HTTP_OPTIONS, HttpOptions)

    return Network(
        http_proxies=http_proxies,
        user_agent=lambda: http().user_agent or "",
        timeout=lambda: http().timeout,
        retries=lambda: http().retries,
        trusted=trust_store.pem,
    )
