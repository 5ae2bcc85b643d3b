"""Settings of the network over REST: the mail server, and HTTP proxies."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr, StringConstraints

from repoman.errors import Invalid, Unavailable
from repoman.mail import EMAIL_OPTIONS, EmailOptions
from repoman.outgoing import (
    HTTP_OPTIONS,
    HTTP_PROXY_OPTIONS,
    HTTPS_PROXY_OPTIONS,
    HttpOptions,
    HttpProxyOptions,
)
from repoman.rest.certificates import plain_text
from repoman.rest.endpoints import Area, Call, Permission
from repoman.rest.resources import Resource
from repoman.rest.wording import wire_names

HTTP_PROXY = "The HTTP proxy for all requests."
HTTPS_PROXY = "The HTTP proxy for requests to https://, in place of httpProxy."
READ = Permission("settings", "read")
UPDATE = Permission("settings", "update")

network = Area("Network", "The mail server, and the HTTP proxies of outgoing requests.")


class EmailFields(Resource):
    """The mail server, but for its password."""

    enabled: bool = Field(False, description="Whether e-mail is sent.")
    host: str | None = Field(None, description="Host name or address.")
    port: int | None = Field(None, ge=1, le=65535, description="Port.")
    username: str | None = Field(None, description="User name; none: no login.")
    from_address: str | None = Field(None, description="Address of the sender.")
    subject_prefix: str | None = Field(None, description="Text in front of each subject.")
    start_tls_enabled: bool = Field(False, description="Whether to use STARTTLS if offered.")
    start_tls_required: bool = Field(False, description="Whether to require STARTTLS.")
    ssl_on_connect_enabled: bool = Field(False, description="Whether to use TLS from the start.")
    ssl_server_identity_check_enabled: bool = Field(
        False, description="Whether the certificate must be valid for the host name."
    )
    use_trust_store: bool = Field(
        False,
        alias="nexusTrustStoreEnabled",
        description="Whether to trust the certificates of the trust store as well.",
    )


class EmailSettings(EmailFields):
    """The mail server."""

    password: None = Field(None, description="Always null.")


class NewEmailSettings(EmailFields):
    """The mail server. Without a password, a change keeps that of the same user and server."""

    host: str = Field(min_length=1, description="Host name or address.")
    port: int = Field(ge=1, le=65535, description="Port.")
    password: SecretStr | None = Field(None, description="Password of the user.")


class Verification(Resource):
    """Whether a test message was sent, and why not."""

    success: bool
    reason: str | None = None


@network.get("/v1/email", READ)
def show_email_settings(call: Call) -> EmailSettings:
    """Show the settings of the mail server."""
    options = call.repoman.options.get(EMAIL_OPTIONS, EmailOptions)
    return EmailSettings(**options.model_dump(exclude={"password"}))


@network.put("/v1/email", UPDATE, matches=show_email_settings)
def set_email_settings(call: Call, body: NewEmailSettings) -> None:
    """Change the settings of the mail server."""
    values = {**body.model_dump(by_alias=False, exclude={"password"}), **_given(body.password)}
    with wire_names():
        call.repoman.options.patch(EMAIL_OPTIONS, values)


@network.delete("/v1/email", UPDATE)
def delete_email_settings(call: Call) -> None:
    """Remove the settings of the mail server."""
    call.repoman.options.reset(EMAIL_OPTIONS)


@network.post("/v1/email/verify", UPDATE, takes_any_type=True)
def verify_email_settings(call: Call, text: str) -> Verification:
    """Send a test message to the address in the body, whether or not e-mail is enabled."""
    try:
        call.repoman.mailer.verify(plain_text(text))
    except (Invalid, Unavailable) as error:
        return Verification(success=False, reason=str(error))
    return Verification(success=True)


def _text_of_number(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class LoginFields(Resource):
    """The login at an HTTP proxy, but for its password."""

    enabled: bool = Field(False, description="Whether the proxy requires a login.")
    username: str | None = Field(None, description="User name.")
    ntlm_host: str | None = Field(None, description="Kept for clients; NTLM is not supported.")
    ntlm_domain: str | None = Field(None, description="Kept for clients; NTLM is not supported.")


class ProxyLogin(LoginFields):
    """The login at an HTTP proxy.

    Without a password, a change keeps that of the same user and proxy.
    """

    password: SecretStr | None = Field(None, description="Password of the user.")


class ProxyLoginView(LoginFields):
    """The login at an HTTP proxy."""

    password: None = Field(None, description="Always null.")


class ProxyFields(Resource):
    """An HTTP proxy, but for its login."""

    enabled: bool = Field(False, description="Whether it is used.")
    host: str = Field(min_length=1, description="Host name or address.")
    port: Annotated[
        str, StringConstraints(pattern=r"^[0-9]{1,5}$"), BeforeValidator(_text_of_number)
    ] = Field(description="Port, as a string.")


class ProxyAddress(ProxyFields):
    """An HTTP proxy."""

    auth_info: ProxyLogin | None = Field(None, description="The login, if it requires one.")


class ProxyAddressView(ProxyFields):
    """An HTTP proxy."""

    auth_info: ProxyLoginView | None = Field(None, description="The login, if it requires one.")


class HttpFields(Resource):
    """Requests to other servers, but for HTTP proxies."""

    user_agent: str | None = Field(None, description="Text to add to the User-Agent header.")
    timeout: int | None = Field(
        None, ge=1, le=3600, description="Timeout of proxies that set none, in seconds."
    )
    retries: int | None = Field(
        None, ge=0, le=10, description="Retries after a failure, of proxies that set none."
    )
    non_proxy_hosts: list[str] | None = Field(
        None, description="Hosts to contact without an HTTP proxy, such as `*.example.com`."
    )


class HttpSettings(HttpFields):
    """Requests to other servers."""

    http_proxy: ProxyAddress | None = Field(None, description=HTTP_PROXY)
    https_proxy: ProxyAddress | None = Field(None, description=HTTPS_PROXY)


class HttpSettingsView(HttpFields):
    """Requests to other servers."""

    http_proxy: ProxyAddressView | None = Field(None, description=HTTP_PROXY)
    https_proxy: ProxyAddressView | None = Field(None, description=HTTPS_PROXY)


@network.get("/v1/http", READ)
def show_http_settings(call: Call) -> HttpSettingsView:
    """Show the settings of outgoing requests."""
    options = call.repoman.options
    plain = options.get(HTTP_PROXY_OPTIONS, HttpProxyOptions)
    secure = options.get(HTTPS_PROXY_OPTIONS, HttpProxyOptions)
    return HttpSettingsView(
        **options.get(HTTP_OPTIONS, HttpOptions).model_dump(),
        http_proxy=_shown(plain),
        https_proxy=_shown(secure),
    )


@network.put("/v1/http", UPDATE, matches=show_http_settings)
def set_http_settings(call: Call, body: HttpSettings) -> None:
    """Change the settings of outgoing requests; what is left out is reset."""
    options = call.repoman.options
    general = body.model_dump(by_alias=False, exclude={"http_proxy", "https_proxy"})
    general["non_proxy_hosts"] = body.non_proxy_hosts or ()
    proxies = {HTTP_PROXY_OPTIONS: body.http_proxy, HTTPS_PROXY_OPTIONS: body.https_proxy}
    with call.repoman.database.transaction(), wire_names():
        options.update(HTTP_OPTIONS, general)
        for name, proxy in proxies.items():
            if proxy is None:
                options.reset(name)
            else:
                options.patch(name, _values_of(proxy))


@network.delete("/v1/http", UPDATE)
def delete_http_settings(call: Call) -> None:
    """Reset the settings of outgoing requests."""
    with call.repoman.database.transaction():
        for name in (HTTP_OPTIONS, HTTP_PROXY_OPTIONS, HTTPS_PROXY_OPTIONS):
            call.repoman.options.reset(name)


def _shown(options: HttpProxyOptions) -> ProxyAddressView | None:
    if not options.host:
        return None
    login = ProxyLoginView(
        enabled=options.auth_enabled,
        username=options.username,
        ntlm_host=options.ntlm_host,
        ntlm_domain=options.ntlm_domain,
    )
    return ProxyAddressView(
        enabled=options.enabled,
        host=options.host,
        port=str(options.port or 0),
        auth_info=login if options.auth_enabled or options.username else None,
    )


def _values_of(proxy: ProxyAddress) -> dict[str, Any]:
    login = proxy.auth_info or ProxyLogin()
    return {
        "enabled": proxy.enabled,
        "host": proxy.host,
        "port": int(proxy.port),
        "auth_enabled": login.enabled,
        "username": login.username or "",
        "ntlm_host": login.ntlm_host,
        "ntlm_domain": login.ntlm_domain,
        **_given(login.password),
    }


def _given(password: SecretStr | None) -> dict[str, str]:
    """Return a new password under its name; nothing if the old one is to be kept."""
    text = password.get_secret_value() if password else ""
    return {"password": text} if text else {}
