"""study.yaml as frozen models: form only. What the names mean is `validate`'s business."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from hpsearch.core_yaml import read_yaml, write_yaml
from hpsearch.errors import UserError, either
from hpsearch.names import advice, key_advice, suggestions
from hpsearch.peers import KEYS, VALUES

Scalar = bool | int | float | str | None


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Fixed(_Strict):
    """One value. `column`: of a net's own parameter, that it may differ between the trials of a pack."""

    value: Scalar
    when: dict[str, Any] = {}
    column: bool = False


class Choice(_Strict):
    """A value of a list, each as likely."""

    choices: Annotated[list[Scalar], Field(min_length=1)]
    when: dict[str, Any] = {}
    column: bool = False


class Range(_Strict):
    """A number from low to high, both included, uniform or log-uniform."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None
    when: dict[str, Any] = {}
    column: bool = False


def _form(entry: Any) -> str:
    if isinstance(entry, Fixed | Choice | Range):
        return type(entry).__name__.lower()
    if "choices" in entry:
        return "choice"
    return "fixed" if "value" in entry else "range"


Param = Annotated[
    Annotated[Fixed, Tag("fixed")] | Annotated[Choice, Tag("choice")] | Annotated[Range, Tag("range")],
    Discriminator(_form),
]


class Split(_Strict):
    """Parts by share, or by a column that holds train, validation, test.

    Shares are stratified for classes; with `group`, rows that have one value in that column stay together; with
    `time`, the earliest rows train and the latest test.
    """

    validation: Annotated[float, Field(gt=0, lt=1)] = 0.2
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: Annotated[int, Field(ge=0)] = 0
    column: str | None = None
    group: str | None = None
    time: str | None = None

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> "Split":
        named = [name for name in ("column", "group", "time") if getattr(self, name) is not None]
        if len(named) > 1:
            raise ValueError(f"takes one of column, group, time; has {' and '.join(named)}")
        idle = {"column": ("validation", "test", "seed"), "time": ("seed",)}
        for kind in named:
            for name in idle.get(kind, ()):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} does not act beside {kind}; leave it out")
        return self

    @property
    def named(self) -> str | None:
        """The column that decides, if any; nothing is learned from it."""
        return self.column or self.group or self.time


_RIGHTS = r"://[^/@]*:[^/@]*@"  # a user and a password in a URL


def _without_password(name: str) -> str:
    if re.search(_RIGHTS, name):
        raise ValueError("holds a password; a store's keys belong into the environment, or into its own files")
    return name


Source = Annotated[str, AfterValidator(_without_password)]

# How the texts of a column are read; hpsearch.data.formats has what each means.
ColumnFormat = Literal[
    "text", "number", "thousands_comma", "thousands_point", "thousands_blank", "thousands_blank_point",
    "thousands_apostrophe", "thousands_apostrophe_comma", "decimal_comma", "date", "day_first", "month_first",
    "month_name", "time", "duration",
]  # fmt: skip


class Data(_Strict):
    source: Source = ""  # none: a training function of the user's own has data of its own
    target: str | None = None
    task: Literal["classification", "regression"] | None = None
    categorical: list[str] = []
    formats: dict[str, ColumnFormat] = {}  # of columns whose texts are read otherwise than is recognised
    drop: list[str] = []  # columns that are no inputs
    missing: list[str] = [""]
    weight: str | None = None  # a column: how much an example counts in training
    extra: Source | None = None  # more training data, from a source of the same kind
    unlabelled: Source | None = None  # inputs for the student alone, of the same kind
    size: Annotated[int, Field(ge=1, le=4096)] | None = None  # pixels of a side to which pictures are scaled
    channels: Literal["first", "last"] | None = None  # the axis of arrays of images that holds their channels
    split: Split = Split()

    @model_validator(mode="after")
    def _names_a_column_once(self) -> "Data":
        both = [name for name, form in self.formats.items() if name in self.categorical and form != "text"]
        if both:
            raise ValueError(f"formats and categorical both name the column {both[0]!r}; leave it out of one")
        return self

    @property
    def words(self) -> list[str]:
        """The columns of categories that the study names."""
        return [*self.categorical, *(name for name, form in self.formats.items() if form == "text")]

    @property
    def text(self) -> list[str]:
        """The columns that are text in a CSV: what a named format reads is what the file has."""
        target = [self.target] if self.target is not None else []
        return [*self.categorical, *self.formats, *target]


def _reads(text: Any) -> Any:
    seconds(text)
    return text


Duration = Annotated[str, BeforeValidator(_reads)]  # 90s, 15m, 2h, 1d


class Search(_Strict):
    trials: Annotated[int, Field(ge=1)] = 64
    block: Annotated[int, Field(ge=1)] = 8
    metric: str | None = None
    direction: Literal["maximize", "minimize"] | None = None  # of a metric of the user's own
    space: str | None = None  # a ready-made one, which params override
    enqueue: list[dict[str, Scalar]] = []  # parameters of the first trials
    prune: Literal["none"] = "none"
    folds: Annotated[int, Field(ge=2, le=20)] | None = None  # of cross-validation
    evaluate: Annotated[int, Field(ge=1)] = 1  # epochs from one full evaluation to the next
    timeout: Duration | None = None


class Resources(_Strict):
    """How a search is run, and nothing that its results depend on: may change when a study goes on."""

    gpus_per_pack: Literal["auto"] | Annotated[float, Field(ge=0)] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: Annotated[int, Field(ge=1)] | None = None
    checkpoint: Duration = "1m"  # from one store of a leg's rows to the next
    trial_timeout: Duration | None = None  # a leg that ends no epoch for so long is killed
    disk_gb: Annotated[float, Field(gt=0)] = 10.0  # of stored rows, 10⁹ bytes each


class Storage(_Strict):
    """Where run folders are, when `--runs` does not say: a folder, or a URL that fsspec knows."""

    path: Annotated[Source, Field(min_length=1)] | None = None


class Student(_Strict):
    trials: Annotated[int, Field(ge=1, le=50)] = 8
    size: Annotated[float, Field(gt=0, le=1)] = 0.25  # its parameters, as a share of the best trial's
    longer: Annotated[float, Field(ge=1, le=100)] | None = None  # times a trial's epochs; else by its steps


def _unless_off(entry: Any) -> Any:
    return None if entry == "off" or entry is False else entry


class Squeeze(_Strict):
    ensemble: Annotated[int, Field(ge=1, le=100)] = 5
    prolong: Annotated[Annotated[float, Field(gt=0, le=100)] | None, BeforeValidator(_unless_off)] = None
    student: Annotated[Student | None, BeforeValidator(_unless_off)] = Student()
    refit: bool = False
    seeds: Annotated[Annotated[int, Field(ge=1, le=20)] | None, BeforeValidator(_unless_off)] = None


def _says_why(entry: Any) -> Any:
    if not isinstance(entry, str) or not entry.strip():
        raise ValueError("must be a sentence that says why the finding is accepted")
    return entry


Reason = Annotated[str, BeforeValidator(_says_why)]


class Human(_Strict):
    """What a person scores by the study's metric, or a second person's labels of the same rows."""

    score: float | None = None
    labels: str | None = None

    @model_validator(mode="after")
    def _has_one(self) -> "Human":
        if (self.score is None) == (self.labels is None):
            raise ValueError("has either score or labels")
        return self


class Study(_Strict):
    name: str
    seed: Annotated[int, Field(ge=0)] = 0
    data: Data = Data()
    net: str = "mlp"
    objective: str | None = None  # a training function of the user's own
    init_from: str | None = None  # a safetensors file with weights
    search: Search = Search()
    params: dict[str, Param] = {}
    resources: Resources = Resources()
    squeeze: Squeeze = Squeeze()
    storage: Storage = Storage()
    human: Human | None = None
    accept: dict[str, Reason] = {}  # findings of the checks that are true and known, by their ids: why

    @model_validator(mode="after")
    def _has_data(self) -> "Study":
        if not self.data.source and self.objective is None:
            raise ValueError("data.source is required")
        return self

    @field_validator("name")
    @classmethod
    def _name_is_a_folder_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
            raise ValueError("must be letters, digits, '.', '_' and '-', starting with a letter or digit")
        return name


# Keys of the published study format that this version does not build; refused by name, never ignored.
_NOT_BUILT = {
    "search.sampler", "search.spare", "storage.trials", "track",
}  # fmt: skip
_NOT_BUILT_VALUES = {("search.prune", "asha")}


def folder_of(path: Path) -> Path:
    """Give the folder of a study, from which its relative paths begin and in which its code lies.

    Of a link it is the folder of the file that it leads to, as `python` has it of a script.
    """
    try:
        return path.resolve().parent if path.is_symlink() else path.parent
    except (OSError, RuntimeError):  # links in a circle, which reading it tells
        return path.parent


def load_study(path: Path) -> Study:
    """Reads a study file.

    Raises:
        UserError: the file cannot be read, is not YAML, or breaks the form; every fault is named.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        leads = f"is a link to {path.readlink()}, and there is " if path.is_symlink() else ""
        raise UserError(f"{path}: {leads}no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    return parse_study(read_yaml(text, str(path)), str(path))


def parse_params(raw: dict[str, Any], place: str) -> dict[str, Param]:
    """Parameters from plain values, as under `params` of a study."""
    return parse_study({"name": "space", "data": {"source": "none"}, "params": raw}, place).params


def parse_study(raw: dict[str, Any], place: str) -> Study:
    """A study from plain values; `place` begins each error."""
    _refuse_not_built(raw, place)
    params = raw.get("params")
    if isinstance(params, dict):
        raw = raw | {"params": {name: _short_form(entry) for name, entry in params.items()}}
    try:
        return Study.model_validate(raw)
    except ValidationError as error:
        lines = dict.fromkeys(_sentence(place, fault) for fault in _telling(error.errors()))
        raise UserError("\n".join(lines)) from None


def _short_form(entry: Any) -> Any:
    """A scalar is fixed, a list is a choice, a mapping says what it is."""
    if isinstance(entry, dict):
        return entry
    return {"choices": entry} if isinstance(entry, list) else {"value": entry}


def _refuse_not_built(raw: dict[str, Any], place: str) -> None:
    flat = dict(raw)
    for section in ("data", "search", "squeeze", "storage"):
        if isinstance(raw.get(section), dict):
            flat |= {f"{section}.{key}": value for key, value in raw[section].items()}
    for key, value in flat.items():
        if key in _NOT_BUILT:
            raise UserError(f"{place}: {key}: is not built yet; leave it out")
        if isinstance(value, str) and (key, value) in _NOT_BUILT_VALUES:
            raise UserError(f"{place}: {key}: {value!r} is not built yet; leave it out")


def _telling(faults: Sequence[Any]) -> list[Any]:
    """The faults without those that follow from another: a key that is misspelt is missing as well."""
    odd = {
        fault["loc"][:2] for fault in faults if fault["type"] == "extra_forbidden" and fault["loc"][0] == "params"
    }
    return [fault for fault in faults if fault["type"] != "missing" or fault["loc"][:2] not in odd]


def _sentence(place: str, fault: Any) -> str:
    loc = [str(part) for part in fault["loc"]]
    if loc[:1] == ["params"] and len(loc) > 2:  # drop the tag of the union
        loc.pop(2)
    for at, key in enumerate(loc):
        if key in _ONE_OF and len(loc) > at + 1 and (key != "choices" or len(loc) > at + 2):
            where = ".".join(loc[: at + 1 + (key == "choices")])
            return f"{place}: {where}: must be {_ONE_OF[key]}, got {_shown(fault)}"
    where = ".".join(loc) or "study"
    if fault["type"] == "extra_forbidden":
        return f"{place}: {where}: unknown key{_nearest(loc)}"
    if fault["type"] == "missing":
        return f"{place}: {where}: is required"
    if fault["type"] == "literal_error" and isinstance(fault.get("input"), str):
        known = fault["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        hint = advice(fault["input"], known, VALUES.get(loc[-1]))
        return f"{place}: {where}: {fault['input']!r} is not known; {hint}"
    rule = _RULES.get(fault["type"])
    message = rule.format(**fault.get("ctx", {})) if rule else str(fault["msg"]).removeprefix("Value error, ")
    if loc[:1] == ["params"] and len(loc) == 3 and loc[2] == "choices" and fault.get("input") == []:
        return f"{place}: params.{loc[1]}: the list of choices is empty"
    sentence = f"{place}: {where}: {message[:1].lower()}{message[1:]}"
    of_a_section = fault["type"] == "value_error" and isinstance(fault.get("input"), dict)
    return sentence if of_a_section else f"{sentence}, got {_shown(fault)}"


# Fields of several types: one sentence for all of them.
_ONE_OF = {
    "value": "a finite number, a word, true or false", "choices": "a finite number, a word, true or false",
    "low": "a finite number", "high": "a finite number", "step": "a finite number",
    "gpus_per_pack": "auto or a number from 0",
}  # fmt: skip


_RULES = {
    "dict_type": "must be a mapping", "model_type": "must be a mapping", "list_type": "must be a list",
    "int_type": "must be a whole number", "float_type": "must be a number", "string_type": "must be a word",
    "bool_type": "must be true or false", "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be above {gt:g}", "less_than_equal": "must be at most {le:g}",
    "less_than": "must be below {lt:g}",
}  # fmt: skip


def _shown(fault: Any) -> str:
    got = fault.get("input")
    if got is None:
        return "null"
    text = re.sub(_RIGHTS, "://…@", repr(got))
    return text if isinstance(got, Scalar | list) and len(text) < 80 else type(got).__name__


_ENTRY_KEYS = dict.fromkeys([*Range.model_fields, *Choice.model_fields, *Fixed.model_fields])
_MODELS: dict[tuple[str, ...], type[BaseModel]] = {
    (): Study, ("data",): Data, ("data", "split"): Split, ("search",): Search, ("resources",): Resources,
    ("squeeze",): Squeeze, ("squeeze", "student"): Student, ("human",): Human, ("storage",): Storage,
}  # fmt: skip


def _nearest(loc: list[str]) -> str:
    if loc[:1] == ["params"]:
        found = suggestions(loc[-1], list(_ENTRY_KEYS), KEYS["params."])
        if found:
            return f"; did you mean {either(found)}?"
        forms = "a range has low, high, log, step; a choice has choices; a fixed value has value"
        return f"; {forms}; each may have when, column"
    fields = {".".join(section): list(model.model_fields) for section, model in _MODELS.items()}
    return f"; {key_advice('.'.join(loc[:-1]), loc[-1], fields)}"


def seconds(text: Any) -> float:
    """The seconds in `90s`, `15m`, `2h` or `1d`."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([smhd])", text.strip() if isinstance(text, str) else "")
    if match is None or float(match[1]) <= 0:
        raise ValueError("must be a positive number and a unit, such as 90s, 15m, 2h, 1d")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def dump_study(study: Study) -> str:
    """The study as YAML, every default written out; `load_study` reads it back to an equal study."""
    return write_yaml(study.model_dump(mode="json"))
