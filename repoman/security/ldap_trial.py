"""Trials of a directory: each step of a question, as people can follow it."""

from dataclasses import dataclass, field

from repoman.errors import Unavailable
from repoman.security.ldap import roles_of
from repoman.security.options import LdapOptions
from repoman.waiting import waiting

TRIAL_TIMEOUT_S = 5  # How long a trial waits for each response, whatever logins do.


@dataclass(slots=True)
class LdapTrial:
    """What a trial has found.

    Attributes:
        is_good: whether the directory answered, and knows the user; with a password: lets them in.
        steps: what was done and said, in order; never with a password.
        facts: what is known of the user, as pairs of names and values.
    """

    is_good: bool = False
    steps: list[str] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)


def try_directory(
    options: LdapOptions, trusted: str, name: str = "", password: str = ""
) -> LdapTrial:
    """Return how a directory answers: without a name whether it does, with one who the user is.

    ``trusted`` are the certificates of the trust store as PEM. An empty password is not checked.
    """
    from repoman.security.directory import Directory  # takes a while to load, most have none

    trial = LdapTrial()
    quick = options.model_copy(update={"timeout": min(options.timeout, TRIAL_TIMEOUT_S)})
    pem = trusted if options.use_trust_store else ""
    directory = Directory(quick, trial.steps.append, pem)
    try:
        with waiting():
            if not name:
                directory.check()
                trial.is_good = True
                return trial
            person = directory.log_in(name, password) if password else directory.find(name)
    except Unavailable as error:
        trial.steps.append(str(error))
        return trial
    if person is not None:
        trial.is_good = True
        trial.facts = [
            ("Name", person.name),
            ("Full name", f"{person.first_name} {person.last_name}".strip()),
            ("E-mail", person.email),
            ("Groups", ", ".join(person.groups)),
            ("Roles", ", ".join(roles_of(person, options))),
        ]
    return trial
