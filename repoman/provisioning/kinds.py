"""The kinds of objects of the server: repositories, options and tasks."""

import time
from typing import Any

from pydantic import Field

from repoman.core import Repoman
from repoman.provisioning.documents import Secrets, plain, without_defaults
from repoman.provisioning.kind import Kind, State, at, changed, check_same, parse_entry
from repoman.repositories.changes import leads_elsewhere
from repoman.repositories.recipes import Recipe
from repoman.sections import Section
from repoman.tasks.model import Task
from repoman.tasks.schedule import Frequency, Schedule, parse_schedule


class RepositoryEntry(Section):
    """A repository in the file."""

    recipe: str = Field(description="Format and type, such as raw-hosted.")
    online: bool = Field(True, description="Whether it accepts requests.")
    settings: dict[str, dict[str, Any] | None] = Field(
        default_factory=dict, description="Settings by section."
    )


class Repositories(Kind):
    """Repositories; a group is created when its members are there."""

    section = "repositories"
    noun = "repository"
    entry = RepositoryEntry

    def shorten(self, name: str, state: State) -> State:
        """Return a state without defaults."""
        kinds = self._repoman.repositories.get_recipe(state["recipe"]).sections
        settings = {
            key: short
            for key, values in state["settings"].items()
            if (short := without_defaults(values, kinds[key]))
        }
        return super().shorten(name, {**state, "settings": settings})

    def present(self) -> dict[str, State]:
        """Return the repositories whose settings are valid."""
        return {
            each.name: {
                "recipe": each.config.recipe,
                "online": each.config.is_online,
                "settings": {key: plain(value) for key, value in each.config.sections.items()},
            }
            for each in self._repoman.repositories.all()
            if each.config.sections
        }

    def skipped(self) -> list[str]:
        """Return the repositories whose format is not installed, or whose settings are broken."""
        return [each.name for each in self._repoman.repositories.all() if not each.config.sections]

    def parse(self, name: str, values: Any, path: str, old: State | None) -> State:
        """Return the state that an entry describes."""
        entry = parse_entry(RepositoryEntry, values, path)
        with at(path):
            recipe = self._repoman.repositories.get_recipe(entry.recipe)
        new: State = {"recipe": entry.recipe, "online": entry.online, "settings": {}}
        check_same("recipe", path, old, new)
        with at(f"{path}.settings"):
            recipe.check_sections(entry.settings)
        before = old["settings"] if old else {}
        new["settings"] = self._sections(recipe, entry, path, before)
        if old and leads_elsewhere(recipe, before, new["settings"]):
            new["settings"] = self._sections(recipe, entry, path, {})  # It gets no former secrets.
        return new

    def _sections(self, recipe: Recipe, entry: RepositoryEntry, path: str, old: State) -> State:
        """Return the values of all sections; secrets that the entry lacks are the old ones."""
        return {
            key: self._settings(
                kind, entry.settings.get(key), f"{path}.settings.{key}", old.get(key)
            )
            for key, kind in recipe.sections.items()
        }

    def create(self, name: str, new: State) -> None:
        """Create a repository."""
        self._repoman.repositories.create(
            name, new["recipe"], new["settings"], is_online=new["online"]
        )

    def change(self, name: str, old: State, new: State) -> None:
        """Change the settings that differ."""
        before, settings = old["settings"], new["settings"]
        recipe = self._repoman.repositories.get_recipe(new["recipe"])
        if not leads_elsewhere(recipe, before, settings):  # Else secrets go that are not given.
            sections = {key: changed(before.get(key, {}), settings[key]) for key in before}
            settings = {key: values for key, values in sections.items() if values}
        online = new["online"] if new["online"] != old["online"] else None
        self._repoman.repositories.update(name, settings, is_online=online)

    def delete(self, name: str) -> None:
        """Delete a repository with its content."""
        self._repoman.repositories.delete(name)


class OptionSections(Kind):
    """The options of the server."""

    section = "options"
    noun = "options"
    entry = Section

    def shorten(self, name: str, state: State) -> State:
        """Return a state without defaults, which are not those of the settings file."""
        return without_defaults(state, type(self._repoman.options.read(name)))

    is_fixed = True

    def present(self) -> dict[str, State]:
        """Return all sections of options."""
        options = self._repoman.options
        return {name: plain(options.read(name)) for name in options.names()}

    def parse(self, name: str, values: Any, path: str, old: State | None) -> State:
        """Return the state that an entry describes."""
        kind = type(self._repoman.options.read(name))
        return self._settings(kind, values, path, old)

    def create(self, name: str, new: State) -> None:
        """Do nothing: there are all of them."""

    def change(self, name: str, old: State, new: State) -> None:
        """Change the keys that differ."""
        self._repoman.options.update(name, changed(old, new))

    def delete(self, name: str) -> None:
        """Do nothing."""


class TaskEntry(Section):
    """A task in the file."""

    type: str = Field(description="The type of the task.")
    enabled: bool = Field(True, description="Whether it runs by its schedule.")
    schedule: str = Field("manual", description="When it runs, such as 'daily 03:00'.")
    time_zone: str = Field("UTC", description="Time zone of the schedule.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Settings of its type.")


class TaskObjects(Kind):
    """Tasks. Several tasks of the same name are numbered: ``Verify``, ``Verify (2)``."""

    section = "tasks"
    noun = "task"
    entry = TaskEntry
    deletes_alone = True

    def __init__(self, repoman: Repoman, secrets: Secrets) -> None:
        super().__init__(repoman, secrets)
        self._tasks: dict[str, Task] = {}  # As of the last look: numbers move with deletions.

    def present(self) -> dict[str, State]:
        """Return the tasks whose types are known."""
        found = {}
        self._tasks = self._named()
        for name, task in self._tasks.items():
            settings = self._repoman.tasks.read_settings(task)
            if settings is not None:
                about = {"type": task.type, **_timing(task.schedule, is_enabled=task.is_enabled)}
                found[name] = {**about, "settings": plain(settings)}
        return found

    def shorten(self, name: str, state: State) -> State:
        """Return a state without defaults."""
        kind = self._repoman.tasks.get_type(state["type"]).settings
        settings = without_defaults(state["settings"], kind)
        return super().shorten(name, {**state, "settings": settings})

    def skipped(self) -> list[str]:
        """Return the tasks whose types no plugin provides."""
        tasks = self._repoman.tasks
        return [name for name, each in self._named().items() if tasks.read_settings(each) is None]

    def parse(self, name: str, values: Any, path: str, old: State | None) -> State:
        """Return the state that an entry describes."""
        entry = parse_entry(TaskEntry, values, path)
        with at(path):
            kind = self._repoman.tasks.get_type(entry.type).settings
            timing = _timing(
                parse_schedule(entry.schedule, entry.time_zone), is_enabled=entry.enabled
            )
        before = old and old["settings"]
        settings = self._settings(kind, entry.settings, f"{path}.settings", before)
        new = {"type": entry.type, **timing, "settings": settings}
        check_same("type", path, old, new)
        return new

    def create(self, name: str, new: State) -> None:
        """Create a task."""
        self._repoman.tasks.create(
            new["type"], name, new["settings"], _schedule(new), is_enabled=new["enabled"]
        )

    def change(self, name: str, old: State, new: State) -> None:
        """Change what differs."""
        is_moved = _schedule(old) != _schedule(new)
        self._repoman.tasks.update(
            self._tasks[name],
            settings=changed(old["settings"], new["settings"]) or None,
            schedule=_schedule(new) if is_moved else None,
            is_enabled=new["enabled"] if new["enabled"] != old["enabled"] else None,
        )

    def delete(self, name: str) -> None:
        """Delete a task with its runs."""
        self._repoman.tasks.delete(self._tasks[name])

    def _named(self) -> dict[str, Task]:
        found: dict[str, Task] = {}
        for task in self._repoman.tasks.all():
            name, number = task.name, 2
            while name in found:
                name, number = f"{task.name} ({number})", number + 1
            found[name] = task
        return found


def _timing(schedule: Schedule, *, is_enabled: bool) -> State:
    """Return when a task runs; one that was to run once, and did, counts as disabled."""
    is_over = schedule.frequency is Frequency.ONCE and schedule.next_after(time.time()) is None
    return {
        "enabled": is_enabled and not is_over,
        "schedule": str(schedule),
        "time_zone": schedule.time_zone,
    }


def _schedule(state: State) -> Schedule:
    return parse_schedule(state["schedule"], state["time_zone"])
