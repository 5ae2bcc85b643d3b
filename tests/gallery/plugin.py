"""A plugin with a page that shows every component, and one with every kind of field."""

from enum import StrEnum

from flask import Blueprint, render_template, request, url_for
from pydantic import Field, SecretStr, field_validator, model_validator

from repoman.plugin import (
    Conflict,
    Invalid,
    PageLink,
    RegularExpressions,
    Section,
    SectionForm,
    TaskContext,
    TaskType,
    Unavailable,
    done,
    hookimpl,
)

gallery = Blueprint("gallery", __name__, template_folder="templates", url_prefix="/gallery")


class Colour(StrEnum):
    DARK_RED = "dark_red"
    BLUE = "blue"


class Shelf(Section):
    """What every shelf has."""

    name: str = Field(max_length=20, description="Letters and digits.")
    online: bool = Field(True, description="Whether it serves requests.")


class Look(Section):
    """How a shelf looks."""

    colour: Colour = Field(Colour.BLUE, json_schema_extra={"labels": {"blue": "Sky blue"}})
    http_port: int | None = Field(None, ge=1, le=65535, description="Empty: none.")
    width: int = Field(60, ge=10, json_schema_extra={"unit": "minutes"})
    limit: int = Field(0, ge=0, json_schema_extra={"unit": "MiB", "advanced": True})
    open: bool | None = None
    patterns: RegularExpressions = Field((), description="Expressions.")
    store: str = "default"
    parts: tuple[str, ...] = Field((), json_schema_extra={"widget": "picker"})
    tags: tuple[str, ...] = ()
    pins: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    password: SecretStr = SecretStr("")
    unused: str = Field("", json_schema_extra={"widget": "none"})

    @field_validator("store")
    @classmethod
    def _check_store(cls, value):
        if value == "archive":
            raise ValueError("must not be archive")
        return value

    @model_validator(mode="after")
    def _check_all(self):
        if self.http_port == self.width:
            raise ValueError("The port must not be the width")
        return self


class Dusting(Section):
    """How much is dusted."""

    shelves: int = Field(3, ge=1, json_schema_extra={"unit": "shelves"})


def dust(context: TaskContext) -> str:
    """Dust slowly, so that somebody can watch."""
    count = context.settings(Dusting).shelves
    for number in range(1, count + 1):
        context.log(f"Dusted shelf {number}.")
        context.progress(number, count, f"Dusting shelf {number}")
        context.pause(0.05)
    return f"Dusted {count} shelves."


class Shelves:
    """The service behind the form, and what it refuses."""

    def __init__(self):
        self.saved = None
        self.stored = None

    def save(self, values):
        name = values[""]["name"]
        if name == "taken":
            raise Conflict("name: there is a shelf taken already.", field="name")
        if name == "port":
            raise Invalid("look.http_port: port 80 is in use", field="look.http_port")
        if name == "deep":
            raise Invalid("look.pins.a: no such part.", field="look.pins.a")
        if name == "elsewhere":
            raise Invalid("quota: too small.", field="quota")
        if name == "down":
            raise Unavailable("The directory does not answer.")
        self.saved = values


shelves = Shelves()
CHOICES = {
    "look.store": [("default", "default"), ("archive", "archive (full)")],
    "look.parts": [("one", "Part one"), ("two", "Part two"), ("three", "Part three")],
    "look.tags": [("new", "New"), ("old", "Old")],
}


@gallery.get("")
def show():
    return render_template("gallery/components.html")


@gallery.route("/form", methods=["GET", "POST"])
def form():
    shown = SectionForm({"": Shelf, "look": Look}, shelves.stored, choices=CHOICES)
    if request.method == "POST":
        with shown.read(request.form).saving():
            shelves.save(shown.values())
            return done("It was saved.", url_for("gallery.show"), ("Look", url_for("gallery.form")))
    return shown.render("gallery/form.html")


@hookimpl
def repoman_register_web():
    return [gallery]


@hookimpl
def repoman_register_tasks() -> list[TaskType]:
    return [
        TaskType(
            "gallery.dust",
            "Gallery - Dust shelves",
            dust,
            settings=Dusting,
            description="Takes as long as there are shelves.",
        )
    ]


@hookimpl
def repoman_register_pages():
    return [PageLink("System", "Components", "cube", "gallery.show", count=lambda: 4)]
