"""The ledger alone, without Ray: states, idempotence, launches, a torn journal."""

import json
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from hpsearch.search.journal import mend
from hpsearch.search.ledger import Ledger, direction, read
from hpsearch.search.messages import Entry, Outcome, StaleLaunchError

LR = {"lr": FloatDistribution(1e-4, 1e-1, log=True)}


def entries(count: int) -> list[Entry]:
    return [Entry({"lr": 1e-3 * (n + 1)}, LR, {"epochs": 3}) for n in range(count)]


def outcome(value: float, leg: int = 0) -> Outcome:
    return Outcome(value, {"accuracy": value, "log_loss": 0.1}, best_epoch=2, epochs=3, seconds=1.0, leg=leg)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.journal"


def opened(path: Path) -> Ledger:
    return Ledger(str(path), "study", "maximize")


def test_a_trial_enters_once_with_all_its_params(path: Path) -> None:
    ledger = opened(path)
    ledger.begin(entries(3))
    rows = read(path, "study")
    assert [row["state"] for row in rows] == ["waiting"] * 3
    assert rows[2]["params"] == {"epochs": 3, "lr": pytest.approx(3e-3)}
    ledger.begin(entries(5))
    assert len(read(path, "study")) == 5


def test_a_report_made_twice_counts_once(path: Path) -> None:
    ledger = opened(path)
    launch = ledger.begin(entries(2))
    ledger.start(launch, 0, [0, 1])
    ledger.report(launch, 0, {0: outcome(0.5), 1: outcome(0.7)})
    before = path.read_bytes()
    ledger.report(launch, 0, {0: outcome(0.9), 1: outcome(0.9)})
    assert path.read_bytes() == before
    assert [row["value"] for row in read(path, "study")] == [0.5, 0.7]


def test_a_failed_trial_keeps_its_reason(path: Path) -> None:
    ledger = opened(path)
    launch = ledger.begin(entries(1))
    ledger.report(launch, 0, {0: Outcome(None, {}, None, 1, 0.1, 0, "the training loss became nan in epoch 1")})
    (row,) = read(path, "study")
    assert row["state"] == "failed"
    assert row["outcome"]["failure"] == "the training loss became nan in epoch 1"
    assert row["value"] is None


def test_nothing_stays_running_when_the_next_launch_begins(path: Path) -> None:
    first = opened(path)
    launch = first.begin(entries(2))
    first.start(launch, 0, [0, 1])
    assert {row["state"] for row in read(path, "study")} == {"running"}
    first.begin(entries(2))
    assert {row["state"] for row in read(path, "study")} == {"waiting"}


def test_a_worker_of_a_killed_launch_is_refused(path: Path) -> None:
    ledger = opened(path)
    old = ledger.begin(entries(2))
    ledger.begin(entries(2))
    for call in (
        lambda: ledger.start(old, 0, [0]),
        lambda: ledger.beat(old, 0, 0.5),
        lambda: ledger.report(old, 0, {0: outcome(0.5)}),
    ):
        with pytest.raises(StaleLaunchError, match="launch 1 is over"):
            call()
    assert {row["state"] for row in read(path, "study")} == {"waiting"}


def test_a_leg_that_beats_hears_whether_to_go_on(path: Path) -> None:
    ledger = opened(path)
    launch = ledger.begin(entries(2))
    assert ledger.start(launch, 0, [0])
    assert ledger.beat(launch, 0, 0.5)
    assert ledger.view().share == pytest.approx(0.25)
    ledger.stop()
    assert not ledger.beat(launch, 0, 0.6)
    assert not ledger.start(launch, 1, [1])


@pytest.mark.parametrize(
    "tail", [b'{"op_code": 5, "wor', b"\0" * 64, b'{"op_code": 4}', b"not json\n", b"\xff\xfe\n"]
)
def test_a_torn_tail_is_set_aside_and_the_study_goes_on(path: Path, tail: bytes) -> None:
    ledger = opened(path)
    launch = ledger.begin(entries(2))
    ledger.report(launch, 0, {0: outcome(0.5)})
    del ledger
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    again = opened(path)
    assert again.waiting() == [1]
    aside = list(path.parent.glob("ledger.journal.torn-*"))
    assert len(aside) == 1
    assert aside[0].read_bytes() == tail
    launch = again.begin(entries(2))
    again.report(launch, 0, {1: outcome(0.6)})
    assert [row["value"] for row in read(path, "study")] == [0.5, 0.6]


def test_a_whole_journal_is_left_as_it_is(path: Path) -> None:
    opened(path).begin(entries(1))
    assert mend(path) is None


def test_optuna_itself_reads_the_journal(path: Path) -> None:
    ledger = opened(path)
    launch = ledger.begin(entries(3))
    ledger.start(launch, 0, [0, 1])
    ledger.report(launch, 0, {0: outcome(0.5), 1: outcome(0.8)})
    study = optuna.load_study(study_name="study", storage=JournalStorage(JournalFileBackend(str(path))))
    assert study.best_trial.number == 1
    assert study.best_params == {"lr": pytest.approx(2e-3)}
    assert [trial.distributions for trial in study.trials] == [LR] * 3
    assert direction(path, "study") == "maximize"
    assert all(isinstance(json.loads(line), dict) for line in path.read_text().splitlines())


def test_what_is_seen_of_a_run_is_what_its_journal_says(path: Path) -> None:
    ledger = opened(path)
    launch = ledger.begin(entries(6))
    ledger.start(launch, 0, [0, 1, 2, 3])
    ledger.report(launch, 0, {0: outcome(0.5), 1: outcome(0.8), 2: Outcome(None, {}, None, 1, 0.1, 0, "nan")})
    assert (ledger.view().count("running"), ledger.view().count("waiting")) == (1, 2)
    ledger.rest()
    assert (ledger.view().count("running"), ledger.view().count("waiting")) == (0, 3)

    def seen(one: Ledger) -> tuple[object, ...]:
        view = one.view()
        return (
            view.count("complete"),
            view.count("failed"),
            view.count("waiting"),
            view.total,
            view.best,
            one.worth(),
        )

    assert seen(ledger) == (2, 1, 3, 6, 0.8, ({0, 1}, {3, 4, 5}))
    del ledger
    assert seen(opened(path)) == (2, 1, 3, 6, 0.8, ({0, 1}, {3, 4, 5}))


def test_a_resumed_launch_enters_only_what_is_new(path: Path) -> None:
    opened(path).begin(entries(3))
    ledger = opened(path)
    ledger.begin(entries(5)[3:], first=3)
    assert [row["params"]["lr"] for row in read(path, "study")] == [entry.params["lr"] for entry in entries(5)]
