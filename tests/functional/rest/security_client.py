"""What the tests of users, roles and privileges over REST ask with."""

from typing import Any

from werkzeug.test import TestResponse

from repoman.core import Repoman
from repoman.security.rights_records import Role
from repoman.testing import ADMIN, HttpClient

ROOT = "/service/rest/v1/security"
PASSWORD = "a password"
Login = tuple[str, str]


class SecurityClient:
    """Asks the endpoints below ``/v1/security``."""

    def __init__(self, repoman: Repoman) -> None:
        self.repoman = repoman
        self.http = HttpClient(repoman)

    def ask(
        self, method: str, path: str, body: Any = None, login: Login | None = ADMIN, **options: Any
    ) -> TestResponse:
        """Send a request, with a body of JSON if there is one."""
        if body is not None:
            options["json"] = body
        return self.http.request(method, ROOT + path, auth=login, **options)

    def get(self, path: str, login: Login | None = ADMIN) -> Any:
        """Return what GET answers, which must be 200."""
        answer = self.ask("GET", path, login=login)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return answer.json

    def done(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Send a request that must succeed, and return its answer."""
        answer = self.ask(method, path, body, **options)
        assert answer.status_code in (200, 201, 204), (answer.status_code, answer.text)
        return answer.json if answer.data else None

    def make_user(self, name: str, *privileges: str) -> Login:
        """Make a user with these privileges and return the login."""
        if privileges:
            self.repoman.security.roles.create(Role(name, "", privileges=privileges))
        self.repoman.users.create(name, PASSWORD, [name] if privileges else [])
        return name, PASSWORD

    def make_helper(self, name: str, domain: str, *actions: str) -> Login:
        """Make a user with privileges to do this on the server, and return the login."""
        properties = {"domain": domain, "actions": actions}
        self.repoman.security.privileges.create(name, "application", properties)
        return self.make_user(name, name)

    def events(self, kind: str) -> list[tuple[str, dict[str, str]]]:
        """Return what the audit log has of a kind, the oldest first: targets and attributes."""
        self.repoman.audit.flush()
        domain, _, type_ = kind.partition(".")
        rows = self.repoman.audit.search({"domain": domain, "type": type_})
        return [(row["target"], row["attributes"]) for row in reversed(rows)]


def user_of(name: str, **values: Any) -> dict[str, Any]:
    """Return the body that creates a user."""
    return {
        "userId": name,
        "firstName": "Jo",
        "lastName": "Doe",
        "emailAddress": f"{name}@example.org",
        "password": PASSWORD,
        "status": "active",
        "roles": ["nx-anonymous"],
        **values,
    }


def change_of(name: str, **values: Any) -> dict[str, Any]:
    """Return the body that changes a user."""
    body = {**user_of(name), "source": "default", **values}
    del body["password"]
    return body
