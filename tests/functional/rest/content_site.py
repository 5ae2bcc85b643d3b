"""Repositories with content, and a client of the REST API; for the tests of what they contain."""

from repoman.testing import ADMIN, HttpClient
from tests.functional.docker.driver import Registry
from tests.functional.docker.wires import InProcess
from tests.functional.rights.stage import Stage

API = "/service/rest/v1"


class Site(Stage):
    """Repositories of two formats, with content, and a client of the REST API."""

    def __init__(self, repoman):
        super().__init__(repoman)
        self.client = HttpClient(repoman)
        for name, recipe, settings in (
            ("images", "docker-hosted", {}),
            ("files", "raw-hosted", {}),
            ("more", "raw-hosted", {}),
            ("all", "raw-group", {"group": {"members": ["more", "files"]}}),
            ("everything", "docker-group", {"group": {"members": ["images"]}}),
        ):
            repoman.repositories.create(name, recipe, settings)
        self.registry = Registry(InProcess(self.client), "/repository/images", ADMIN)

    def ask(self, path, login=ADMIN, method="GET"):
        """The answer to a request of somebody; None: of nobody."""
        return self.client.request(method, f"{API}{path}", login=False, auth=login)

    def get(self, path, login=ADMIN):
        """What is found at an address."""
        answer = self.ask(path, login)
        assert answer.status_code == 200, answer.text
        return answer.json

    def items(self, path, login=ADMIN):
        """The items of all pages of a list."""
        found, token = [], ""
        while token is not None:
            page = self.get(f"{path}&continuationToken={token}", login)
            found += page["items"]
            token = page["continuationToken"]
        return found

    def names(self, path, login=ADMIN):
        """The names and versions of components."""
        return sorted(f"{each['name']}:{each['version']}" for each in self.items(path, login))

    def put(self, path, data=b"data", repository="files"):
        """Store a file."""
        assert self.client.put(f"/repository/{repository}/{path}", data).status_code in (201, 204)

    def user(self, *privileges):
        """The login of a new user."""
        return self.make_user(*privileges)


def rights(format_, repository, *actions):
    """Names of the privileges on the content of a repository."""
    return [f"nx-repository-view-{format_}-{repository}-{each}" for each in actions]
