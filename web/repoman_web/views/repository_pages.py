"""The pages about the settings of repositories and what they share, and their links."""

from repoman.plugin import Action, PageLink, Permission, SomeSettings
from repoman_web.views import repository_deletion, repository_editing
from repoman_web.views.cleanup import DOMAIN, cleanup
from repoman_web.views.repositories import repositories
from repoman_web.views.routing import routing

# The modules whose views are in the blueprint of the repositories.
MORE_VIEWS = (repository_deletion, repository_editing)
BLUEPRINTS = (repositories, routing, cleanup)
LINKS = (
    PageLink("Content", "Repositories", "box", "repositories.show", SomeSettings(Action.READ), 10),
    PageLink("Content", "Routing rules", "route", "routing.show", SomeSettings(Action.READ), 30),
    PageLink("Content", "Cleanup", "broom", "cleanup.show", Permission(DOMAIN, "read"), 40),
)
