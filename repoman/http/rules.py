"""The rules of all apps: they learn to build addresses when somebody first asks for one."""

import threading
from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule

# Python 3.11 counts the depth of what it compiles for all threads together, and fails if two do it
# at once.
_COMPILING = threading.Lock()


class LateRule(Rule):
    """A rule that learns to build addresses late.

    Nobody asks for most of the hundreds of rules, and it takes a millisecond each.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compile_now = super()._compile_builder
        found: list[Callable[..., tuple[str, str]]] = []

        def build(rule: Rule, /, **values: Any) -> tuple[str, str]:
            if not found:
                with _COMPILING:
                    found[:] = found or [compile_now(append_unknown)]
            return found[0](rule, **values)

        return build
