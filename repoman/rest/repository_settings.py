"""The settings of repositories over REST, with endpoints for each format and type.

The models are made from the sections of the recipe, see :mod:`repoman.rest.blocks`. Settings that
they do not show are kept.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Union

from pydantic import Field, create_model
from pydantic.alias_generators import to_camel

from repoman.errors import Conflict, Invalid, NotFound, Unavailable
from repoman.repositories.checks import NAME
from repoman.repositories.model import Repository, RepositoryType
from repoman.repositories.recipes import Recipe
from repoman.repositories.sections import RoutingSection
from repoman.rest.blocks import Block, block_of
from repoman.rest.endpoints import SIGNED_IN, Area, Call
from repoman.rest.managed_repositories import ManagedRepositories
from repoman.rest.repository_rights import (
    AddRepository,
    ConfigureRepository,
    ReadSettings,
)
from repoman.rest.resources import Resource
from repoman.security.actors import Action

REQUIRED = {"storage", "proxy", "negative_cache", "http_client", "group"}  # Blocks of each request.
ROUTING = "routing"
PARAMETER = "PARAMETER {}"
# How clients know some problems: the id, or nothing where the problem is told without one.
IDS = {
    "storage.blob_store": None,
    "group.members": "HelperBean.memberNames",
    "group.writable_member": "HelperBean.writableMember",
    "routing.rule": PARAMETER.format("routingRule"),
}


class RepositoryRequest(Resource):
    """What all requests have that create or change a repository."""

    name: str = Field(
        description="Name, unique in any case of letters; it cannot be changed.",
        json_schema_extra={"pattern": f"^{NAME.pattern}$"},
    )
    online: bool = Field(description="Whether the repository accepts requests.")


class ProxyRequest(RepositoryRequest):
    """The same for a proxy."""

    routing_rule: str | None = Field(None, description="Name of the routing rule; null: none.")
    routing_rule_name: str | None = Field(None, description="Another name of routingRule.")


class RepositoryAnswer(Resource):
    """What all answers with settings have."""

    name: str = Field(description="Name.")
    format: str = Field(description="Format.")
    type: RepositoryType = Field(description="hosted, proxy or group.")
    url: str = Field(description="Address on the main port.")
    online: bool = Field(description="Whether the repository accepts requests.")


class ProxyAnswer(RepositoryAnswer):
    """The same for a proxy."""

    routing_rule_name: str | None = Field(description="Name of the routing rule; null: none.")


class SettingsModels:
    """The settings of the repositories of one recipe as models of requests and answers."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        found = (
            (name, block_of(kind)) for name, kind in recipe.sections.items() if name != ROUTING
        )
        self._blocks: dict[str, Block] = {name: each for name, each in found if each is not None}
        self._has_rule = recipe.type is RepositoryType.PROXY and "rule" in (
            recipe.sections.get(ROUTING, RoutingSection).model_fields
        )
        title = re.sub(r"\W", "", f"{recipe.format} {recipe.type}".title())
        self.request: type[RepositoryRequest] = create_model(
            f"{title}RepositoryApiRequest",
            __base__=ProxyRequest if self._has_rule else RepositoryRequest,
            **dict(self._asked()),
        )
        self.answer: type[RepositoryAnswer] = create_model(
            f"{title}ApiRepository",
            __base__=ProxyAnswer if self._has_rule else RepositoryAnswer,
            **dict(self._told()),
        )

    def _asked(self) -> Iterator[tuple[str, Any]]:
        for name, block in self._blocks.items():
            is_required = name in REQUIRED or block.is_required
            kind: Any = block.request if is_required else block.request | None
            default: Any = ... if is_required else None
            text = _first_line(block.kind)
            yield name, (kind, Field(default, alias=to_camel(name), description=text))

    def _told(self) -> Iterator[tuple[str, Any]]:
        for name, block in self._blocks.items():
            kind: Any = block.answer | None if block.is_nullable else block.answer
            yield name, (kind, Field(alias=to_camel(name), description=_first_line(block.kind)))

    def read(self, body: RepositoryRequest) -> dict[str, dict[str, Any]]:
        """Return the settings that a request sets, by section and key."""
        given = body.model_dump(by_alias=True)
        settings = {name: block.read(given[to_camel(name)]) for name, block in self._blocks.items()}
        if isinstance(body, ProxyRequest):
            settings[ROUTING] = {"rule": body.routing_rule or body.routing_rule_name or ""}
        return settings

    def show(self, repository: Repository, base_url: str) -> RepositoryAnswer:
        """Return the settings of a repository."""
        config = repository.config
        shown: dict[str, Any] = {
            to_camel(name): block.show(config.sections[name])
            for name, block in self._blocks.items()
        }
        if self._has_rule:
            shown["routingRuleName"] = getattr(config.sections[ROUTING], "rule", "") or None
        return self.answer(
            name=config.name,
            format=config.format,
            type=config.type,
            url=url_of(repository, base_url),
            online=config.is_online,
            **shown,
        )

    @contextmanager
    def in_words_of_json(self) -> Iterator[None]:
        """Have errors about settings name the fields of requests.

        Raises:
            Invalid: in place of Invalid and Conflict; ``field`` is the id that clients know.
        """
        try:
            yield
        except (Invalid, Conflict) as error:
            if error.field is None:
                raise
            section, _, rest = error.field.partition(".")
            text = str(error).removeprefix(f"{error.field}: ")
            leaf = self._find(section, rest)
            name = leaf or to_camel((rest or section).rpartition(".")[2])
            told = IDS.get(error.field, PARAMETER.format(name))
            raise Invalid(self._translate(section, text), field=told) from error

    def _find(self, section: str, path: str) -> str | None:
        block = self._blocks.get(section)
        leaf = block.find(path.partition(".")[0]) if block else None
        return leaf.name if leaf else None

    def _translate(self, section: str, text: str) -> str:
        """Return a message with the names that the fields have in JSON."""

        def name(found: re.Match[str]) -> str:
            return self._find(section, found[0]) or found[0]

        return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", name, text)


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def url_of(repository: Repository, base_url: str) -> str:
    """Return the address of a repository on the main port."""
    return f"{base_url}/repository/{repository.name}"


def settings_area(recipes: Iterable[Recipe]) -> Area:
    """Return the endpoints for the settings of the repositories of these recipes."""
    area = Area("Repository settings", "The settings of repositories, for each format and type.")
    models = [SettingsModels(each) for each in sorted(recipes, key=lambda each: each.name)]
    for each in models:
        _add_endpoints(area, each)
    _add_list(area, {each.recipe.name: each for each in models})
    return area


def _add_endpoints(area: Area, models: SettingsModels) -> None:
    recipe = models.recipe
    path = f"/v1/repositories/{recipe.rest_name or recipe.format}/{recipe.type}"
    show = _show_function(models)
    area.post(path, AddRepository(recipe.format), status=HTTPStatus.CREATED)(
        _create_function(models)
    )
    area.get(f"{path}/{{name}}", ReadSettings())(show)
    right = ConfigureRepository(Action.EDIT)
    area.put(f"{path}/{{name}}", right, bare=(404,), matches=show)(_replace_function(models))


def _create_function(models: SettingsModels) -> Callable[..., None]:
    recipe = models.recipe

    def create(call: Call, body: Any) -> None:
        with models.in_words_of_json():
            ManagedRepositories(call).create(
                body.name, recipe, models.read(body), is_online=body.online
            )

    return _declared(create, recipe, "Create {}.", body=models.request)


def _show_function(models: SettingsModels) -> Callable[..., Any]:
    recipe = models.recipe

    def show(call: Call) -> Any:
        repository = _checked(call, recipe)
        if not repository.config.sections:
            raise Unavailable(f"{repository.name} does not work. {repository.problem}")
        return models.show(repository, call.base_url)

    return _declared(show, recipe, "Show the settings of {}.", **{"return": models.answer})


def _replace_function(models: SettingsModels) -> Callable[..., None]:
    recipe = models.recipe

    def replace(call: Call, body: Any) -> None:
        name = _checked(call, recipe).name
        if body.name.lower() != name.lower():
            raise Invalid("A repository cannot be renamed: the name must be that in the path.")
        with models.in_words_of_json():
            ManagedRepositories(call).change(models.read(body), is_online=body.online)

    text = "Replace the settings of {}; secrets that are left out are kept."
    return _declared(replace, recipe, text, body=models.request)


def _declared(
    function: Callable[..., Any], recipe: Recipe, text: str, **types: Any
) -> Callable[..., Any]:
    """Return a function with the name, the description and the types of its endpoint."""
    name = f"{function.__name__}_{recipe.format}_{recipe.type}"
    function.__name__ = re.sub(r"\W", "_", name)
    function.__doc__ = text.format(f"a {recipe.type} repository of the format {recipe.format}")
    function.__annotations__ = {"call": Call, "return": None, **types}
    return function


def _checked(call: Call, recipe: Recipe) -> Repository:
    """Return the repository of a call if it is of this recipe (NotFound)."""
    repository = call.repository
    if repository.config.recipe != recipe.name:
        raise NotFound("The repository was not found.")
    return repository


def _add_list(area: Area, models: Mapping[str, SettingsModels]) -> None:
    def list_repository_settings(call: Call) -> Any:
        """List the settings of all repositories whose settings the user may read."""
        authorizer = call.repoman.security.authorizer
        return [
            models[each.config.recipe].show(each, call.base_url)
            for each in call.repoman.repositories.all()
            if authorizer.may_configure(call.actor, each.ref, Action.READ) and each.config.sections
        ]

    answers = [each.answer for each in models.values()] or [RepositoryAnswer]
    answer: Any = Union[tuple(answers)]  # noqa: UP007 - their number varies
    list_repository_settings.__annotations__ = {"call": Call, "return": list[answer]}
    area.get("/v1/repositorySettings", SIGNED_IN)(list_repository_settings)
