"""Templates and rules of routes that are compiled once for all applications of a process.

Each test makes an application, and these were most of what that took.
"""

from collections.abc import Callable
from types import CodeType
from typing import Any

from flask import Flask
from flask.templating import Environment
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import Rule


class _Codes(BytecodeCache):
    """What has been compiled, by template, source and options."""

    def __init__(self) -> None:
        self._codes: dict[tuple[object, ...], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get(self._key_of(bucket))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[self._key_of(bucket)] = bucket.code

    @staticmethod
    def _key_of(bucket: Bucket) -> tuple[object, ...]:
        of = bucket.environment
        return bucket.key, bucket.checksum, of.trim_blocks, of.lstrip_blocks


class CompiledOnce(Environment):
    """The environment of templates of an application."""

    codes = _Codes()

    def __init__(self, app: Flask, **options: Any) -> None:
        super().__init__(app, **options, bytecode_cache=self.codes)


def compile_rules_once(kind: type[Rule]) -> None:
    """Have a kind of rules take over what an equal rule of another application was compiled to."""
    compile_rule: Callable[[Rule], None] = kind.compile
    compiled: dict[tuple[object, ...], Rule] = {}

    def compile_once(rule: Rule) -> None:
        key = _all_that_counts(rule)
        if key not in compiled:
            compile_rule(rule)
            compiled[key] = rule
            return
        made = compiled[key]
        rule._parts, rule._trace, rule._converters = made._parts, made._trace, made._converters
        rule.arguments = {*made.arguments}
        rule._build = made._build.__func__.__get__(rule)
        rule._build_unknown = made._build_unknown.__func__.__get__(rule)

    kind.compile = compile_once  # type: ignore[method-assign]


def _all_that_counts(rule: Rule) -> tuple[object, ...]:
    converters = tuple(rule.map.converters.items())
    options = rule.host, rule.subdomain, rule.merge_slashes, rule.map.host_matching
    return rule.rule, *options, repr(rule.defaults), converters
