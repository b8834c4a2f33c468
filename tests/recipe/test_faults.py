"""Each planted fault is found by the check that is to find it, and the same study without it is not."""

from pathlib import Path

import pytest
from broken_studies import FAULTS, WARNED, Fault, write
from sound_studies import SOUND

from hpsearch.prepare import prepare
from hpsearch.recipe.check import CHECKS, run


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found(fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    found = run(prepare(write(fault, tmp_path)), [fault.finds])[fault.finds]
    assert found.verdict == ("warn" if fault.name in WARNED else "fail"), found
    assert found.advice


CHEAP = [name for name in CHECKS if name.split(".")[0] not in ("R9", "O5", "G1")]  # these three take the longest


def takes_long(sound: Fault) -> bool:
    return sound.study.get("net") == "resnet" or sound.name in (
        "a net of many batch norms",
        "more columns than rows",
        "a log-softmax at the end",
        "soft-capped outputs",
        "classes that overlap",
    )


@pytest.mark.parametrize(
    "sound",
    [pytest.param(one, marks=[pytest.mark.slow] if takes_long(one) else []) for one in SOUND],
    ids=lambda fault: fault.name,
)
def test_a_sound_study_has_no_failure(sound: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    found = run(prepare(write(sound, tmp_path)), CHEAP)
    assert {name: finding for name, finding in found.items() if finding.verdict == "fail"} == {}


@pytest.mark.slow
@pytest.mark.parametrize("sound", SOUND, ids=lambda fault: fault.name)
def test_nor_by_the_checks_that_take_longer(sound: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    found = run(prepare(write(sound, tmp_path)), [name for name in CHECKS if name not in CHEAP])
    assert {name: finding for name, finding in found.items() if finding.verdict == "fail"} == {}
