"""Trials of directories: each step of a question, as people can follow it, and in the audit log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from repoman.errors import Unavailable
from repoman.security.ldap import roles_of
from repoman.security.options import LdapOptions
from repoman.waiting import waiting

if TYPE_CHECKING:
    from repoman.security.directory import Directory, Person

TRIAL_TIMEOUT_S = 5  # How long a trial waits for each response, whatever logins do.
PEOPLE_MAX = 20  # The most users that a trial lists.


class Note(Protocol):
    """Writes down what changes nothing; as :meth:`repoman.security.audit.Audit.note`."""

    def __call__(self, kind: str, target: str, *, is_success: bool, **attributes: str) -> None:
        """Write it down."""


@dataclass(slots=True)
class LdapTrial:
    """What a trial has found.

    Attributes:
        is_good: whether the directory answered, and knows the user; with a password: lets them in.
        steps: what was done and said, in order; never with a password.
        facts: what is known of the user, as pairs of names and values.
        people: the first users of the directory; None if it was not asked, or did not answer.
    """

    is_good: bool = False
    steps: list[str] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    people: "list[Person] | None" = None


class LdapTrials:
    """Tries directories with any options, which need not be stored; thread safe.

    Args:
        trusted: returns the certificates of the trust store as PEM.
        note: tells the audit log, since a trial may send a stored password.
    """

    def __init__(self, trusted: Callable[[], str], note: Note) -> None:
        self._trusted = trusted
        self._note = note

    def ask(self, options: LdapOptions, name: str = "", password: str = "") -> LdapTrial:
        """Return how a directory answers: without a name whether it does, with one who it is.

        An empty password is not checked.
        """
        with self._trying(options, "login" if password else "find" if name else "connect") as both:
            trial, directory = both
            if not name:
                directory.check()
                trial.is_good = True
                return trial
            person = directory.log_in(name, password) if password else directory.find(name)
            if person is not None:
                trial.is_good = True
                trial.facts = _facts(person, options)
        return trial

    def list_people(self, options: LdapOptions) -> LdapTrial:
        """Return the first ``PEOPLE_MAX`` users that a directory has, with their groups."""
        with self._trying(options, "list") as (trial, directory):
            trial.people = directory.list_people(PEOPLE_MAX)
            trial.is_good = bool(trial.people)
        return trial

    @contextmanager
    def _trying(self, options: LdapOptions, what: str) -> "Iterator[tuple[LdapTrial, Directory]]":
        """Yield a trial and the directory; that it does not answer is a step of the trial."""
        from repoman.security.directory import Directory  # takes a while to load, most have none

        trial = LdapTrial()
        quick = options.model_copy(update={"timeout": min(options.timeout, TRIAL_TIMEOUT_S)})
        trusted = self._trusted() if options.use_trust_store else ""
        try:
            with waiting():
                yield trial, Directory(quick, trial.steps.append, trusted)
        except Unavailable as error:
            trial.steps.append(str(error))
        finally:
            where = " ".join(options.urls)
            self._note("ldap.try", where, is_success=trial.is_good, what=what)


def _facts(person: "Person", options: LdapOptions) -> list[tuple[str, str]]:
    return [
        ("Name", person.name),
        ("Full name", person.full_name),
        ("E-mail", person.email),
        ("Groups", ", ".join(person.groups)),
        ("Roles", ", ".join(roles_of(person, options))),
    ]
