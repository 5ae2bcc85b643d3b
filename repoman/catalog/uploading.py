"""Uploads of components by a form, on behalf of a user: rights, rules, and the whole or nothing."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from repoman.blobs.upload import BlobUpload
from repoman.errors import Denied, Invalid, ReadOnly, Unauthenticated
from repoman.repositories.component_upload import (
    UploadedFile,
    UploadSpec,
    UploadTarget,
    is_file_field,
    parse_form,
)
from repoman.repositories.manager import RepositoryManager
from repoman.repositories.model import Repository, RepositoryType
from repoman.repositories.recipes import upload_spec, upload_specs
from repoman.security.actors import Access, Action, Actor
from repoman.security.authorization import Authorizer


class ComponentUploads:
    """Stores forms in repositories that take them; thread safe.

    Every method takes the actor on whose behalf it works; None is the program itself, which may do
    everything.
    """

    def __init__(self, repositories: RepositoryManager, authorizer: Authorizer) -> None:
        self._repositories = repositories
        self._authorizer = authorizer

    def targets(self, actor: Actor | None) -> Iterator[Repository]:
        """Yield the repositories into which the actor may upload something, by name."""
        formats = upload_specs(self._repositories.list_recipes())
        for each in self._repositories.all():
            config = each.config
            if config.type is RepositoryType.HOSTED and config.format in formats:
                with suppress(Invalid, Unauthenticated, Denied):
                    self.check(each, actor)
                    yield each

    def check(self, repository: Repository, actor: Actor | None) -> None:
        """Return if the actor may upload anything into a repository; it costs nothing to ask.

        Raises:
            Invalid: the repository takes no uploads, or its write policy refuses them.
            Unauthenticated, Denied: the actor may not.
        """
        self._target(repository)
        add = frozenset({Action.ADD})
        if actor is not None and not self._authorizer.may_do_somewhere(actor, repository.ref, add):
            if actor.is_anonymous:
                raise Unauthenticated("Authentication is required.")
            raise Denied(f"{actor.name} is not allowed to add anything to {repository.name}.")
        if not repository.config.is_online:
            raise Invalid(f"The repository {repository.name!r} is offline.")
        try:
            self._target(repository).check_writable()
        except ReadOnly as error:
            raise Invalid(str(error)) from error

    def open_file(self, repository: Repository, field: str) -> BlobUpload:
        """Begin to store the file of a field (Invalid: the format knows no such file)."""
        format_ = repository.config.format
        if not is_file_field(self.spec(repository), format_, field):
            raise Invalid(f"{field}: uploads of the format {format_} have no such file.", field)
        return self._target(repository).open_file_upload()

    def store(
        self,
        repository: Repository,
        fields: Mapping[str, Sequence[str]],
        files: Sequence[tuple[str, UploadedFile]],
        actor: Actor | None,
    ) -> list[str]:
        """Store a form with the fields and files of a request, as a whole or not at all.

        The files come with the names of their fields, and are closed by the caller. Return where
        they are stored.

        Raises:
            Invalid: something is wrong with the form, the write policy refuses it, or the actor may
                not write to its paths.
        """

        def check(path: str, is_new: bool) -> None:
            actions = frozenset({Action.ADD if is_new else Action.EDIT})
            access = Access(actions, path, repository.rules.name_of(path))
            if actor is None or self._authorizer.is_allowed(actor, repository.ref, access):
                return
            verb = "add" if is_new else "overwrite"
            raise Invalid(f"{actor.name} is not allowed to {verb} {path} in {repository.name}.")

        form = parse_form(self.spec(repository), repository.config.format, fields, files)
        try:
            return self._target(repository).store_upload(form, check)
        except ReadOnly as error:
            raise Invalid(str(error)) from error

    def spec(self, repository: Repository) -> UploadSpec:
        """Return what the form of a repository has (Invalid: it takes no uploads)."""
        self._target(repository)
        return upload_spec(self._repositories.list_recipes(), repository.config.format)

    def _target(self, repository: Repository) -> UploadTarget:
        config = repository.config
        if config.format not in upload_specs(self._repositories.list_recipes()):
            raise Invalid(
                f"Uploading components to '{config.format}' repositories is unsupported. Use a "
                "client of the format."
            )
        if config.type is not RepositoryType.HOSTED:
            raise Invalid(
                f"Uploading components to a '{config.type}' type repository is unsupported, must "
                "be 'hosted'.",
                field="repository",
            )
        if repository.problem is not None or repository.capabilities.upload is None:
            raise Invalid(repository.problem or f"{repository.name} takes no uploads.")
        return repository.capabilities.upload
