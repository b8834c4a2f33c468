"""YAML 1.2's core schema, read strictly and written so that it reads back."""

import re
from typing import Any

import yaml

from hpsearch.errors import UserError


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema: `1e-4` is a number, `off` and `yes` are words."""


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"),
    list("-+0123456789."),
)  # fmt: skip


def _bool(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> bool:
    word = str(node.value).lower()
    if word not in ("true", "false"):
        raise yaml.constructor.ConstructorError(None, None, f"{word!r} is not true or false", node.start_mark)
    return word == "true"


def _int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(str(node.value))  # decimal, as in YAML 1.2: 010 is ten


def _float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    return float(str(node.value).lower().replace(".inf", "inf").replace(".nan", "nan"))


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(
                None, None, f"keys are words, got {key!r}", key_node.start_mark
            )
        if key in result:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} stands twice", key_node.start_mark
            )
        result[key] = loader.construct_object(value_node, deep=True)
    return result


# The core schema's tags and no other: `!!timestamp`, `!!binary`, `!!python/…` are refused.
_Loader.yaml_constructors = {
    tag: yaml.SafeLoader.yaml_constructors[tag]
    for tag in ("tag:yaml.org,2002:null", "tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", None)
}
_Loader.add_constructor("tag:yaml.org,2002:bool", _bool)
_Loader.add_constructor("tag:yaml.org,2002:int", _int)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


class _Dumper(yaml.SafeDumper):
    """Quotes the words that `_Loader` would read as something else, such as '1e5' and '09'."""


def _word(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    breaks = any(mark in text for mark in "\x85\u2028\u2029")  # line breaks, which PyYAML would write unescaped
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if breaks else None)


_Dumper.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers
_Dumper.add_representer(str, _word)


def read_yaml(text: str, place: str) -> dict[str, Any]:
    """A mapping in YAML; `place` begins each error.

    Raises:
        UserError: it is not YAML, or no mapping.
    """
    try:
        raw = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        raise UserError(f"{_marked(place, error)}: is not plain YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{place}: is not plain YAML: {_one_line(error)}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{place}: must be a mapping with the keys name, data, params; got {type(raw).__name__}")
    return raw


def write_yaml(plain: dict[str, Any]) -> str:
    """Plain values as YAML, in their order; `read_yaml` reads them back."""
    return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _marked(place: str, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"{place}: line {mark.line + 1}, column {mark.column + 1}" if mark else place


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
