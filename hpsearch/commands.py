"""Commands that messages propose: quoted for the shell, and called as this process was."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

_NAME = "hpsearch"


def proposed(name: str, *words: object, **options: object) -> str:
    """A command line that can be pasted into a shell.

    Args:
        name: the command, such as `launch`.
        words: its arguments; a path that begins with a dash is written so that it is no option.
        options: by name, with `_` for `-`; `None` and `False` are left out, `True` is a flag.
    """
    return shlex.join([*_program(), name, *map(_argument, words), *_options(options)])


def _argument(word: object) -> str:
    text = str(word)
    return f"./{text}" if text.startswith("-") else text


def _options(options: Mapping[str, object]) -> list[str]:
    words: list[str] = []
    for key, value in options.items():
        option = f"--{key.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not None and value is not False:
            words += [f"{option}={value}"] if str(value).startswith("-") else [option, str(value)]
    return words


def _program() -> list[str]:
    """`hpsearch` where the shell finds it, else the path by which it was called, else Python with the package."""
    called = sys.argv[0] if sys.argv else ""
    if called == _NAME:
        return [_NAME]
    beside = Path(sys.executable).with_name(_NAME)
    script = Path(called) if Path(called).name == _NAME and Path(called).is_file() else beside
    found = shutil.which(_NAME)
    if found is not None and os.path.realpath(found) == os.path.realpath(script):
        return [_NAME]
    return [str(script)] if script.is_file() else [sys.executable, "-P", "-m", _NAME]
