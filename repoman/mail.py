"""E-mail: the options of the mail server, and sending through it."""

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator, model_validator

from repoman.errors import Invalid, Unavailable
from repoman.options import Options
from repoman.sections import Section
from repoman.trust_store import TrustStore, trust_also
from repoman.waiting import waiting

EMAIL_OPTIONS = "email"
TIMEOUT_S = 10.0  # How long the mail server may take for each answer.
ADDRESS_MAX_CHARS = 254  # The longest mail address (RFC 5321, 4.5.3.1).
# Nothing that is encoded (RFC 2047): some of it, Python's own library cannot read.
_WORD = r'(?:(?!=\?)[^\s@<>()\[\],;:\\"])+'
_ADDRESS = re.compile(f"{_WORD}@{_WORD}")


def is_address(text: str) -> bool:
    """Return whether a text may be a mail address."""
    return len(text) <= ADDRESS_MAX_CHARS and text.isprintable() and bool(_ADDRESS.fullmatch(text))


class EmailOptions(Section):
    """The server that messages are handed to."""

    audience: ClassVar = frozenset(
        {
            "host",
            "port",
            "username",
            "start_tls_required",
            "ssl_on_connect_enabled",
            "ssl_server_identity_check_enabled",
            "use_trust_store",
        }
    )

    enabled: bool = Field(
        False,
        title="Send e-mail",
        description="Whether e-mail is sent.",
        json_schema_extra={"hint": ""},
    )
    host: str | None = Field(None, description="Host name or address of the mail server.")
    port: int | None = Field(
        None, ge=1, le=65535, description="Port of the mail server, such as 587."
    )
    username: str | None = Field(
        None,
        title="User name",
        description="User name; none: no login.",
        json_schema_extra={"hint": "Empty: no login."},
    )
    password: SecretStr = Field(SecretStr(""), description="Password of that user.")
    from_address: str | None = Field(
        None, title="From address", description="Address of the sender."
    )
    subject_prefix: str | None = Field(None, description="Text in front of each subject.")
    start_tls_enabled: bool = Field(
        False,
        title="STARTTLS if offered",
        description="Whether to switch to TLS (STARTTLS) if the mail server offers it.",
        json_schema_extra={"hint": "Switches to TLS if the mail server can."},
    )
    start_tls_required: bool = Field(
        False,
        title="STARTTLS required",
        description="Whether to send nothing if the mail server does not offer STARTTLS.",
        json_schema_extra={"hint": "Sends nothing if the mail server does not offer it."},
    )
    ssl_on_connect_enabled: bool = Field(
        False,
        title="TLS from the start",
        description="Whether to use TLS from the start (SMTPS), as on port 465.",
        json_schema_extra={"hint": "SMTPS, as on port 465."},
    )
    ssl_server_identity_check_enabled: bool = Field(
        False,
        title="Check the host name",
        description="Whether the certificate must be valid for the host name.",
        json_schema_extra={"hint": "The certificate must be valid for it."},
    )
    use_trust_store: bool = Field(
        False,
        title="Use the trust store",
        description="Whether to trust the certificates of the trust store as well.",
        json_schema_extra={"hint": "In addition to the usual authorities."},
    )

    @field_validator("host", "username", "from_address", "subject_prefix")
    @classmethod
    def _check_text(cls, value: str | None) -> str | None:
        if value is not None and not value.isprintable():
            raise ValueError("must be one line of printable characters")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> "EmailOptions":
        if self.enabled and not (self.host and self.port and self.from_address):
            raise ValueError("set host, port and from_address before you enable it")
        if self.from_address and not is_address(self.from_address):
            raise ValueError("from_address must be a mail address, such as repoman@example.com")
        return self


class Mailer:
    """Sends e-mail; thread safe."""

    def __init__(self, options: Options, trust_store: TrustStore) -> None:
        self._options = options
        self._trust_store = trust_store

    def verify(self, address: str) -> None:
        """Send a test message, whether or not e-mail is enabled.

        Raises:
            Invalid: this is not a mail address.
            Unavailable: the message could not be sent, and why.
        """
        text = "This message was sent to verify the mail server of repoman.\n"
        self._send(address, "Verification of the mail server", text)

    def check(self) -> None:
        """Return if the mail server answers, and accepts the login.

        Raises:
            Unavailable: it does not, and why.
        """
        options = self._options.get(EMAIL_OPTIONS, EmailOptions)
        try:
            with waiting(), self._connected(options) as server:
                server.noop()
        except (OSError, smtplib.SMTPException, UnicodeError) as error:
            raise Unavailable(
                f"{options.host}:{options.port} cannot be used: {_reason(error)}."
            ) from error

    def _send(self, address: str, subject: str, text: str) -> None:
        options = self._options.get(EMAIL_OPTIONS, EmailOptions)
        if not is_address(address):
            raise Invalid(f"{address[:ADDRESS_MAX_CHARS]!r} is not a mail address.")
        if not (options.host and options.port and options.from_address):
            raise Unavailable("No mail server is set: set host, port and from_address.")
        message = EmailMessage()
        message["From"], message["To"] = options.from_address, address
        message["Subject"] = f"{options.subject_prefix or ''} {subject}".strip()
        message.set_content(text)
        try:
            with waiting(), self._connected(options) as server:
                server.send_message(message)
        except (OSError, smtplib.SMTPException, UnicodeError) as error:
            raise Unavailable(
                f"{options.host}:{options.port} did not take the message: {_reason(error)}."
            ) from error

    @contextmanager
    def _connected(self, options: EmailOptions) -> Iterator[smtplib.SMTP]:
        """Yield a connection to the mail server, with TLS and a login as the options say."""
        host, port = options.host or "", options.port or 0
        if options.ssl_on_connect_enabled:
            context = self._context(options)
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=context)
        else:
            server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
        with server:
            if not options.ssl_on_connect_enabled:
                self._start_tls(server, options)
            if options.username:
                server.login(options.username, options.password.get_secret_value())
            yield server

    def _start_tls(self, server: smtplib.SMTP, options: EmailOptions) -> None:
        server.ehlo_or_helo_if_needed()
        is_offered = server.has_extn("starttls")
        if options.start_tls_required and not is_offered:
            raise smtplib.SMTPNotSupportedError("it does not offer STARTTLS, which is required")
        if is_offered and (options.start_tls_enabled or options.start_tls_required):
            server.starttls(context=self._context(options))

    def _context(self, options: EmailOptions) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.check_hostname = options.ssl_server_identity_check_enabled
        if options.use_trust_store:
            trust_also(context, self._trust_store.pem())
        return context


def _reason(error: Exception) -> str:
    """Return what went wrong, in a few words."""
    if isinstance(error, smtplib.SMTPResponseException):
        told = error.smtp_error
        text = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
        return f"{error.smtp_code} {text}".rstrip(".")
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, told = next(iter(error.recipients.values()))
        return f"{code} {told.decode('utf-8', 'replace')}".rstrip(".")
    return (str(error) or type(error).__name__).rstrip(".")
