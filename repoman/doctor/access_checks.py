"""Checks of who may come in: anonymous access, the first password, directories; and of e-mail."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from repoman.bootstrap import ADMIN, PASSWORD_FILE, has_first_password
from repoman.doctor.model import DoctorCheck, Finding, Fix, bad, good, warn
from repoman.errors import RepomanError
from repoman.mail import EMAIL_OPTIONS, EmailOptions, Mailer
from repoman.options import Options
from repoman.printable import pluralize
from repoman.repositories.model import Repository
from repoman.security.actors import ANONYMOUS, READING, Action
from repoman.security.authorization import Authorizer
from repoman.security.ldap_servers import LdapServers, directory_of
from repoman.security.options import (
    ANONYMOUS_OPTIONS,
    LDAP_OPTIONS,
    AnonymousOptions,
    LdapOptions,
)
from repoman.trust_store import TrustStore

CHANGING = (Action.ADD, Action.EDIT, Action.DELETE)
FIRST_PASSWORD = "first-password"  # noqa: S105 - the name of a check
NAMES_TOLD = 5  # Repositories that are named.


def password_check(data: Path) -> DoctorCheck:
    """Return the check whether the administrator has a password of their own."""

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        if not has_first_password(data):
            yield good(f"{ADMIN} does not have the password of the first start")
            return
        yield bad(
            "The administrator still has the first password",
            f"It is in {data / PASSWORD_FILE}. Whoever can read that file can change everything.",
            Fix(
                "Choose another one on the page of your account, or with:",
                f"repoman user password {ADMIN}",
            ),
        )

    return DoctorCheck(FIRST_PASSWORD, "First password", run)


def anonymous_check(options: Options, authorizer: Authorizer) -> DoctorCheck:
    """Return the check whether people without a login may do more than read."""

    def run(repositories: list[Repository]) -> Iterator[Finding]:
        for action in CHANGING:
            may = partial(authorizer.may_do_somewhere, ANONYMOUS, actions=frozenset({action}))
            found = [each.name for each in repositories if may(each.ref)]
            if found:
                yield _too_much(action, found)
        yield good(_told(repositories, options, authorizer))

    return DoctorCheck("anonymous", "Anonymous access", run)


def _too_much(action: Action, names: list[str]) -> Finding:
    more = f" and {len(names) - NAMES_TOLD} more" if len(names) > NAMES_TOLD else ""
    return bad(
        f"Everybody may {action} without a login",
        f"In {', '.join(names[:NAMES_TOLD])}{more}: the roles of anonymous clients allow it.",
        Fix(
            "Give them the role for reading only:",
            """repoman option set anonymous roles='["nx-anonymous"]'""",
        ),
        Fix("Or require a login for everything:", "repoman option set anonymous enabled=false"),
    )


def _told(repositories: list[Repository], options: Options, authorizer: Authorizer) -> str:
    is_on = options.get(ANONYMOUS_OPTIONS, AnonymousOptions).enabled
    may = partial(authorizer.may_do_somewhere, ANONYMOUS, actions=READING)
    count = sum(may(each.ref) for each in repositories)
    told = pluralize(count, "repository", "repositories")
    return f"{'on' if is_on else 'off'}; {told} can be read without a login"


def ldap_check(options: Options, servers: LdapServers, trust_store: TrustStore) -> DoctorCheck:
    """Return the check whether the LDAP servers answer, and take the login for searches."""

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        first = options.get(LDAP_OPTIONS, LdapOptions)
        named = [("ldap", first)] if first.enabled else []
        named += [(each.name, directory_of(each)) for each in servers.all()]
        for name, directory in named:
            trusted = trust_store.pem() if directory.use_trust_store else ""
            yield _ask_directory(name, directory, trusted)

    return DoctorCheck("ldap", "LDAP", run, asks_others=True)


def _ask_directory(name: str, options: LdapOptions, trusted: str) -> Finding:
    from repoman.security.directory import Directory  # takes a while: not for each command

    said: list[str] = []
    try:
        Directory(options, said.append, trusted).check()
    except RepomanError:
        server = "" if name == "ldap" else f"--server {name} "
        return bad(
            f"The LDAP server {name} cannot be used",
            f"{' '.join(said)} Its users cannot log in.",
            Fix("Try it step by step:", f"repoman ldap test --no-password {server}USER"),
        )
    return good(f"{name}: {' '.join(said)}".rstrip("."))


def mail_check(options: Options, mailer: Mailer) -> DoctorCheck:
    """Return the check whether the mail server answers, and takes the login."""

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        settings = options.get(EMAIL_OPTIONS, EmailOptions)
        if not settings.enabled:
            return
        try:
            mailer.check()
        except RepomanError as error:
            yield warn(
                "The mail server cannot be used",
                f"{error} No e-mail is sent.",
                Fix("Change its settings:", "repoman option set email host=… port=…"),
                Fix("And send a test message:", "repoman email test ADDRESS"),
            )
            return
        yield good(f"{settings.host}:{settings.port} answers")

    return DoctorCheck("mail", "Mail server", run, asks_others=True)
