"""Any study that can be written down: read back as it was, or refused by a sentence."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpsearch.errors import UserError
from hpsearch.study import dump_study, load_study, parse_study
from hpsearch.validate import check_names

LEAST: dict[str, Any] = {"name": "a", "data": {"source": "sklearn:digits"}}
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["1e-4", "1e5", "09", "off", "yes", "null", "~", "", "0x1f", "1_0", "12:30", "=", "<<", "true", " a ", "- a"]
)  # fmt: skip
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = WORDS | NUMBERS | st.booleans() | st.none()
CONDITIONS = st.dictionaries(WORDS, SCALARS | st.lists(SCALARS), max_size=2)
RANGES = st.fixed_dictionaries(
    {"low": NUMBERS, "high": NUMBERS}, optional={"log": st.booleans(), "step": NUMBERS, "when": CONDITIONS}
)
ENTRIES = SCALARS | st.lists(SCALARS, min_size=1, max_size=3) | RANGES
STUDIES = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True),
        "seed": st.integers(min_value=0),
        "data": st.fixed_dictionaries(
            {"source": WORDS.filter(bool), "missing": st.lists(WORDS, max_size=3), "target": st.none() | WORDS}
        ),
        "params": st.dictionaries(WORDS, ENTRIES, max_size=4),
    }
)


@settings(deadline=None, max_examples=100)
@given(STUDIES)
@example({**LEAST, "name": "1e5"})
@example({"name": "a", "data": {"source": "a.csv", "missing": ["09"]}})
def test_a_dumped_study_is_read_back_equal(tmp_path_factory: pytest.TempPathFactory, raw: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "s.yaml"
    study = parse_study(raw, "s.yaml")
    path.write_text(dump_study(study), encoding="utf-8")
    assert repr(load_study(path)) == repr(study)  # repr: 1, 1.0 and true are three values


JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3))
KNOBS = st.sampled_from(["lr", "dropout", "epochs", "width", "optimizer", "skip", "norm"])


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(KNOBS, ENTRIES | JSON, max_size=3), JSON)
@example({"lr": 10**400}, None)
@example({"dropout": {"low": 0, "high": 0.5, "step": 1e-320}}, None)
def test_whatever_is_written_gives_a_study_or_a_users_error(params: dict[str, Any], search: Any) -> None:
    try:
        check_names(parse_study({**LEAST, "params": params, "search": search or {}}, "s.yaml"), "s.yaml")
    except UserError as error:
        assert str(error).startswith("s.yaml: ")
