"""Forms of pages with files, which go to sinks of their own while they arrive.

A view that takes one is marked with :func:`streams_form`: then the guard of the main port does not
read the body, and the view asks for it, once it knows that the visitor may send it, with
:func:`receive_page_form`. A view is called twice, see :mod:`repoman.http.body`.
"""

from collections.abc import Callable
from typing import TypeVar

from flask import Flask, request
from flask_wtf.csrf import CSRFError, validate_csrf
from werkzeug.datastructures import ImmutableMultiDict
from wtforms import ValidationError

from repoman.http.current import current_environ
from repoman.http.multipart import OpenForm, OpenPart, receive_form
from repoman.http.sessions import MARK, SESSION

View = TypeVar("View", bound=Callable[..., object])
_STREAMS = "repoman_streams_form"


def streams_form(view: View) -> View:
    """Mark a view that reads the form of its request itself."""
    setattr(view, _STREAMS, True)
    return view


def is_streamed(app: Flask) -> bool:
    """Return whether the view of the request reads its form itself; nobody else may read it then.

    Those who keep what was typed when a login has ended find an empty form.
    """
    view = app.view_functions.get(request.endpoint or "")
    found = request.method == "POST" and hasattr(view, _STREAMS)
    if found:
        request.__dict__["form"] = ImmutableMultiDict[str, str]()
    return found


def receive_page_form(open_part: OpenPart) -> OpenForm:
    """Return the form of the request, once all its files are in their sinks.

    Leaving its context closes them. ``open_part`` is called outside of any request.

    Raises:
        CSRFError: a page of another site may have sent it.
        Invalid: the body is not a form with files.
        RepomanError: it is too large, or a file cannot be stored.
    """
    environ = current_environ()
    form = receive_form(environ, open_part)
    given = form.fields.pop(MARK, [""])[0]
    if SESSION in environ:
        try:
            validate_csrf(given)
        except ValidationError as error:
            form.close()
            raise CSRFError(error.args[0]) from error
    return form
