"""Run a method of a test in a process of its own.

A copy of the test's own process would not do: its threads may be inside SQLite or OpenSSL when it
is copied, and the copy then waits for locks that nobody in it can release. So a server of
:mod:`multiprocessing` is started, which has no threads and the imports made, and is copied instead.
"""

import faulthandler
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from inspect import getfile
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MethodType

from repoman.plugins import ENTRY_POINTS

TIMEOUT_S = 240.0  # A process that runs for longer ends itself.
_IMPORTS = ("repoman.cli", "repoman.http.router", "repoman.rest.areas", "repoman.testing")


def run_in_process(method: Callable[..., None], *arguments: object) -> str:
    """Run a method of a test in a new process; return how that ended.

    The process imports the class of the method again and makes an object of it, so nothing that
    this process has changed is seen there. The arguments are pickled.

    Returns:
        Nothing if the method returned, else its traceback; that of all its threads if it took
        longer than :data:`TIMEOUT_S`.
    """
    assert isinstance(method, MethodType)
    owner = type(method.__self__)
    found = (getfile(owner), owner.__module__, owner.__qualname__, method.__name__)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_IMPORTS, *sorted(_plugin_modules())])
    with TemporaryDirectory() as directory:
        report = Path(directory) / "report"
        process = context.Process(target=_run, args=(found, arguments, report, TIMEOUT_S))
        process.start()
        process.join()
        status = process.exitcode
        process.close()
        told = report.read_text(encoding="utf-8") if report.exists() else ""
        return told if status == 0 else f"exit status {status}\n{told}"


def _plugin_modules() -> set[str]:
    return {each.module for each in entry_points(group=ENTRY_POINTS)}


def _run(
    found: tuple[str, str, str, str], arguments: tuple[object, ...], report: Path, timeout: float
) -> None:
    """Run a method and end this process, whatever its threads do."""
    with report.open("w", encoding="utf-8") as file:
        faulthandler.dump_traceback_later(timeout, exit=True, file=file)
        try:
            _method(*found)(*arguments)
        except BaseException:  # noqa: BLE001 - it is reported
            file.write(traceback.format_exc())
        faulthandler.cancel_dump_traceback_later()
    os._exit(0)


def _method(file: str, module_name: str, class_name: str, name: str) -> Callable[..., None]:
    """Return a method of a new object; its module need not be one that can be imported by name."""
    spec = spec_from_file_location(module_name, file)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[module_name] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    method: Callable[..., None] = getattr(getattr(module, class_name)(), name)
    return method
