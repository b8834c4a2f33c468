"""The study file: what its words mean, and that every fault in its form is named."""

from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import UserError
from hpsearch.study import Choice, Fixed, Range, Study, load_study, parse_study, seconds

LEAST: dict[str, Any] = {"name": "a", "data": {"source": "sklearn:digits"}}


def load(tmp_path: Path, text: str) -> Study:
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    return load_study(path)


def with_line(line: str) -> str:
    return f"name: a\ndata: {{source: sklearn:digits}}\n{line}\n"


def refusal(raw: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        parse_study({**LEAST, **raw}, "s.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-4", 1e-4), ("-2.5E+3", -2500.0), (".5", 0.5), ("5.", 5.0), ("+7", 7), ("010", 10), ("09", 9),
        ("off", "off"), ("yes", "yes"), ("no", "no"), ("On", "On"), ("y", "y"), ("true", True), ("FALSE", False),
        ("'1e-4'", "1e-4"), ("1_000", "1_000"), ("0x1f", "0x1f"), ("12:30:00", "12:30:00"), ("=", "="),
        ("2001-01-01", "2001-01-01"), ("null", None), ("~", None), ("", None), ("!!str 5", "5"),
    ],
)  # fmt: skip
def test_words_and_numbers_are_yaml_1_2(tmp_path: Path, written: str, value: Any) -> None:
    entry = load(tmp_path, with_line(f"params: {{lr: {{value: {written}}}}}")).params["lr"]
    assert isinstance(entry, Fixed)
    assert (entry.value, type(entry.value)) == (value, type(value))


def test_a_scalar_is_fixed_a_list_is_a_choice_a_mapping_is_a_range(tmp_path: Path) -> None:
    text = "params: {epochs: 40, batch_size: [32, 64], lr: {low: 1e-4, high: 1, log: true, when: {epochs: 40}}}"
    assert load(tmp_path, with_line(text)).params == {
        "epochs": Fixed(value=40),
        "batch_size": Choice(choices=[32, 64]),
        "lr": Range(low=1e-4, high=1, log=True, when={"epochs": 40}),
    }


@pytest.mark.parametrize("entry", ["off", None])
def test_the_student_may_be_off(entry: str | None) -> None:
    raw = {"name": "a", "data": {"source": "x.csv"}, "squeeze": {"student": entry}}
    assert parse_study(raw, "s.yaml").squeeze.student is None


def test_the_long_forms_of_a_scalar_and_a_list_may_have_a_condition() -> None:
    params = {"lr": {"value": 1, "when": {"depth": 2}}, "width": {"choices": [16], "when": {"depth": [1, 2]}}}
    study = parse_study({**LEAST, "params": params}, "s.yaml")
    assert study.params == {"lr": Fixed(**params["lr"]), "width": Choice(**params["width"])}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"parms": {}}, "s.yaml: parms: unknown key; did you mean params?"),
        ({"search": {"trails": 3}}, "s.yaml: search.trails: unknown key; did you mean trials?"),
        ({"data": {"source": "a", "split": {"colum": "p"}}}, "split.colum: unknown key; did you mean column?"),
        ({"squeeze": {"student": {"trial": 8}}}, "squeeze.student.trial: unknown key; did you mean trials?"),
        ({"zzz": 1}, "s.yaml: zzz: unknown key; choose from name, seed, data"),
        ({"params": {"lr": {"low": 1, "high": 2, "lgo": True}}}, "params.lr.lgo: unknown key; did you mean l"),
        ({"params": {"lr": {"low": 1}}}, "params.lr.high: is required"),
        ({"params": {"lr": []}}, "params.lr: the list of choices is empty"),
        ({"seed": True}, "s.yaml: seed: "),
        ({"seed": -1}, "s.yaml: seed: "),
        ({"seed": 1.5}, "s.yaml: seed: "),
        ({"name": "../a"}, "s.yaml: name: must be letters"),
        ({"name": "a/b"}, "s.yaml: name: must be letters"),
        ({"search": {"timeout": "5 weeks"}}, "search.timeout: must be a positive number and a unit"),
        ({"data": {"source": "a", "split": {"test": 1}}}, "s.yaml: data.split.test: "),
        (
            {"data": {"source": "a", "split": {"column": "p", "group": "q"}}},
            "s.yaml: data.split: takes one of column, group, time; has column and group",
        ),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_place(raw: dict[str, Any], said: str) -> None:
    assert said in refusal(raw)


@pytest.mark.parametrize(
    "raw",
    [
        {"params": {"lr": {"value": [1]}}},
        {"params": {"lr": [0.1, [1]]}},
        {"params": {"lr": {"low": "a", "high": 1}}},
        {"params": {"lr": float("nan")}},
        {"resources": {"gpus_per_pack": "all"}},
    ],
)
def test_one_fault_is_one_sentence(raw: dict[str, Any]) -> None:
    assert "\n" not in refusal(raw)


def test_two_faults_are_both_named() -> None:
    assert len(refusal({"seed": -1, "search": {"trials": 0}}).splitlines()) == 2


@pytest.mark.parametrize(
    "key",
    [
        "search.sampler", "search.spare", "storage.trials", "track",
    ],
)  # fmt: skip
def test_a_key_that_is_not_built_yet_is_refused_by_name(key: str) -> None:
    section, _, name = key.rpartition(".")
    value = {**LEAST.get(section, {}), name: "x"}
    assert refusal({section: value} if section else value) == f"s.yaml: {key}: is not built yet; leave it out"


def test_a_value_that_is_not_built_yet_is_refused_by_name() -> None:
    assert refusal({"search": {"prune": "asha"}}) == "s.yaml: search.prune: 'asha' is not built yet; leave it out"


@pytest.mark.parametrize(
    "text",
    [
        "seed: !!python/object/apply:os.system [id]", "seed: !!python/name:os.system", "seed: !mine 3",
        "seed: !!binary aGk=", "seed: !!set {a}", "seed: !!timestamp 2001-01-01", "seed: !!timestamp soon",
        "seed: !!bool maybe", "seed: !!int soon", "seed: !!float soon", "seed: 1\nseed: 2",
        "params: {lr: 1, lr: 2}", "params: {1: 2}", "seed: &a [*a]", "seed: [", "seed: 1\n---\nseed: 2",
        "seed: *nowhere", "\t- a: b: c",
    ],
)  # fmt: skip
def test_tags_double_keys_and_broken_yaml_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"^\S+s\.yaml: "):
        load(tmp_path, with_line(text))


def test_a_tag_runs_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        load(tmp_path, with_line(f"seed: !!python/object/apply:os.mkdir [{tmp_path / 'made'}]"))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("15m", 900), ("2h", 7200), ("1.5 d", 129600)])
def test_a_timeout_is_a_number_and_a_unit(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "90", "m", "0s", "-5m", "1e3s", "5 weeks", "1m30s", "nan s", "٣s"])
def test_any_other_timeout_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a positive number and a unit"):
        seconds(text)
