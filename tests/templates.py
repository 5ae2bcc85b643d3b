"""Templates that are compiled once for all applications of a process: each test makes one."""

from types import CodeType
from typing import Any

from flask import Flask
from flask.templating import Environment
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


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
