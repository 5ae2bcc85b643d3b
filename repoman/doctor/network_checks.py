"""Checks between clients and the server: proxies in front, connectors, certificates."""

import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from repoman.config import DoctorSettings, ServerSettings, TlsSettings
from repoman.doctor.model import DoctorCheck, Finding, Fix, bad, good, unchecked, warn
from repoman.doctor.probe import BODY_BYTES, NONCE_CHARS, ProbeAnswer, proof_of, send_probe
from repoman.doctor.sightings import ProxySightings
from repoman.errors import Invalid
from repoman.printable import pluralize
from repoman.repositories.model import Repository
from repoman.repositories.ports import free_ports
from repoman.repositories.repository_records import ConnectorState, list_states
from repoman.security.certificates import describe_certificate, read_certificate

SOON_DAYS = 7  # A certificate that ends within so many days is more than a warning.
MAIN_PORT = "*"  # What stands in place of a repository in the state of a connector.
NGINX_HEADERS = (
    "proxy_set_header Host              $http_host;\n"
    "proxy_set_header X-Forwarded-For   $proxy_add_x_forwarded_for;\n"
    "proxy_set_header X-Forwarded-Proto $scheme;\n"
    "proxy_set_header X-Forwarded-Host  $http_host;"
)
NGINX_BODIES = "client_max_body_size 0;\nproxy_request_buffering off;"


# --- Proxies in front -----------------------------------------------------------------------------


def proxy_check(settings: ServerSettings, sightings: ProxySightings) -> DoctorCheck:
    """Return the check whether proxies in front are trusted, and say how clients reached them."""

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        seen = sightings.recent()
        for address in sorted(key for key, each in seen.items() if not each.is_trusted):
            yield _untrusted(address, settings)
        for address in sorted(
            key for key, each in seen.items() if each.is_trusted and not each.has_scheme
        ):
            if not settings.external_url:
                yield _without_scheme(address)
        yield good(_told_address(settings, len(seen)))

    return DoctorCheck("proxies", "Proxies in front", run, needs_server=True)


def _told_address(settings: ServerSettings, proxies: int) -> str:
    if settings.external_url:
        return f"clients are told the address {settings.external_url}"
    through = f"{pluralize(proxies, 'proxy', 'proxies')} in front" if proxies else "none was seen"
    return f"{through}; clients are told the address that they used"


def _untrusted(address: str, settings: ServerSettings) -> Finding:
    trusted = [*map(str, settings.trusted_proxies), address]
    listed = ", ".join(f'"{each}"' for each in trusted)
    return warn(
        f"The proxy at {address} is not trusted",
        f"Requests from {address} have X-Forwarded headers, which are ignored: the log shows the "
        "address of the proxy instead of the client's, and clients may be told addresses that "
        "begin with http://, with which logins fail.",
        Fix(
            f"If {address} is a reverse proxy of yours, trust it in repoman.toml and restart:",
            f"[server]\ntrusted_proxies = [{listed}]",
        ),
    )


def _without_scheme(address: str) -> Finding:
    return bad(
        "A proxy in front does not tell the scheme",
        f"Requests come from the trusted proxy {address} without X-Forwarded-Proto. Clients of "
        "HTTPS are told addresses that begin with http://, and fail to log in.",
        Fix(f"In nginx at {address}, in the location of this server:", NGINX_HEADERS),
        Fix(
            "Or set the address of the main port in repoman.toml and restart:",
            '[server]\nexternal_url = "https://repoman.example.com"',
        ),
    )


# --- The size of bodies ---------------------------------------------------------------------------


def body_check(external_url: str, key: Callable[[], str]) -> DoctorCheck:
    """Return the check whether large uploads pass what is in front of the server.

    ``key`` returns the key of the proof that a probe came to this server.
    """

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        if not external_url:
            yield unchecked(
                "The server does not know its external address.",
                Fix(
                    "Set the address of the main port in repoman.toml and restart:",
                    '[server]\nexternal_url = "https://repoman.example.com"',
                ),
                Fix(
                    "Or try the address of a repository from a shell:",
                    "repoman doctor --url https://repoman.example.com",
                ),
            )
            return
        yield from probe(external_url, key())

    return DoctorCheck("body-size", "Large uploads", run, asks_others=True, needs_server=True)


def probe(url: str, key: str) -> Iterator[Finding]:
    """Yield what a probe at an address of this server finds."""
    nonce = secrets.token_urlsafe(32)[:NONCE_CHARS]
    answer = send_probe(url, nonce)
    yield _judged(url, answer, proof_of(key, nonce))
    if answer.ends_at is not None:
        yield from _judged_end(f"The certificate of {url}", answer.ends_at, SOON_DAYS * 2, ())


def _judged(url: str, answer: ProbeAnswer, proof: str) -> Finding:
    if answer.status == HTTPStatus.CONTINUE or answer.text == proof:
        return good(f"a body of {BODY_BYTES >> 40} TiB would pass at {url}")
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return bad(
            "A proxy in front refuses large uploads",
            f"{url} answers 413 to a body of {BODY_BYTES >> 40} TiB before it comes to this "
            "server. Pushes of large layers and files fail.",
            Fix("In nginx, in the server or the location:", NGINX_BODIES),
            Fix("In the Apache HTTP Server:", "LimitRequestBody 0"),
        )
    if answer.status == 0:
        return warn(
            "The external address does not answer",
            f"This server cannot connect to {url}: {answer.text}. Clients may be able to.",
            Fix("Check the address server.external_url, and what is in front of the server."),
        )
    return bad(
        "The external address leads elsewhere",
        f"{url} answers {answer.status} instead of this server.",
        Fix("Check the address server.external_url, and where the proxy in front sends requests."),
    )


# --- Connectors -----------------------------------------------------------------------------------


def connector_check() -> DoctorCheck:
    """Return the check whether all connectors are open."""

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        states = list_states()
        taken = {urlsplit(each.url).port or 0 for each in states}
        failed = [each for each in states if each.problem]
        for each in failed:
            yield _failed(each, taken)
        if states:
            count = len(states) - len(failed)
            yield good(f"{count} of {pluralize(len(states), 'connector')} open")

    return DoctorCheck("connectors", "Connectors", run)


def _failed(state: ConnectorState, taken: Iterable[int]) -> Finding:
    parts = urlsplit(state.url)
    port, name = parts.port or 0, "" if state.repository == MAIN_PORT else state.repository
    fixes = [Fix("Find out which program has the port:", f"ss -ltnp 'sport = :{port}'")]
    if free := free_ports(parts.hostname or "", port, taken):
        told = ", ".join(map(str, free))
        fixes.append(Fix(f"Or choose another port. Free ports near it: {told}."))
    return bad(
        f"Port {port} of {name or 'the main port'} is closed",
        f"{state.problem} Clients cannot connect; the server tries again all the time.",
        *fixes,
        repository=name,
    )


# --- Certificates ---------------------------------------------------------------------------------


def certificate_check(
    settings: TlsSettings,
    doctor: DoctorSettings,
    data: Path,
    is_used: Callable[[], bool],
) -> DoctorCheck:
    """Return the check whether the certificates of the HTTPS connectors are valid, and remain so.

    ``is_used`` returns whether anything listens with TLS.
    """

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        if not is_used():
            return
        paths = [settings.certificate, *(each.certificate for each in settings.hosts.values())]
        for path in dict.fromkeys(data / each for each in paths):
            yield from _judged_file(path, doctor.certificate_days)

    return DoctorCheck("certificates", "TLS certificates", run)


def _judged_file(path: Path, days: int) -> Iterator[Finding]:
    try:
        certificate, told = read_certificate(path), describe_certificate(path)
    except Invalid as error:
        fix = Fix("Create a certificate of your own authority:", "repoman cert create HOST")
        yield bad("A TLS certificate cannot be used", str(error), fix)
        return
    names = told["names"].replace(",", "")
    fixes = [Fix(f"Renew the certificate in {path}; the server loads it without a restart.")]
    if "repoman authority" in told["issuer"]:
        text = "It is of your own authority, so clients notice nothing. Renew it:"
        fixes = [Fix(text, f"repoman cert create {names}")]
    if certificate.not_valid_before_utc > datetime.now(UTC):
        text = f"{path} is valid from {told['valid from']} only. Clients refuse to connect."
        fix = Fix("Check the clock of this machine, and that of who made the certificate.")
        yield bad(f"The certificate of {told['names']} is not valid yet", text, fix)
    title = f"The certificate of {told['names']}"
    yield from _judged_end(title, certificate.not_valid_after_utc, days, fixes)


def _judged_end(
    title: str, ends_at: datetime, days: int, fixes: Iterable[Fix]
) -> Iterator[Finding]:
    left = ends_at - datetime.now(UTC)
    when = f"{ends_at:%Y-%m-%d %H:%M} UTC"
    if left < timedelta(0):
        yield bad(f"{title} has expired", f"On {when}. Clients refuse to connect.", *fixes)
    elif left < timedelta(days=days):
        judge = bad if left.days < SOON_DAYS else warn
        text = f"On {when}. Clients then refuse to connect."
        yield judge(f"{title} ends in {pluralize(left.days, 'day')}", text, *fixes)
    else:
        yield good(f"{title.removeprefix('The certificate of ')} is valid until {when}")
