"""`hpsearch check`, as a user has it: verdicts, check.json, pictures, exit status; and the gate of a launch."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from broken_studies import Fault, blobs, values, write
from matplotlib import image
from sklearn.metrics import cohen_kappa_score

from hpsearch import pipeline
from hpsearch.cli import main
from hpsearch.errors import CheckError, UserError
from hpsearch.metrics import METRICS
from hpsearch.prepare import prepare
from hpsearch.recipe.bench import Bench
from hpsearch.recipe.check import CHECKS, Check, chosen, run
from hpsearch.recipe.inputs import columns_apart, decoded
from hpsearch.recipe.pictures import save
from hpsearch.recipe.size import Size
from hpsearch.recipe.verdict import Finding, judged
from hpsearch.search.progress import Looking


def copied(table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table[:60], table[:60]], ignore_index=True)


SMALL = Fault("small", "", lambda rng: blobs(rng, 150))
LEAKING = Fault("leaking", "", lambda rng: copied(blobs(rng, 120)))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["hpsearch", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def with_keys(path: Path, **keys: Any) -> Path:
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | keys))
    return path


def test_a_failure_is_status_3_and_an_accepted_one_is_none(command: Any, tmp_path: Path) -> None:
    path = write(LEAKING, tmp_path)
    status, out, _ = command("check", str(path), "--only", "D2")
    assert status == 3
    assert "fail D2.leakage" in out
    assert "rows: " in out
    assert "failed: D2.leakage" in out
    with_keys(path, accept={"D2.leakage": "measured twice"})
    status, out, _ = command("check", str(path), "--only", "D2")
    assert status == 0
    assert "accepted: measured twice" in out


def test_all_checks_leave_their_verdicts_and_pictures(command: Any, tmp_path: Path) -> None:
    status, _, _ = command("check", str(write(SMALL, tmp_path)))
    assert status == 0
    entries = json.loads((tmp_path / "runs/broken/check.json").read_text())
    assert [entry["id"] for entry in entries] == list(CHECKS)
    assert all(entry.keys() == {"id", "verdict", "measured", "expected", "advice", "rows"} for entry in entries)
    assert {entry["verdict"] for entry in entries} <= {"pass", "warn", "skip"}
    drawn = {path.stem for path in (tmp_path / "runs/broken/checks").glob("*.png")}
    assert drawn >= {"D1.classes", "R7", "R8", "R9", "R10", "R11", "G1", "G13.dead"}
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in (tmp_path / "runs/broken/checks").glob("*.png"))


@pytest.mark.parametrize("url", [False, True], ids=["a folder", "a URL"])
def test_a_check_is_made_where_the_study_keeps_its_runs(
    url: bool, command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpsearch.storage.CACHE", tmp_path / "cache")
    place = f"file://{tmp_path}/kept" if url else str(tmp_path / "kept")
    path = with_keys(write(SMALL, tmp_path), storage={"path": place})
    status, _, err = command("check", str(path), "--only", "D1.classes")
    assert status == 0, err
    assert (tmp_path / "kept/broken/checks/D1.classes.png").exists()
    assert not (tmp_path / "runs").exists()
    status, _, _ = command("check", str(path), "--only", "D1.classes", "--runs", "elsewhere")
    assert (status, (tmp_path / "elsewhere/broken/checks/D1.classes.png").exists()) == (0, True)


@pytest.mark.slow
def test_a_launch_takes_over_the_verdicts_of_a_check(command: Any, tmp_path: Path) -> None:
    path = with_keys(write(LEAKING, tmp_path), storage={"path": str(tmp_path / "kept")})
    assert command("check", str(path))[0] == 3
    before = (tmp_path / "kept/broken/check.json").stat().st_mtime_ns
    status, out, _ = command("launch", str(path))
    assert status == 3
    assert "checks: as check.json has them" in out
    assert (tmp_path / "kept/broken/check.json").stat().st_mtime_ns == before
    assert not (tmp_path / "runs").exists()


def test_each_check_is_told_of_before_it_is_run(tmp_path: Path) -> None:
    heard: list[Any] = []
    pipeline.check(
        write(SMALL, tmp_path), tmp_path, ["D2.near", "D1.classes"], lambda text: None,
        lambda name, finding, accepted: heard.append(name), lambda *place: heard.append(Looking(*place)),
    )  # fmt: skip
    assert heard == [Looking("D1.classes", 0, 2), "D1.classes", Looking("D2.near", 1, 2), "D2.near"]
    assert Looking("D2.near", 1, 2).told == "check D2.near, 2 of 2"


def test_unknown_ids_are_refused(command: Any, tmp_path: Path) -> None:
    path = write(SMALL, tmp_path)
    status, _, err = command("check", str(path), "--only", "D9")
    assert status == 2
    assert err.startswith("--only: there is no check 'D9'; choose from D, D1, D2, R, ")
    status, _, err = command("check", str(with_keys(path, accept={"R99": "so"})), "--only", "D1.classes")
    assert status == 2
    assert f"{path}: accept: there is no check 'R99'" in err


def test_a_row_of_checks_is_accepted_one_by_one(command: Any, tmp_path: Path) -> None:
    path = with_keys(write(LEAKING, tmp_path), accept={"D2": "known"})
    status, _, err = command("check", str(path), "--only", "D2")
    assert status == 2
    assert "accept: there is no check 'D2'; choose from D2.conflicts, D2.duplicates" in err


@pytest.mark.parametrize("rows", [108, 109])
def test_a_batch_of_one_row_settles_no_norm(rows: int, tmp_path: Path) -> None:
    path = write(Fault("small", "", lambda rng: blobs(rng, rows), {"params": {"norm": "batch"}}), tmp_path)
    assert run(prepare(path), ["R5"])["R5"].verdict == "pass"


def test_weights_that_are_made_of_others_are_no_fault(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    (tmp_path / "normed.py").write_text(
        "from torch import nn\nfrom torch.nn.utils import weight_norm\n\n\ndef build(input_shape, outputs):\n"
        "    return nn.Sequential(weight_norm(nn.Linear(input_shape[0], 32)), nn.ReLU(), nn.Linear(32, outputs))\n"
    )
    path = with_keys(write(SMALL, tmp_path), net="normed:build")
    found = run(prepare(path), ["G13"])
    assert {name: finding.verdict for name, finding in found.items() if finding.verdict == "fail"} == {}


def test_a_slow_rate_of_sgd_that_gets_there_in_the_studys_runs_is_no_failure(tmp_path: Path) -> None:
    params = {"optimizer": "sgd", "lr": 1e-3, "epochs": 400, "batch_size": 16}
    path = write(Fault("slow", "", lambda rng: blobs(rng, 300), {"params": params}), tmp_path)
    assert run(prepare(path), ["O2"])["O2"].verdict in ("pass", "warn")
    params["epochs"] = 2
    assert run(prepare(with_keys(path, params=params)), ["O2"])["O2"].verdict == "fail"


def test_rates_that_are_too_low_at_their_lower_end_alone_lose_no_trials_at_the_upper(tmp_path: Path) -> None:
    params = {"lr": {"low": 1e-7, "high": 3e-3, "log": True}}
    found = run(prepare(write(Fault("low", "", values, {"params": params}), tmp_path)), ["O2"])["O2"]
    assert "lower lr's upper end" not in found.advice


def test_a_net_without_a_hidden_layer_learns_no_rows_by_heart(tmp_path: Path) -> None:
    path = write(Fault("linear", "", lambda rng: blobs(rng, 150), {"params": {"depth": 0}}), tmp_path)
    assert run(prepare(path), ["R8"])["R8"].verdict == "skip"


def test_a_narrow_first_width_is_not_what_learns_rows_by_heart(tmp_path: Path) -> None:
    params = {"width": {"low": 1, "high": 256}, "depth": 1}
    path = write(Fault("narrow", "", lambda rng: blobs(rng, 150, 4), {"params": params}), tmp_path)
    assert run(prepare(path), ["R8"])["R8"].verdict == "pass"


def test_names_in_the_data_are_no_formulas(tmp_path: Path) -> None:
    def dollars(rng: np.random.Generator) -> pd.DataFrame:
        return blobs(rng, 150).replace({"y": {"one": "$10k_$20k", "two": "a→b"}})

    found = run(prepare(write(Fault("dollars", "", dollars), tmp_path)), ["D1.classes", "R8", "R10"])
    drawn = {name: finding.picture for name, finding in found.items() if finding.picture is not None}
    assert set(drawn) == {"D1.classes", "R8", "R10"}
    for name, picture in drawn.items():
        save(picture, f"{name}: $_$", tmp_path / f"{name}.png")


def test_where_the_net_is_wrong_the_data_are_looked_at_all_the_same(command: Any, tmp_path: Path) -> None:
    path = with_keys(write(LEAKING, tmp_path), net="nowhere:Net")
    status, out, err = command("check", str(path), "--only", "D2.leakage", "--only", "R4")
    assert status == 2
    assert "fail D2.leakage" in out
    assert "R4" not in out
    assert err.startswith(f"{path}: net: there is no module 'nowhere'")


def test_where_the_data_are_wrong_that_is_all_that_is_said(command: Any, tmp_path: Path) -> None:
    path = with_keys(write(SMALL, tmp_path), data={"source": "none.csv", "target": "y"})
    status, out, err = command("check", str(path))
    assert (status, out) == (2, "")
    assert "none.csv: no such file" in err


RAISES = """
import math
from torch import nn


class Net(nn.Module):
    def __init__(self, input_shape, outputs):
        super().__init__()
        self.head = nn.Linear(math.prod(input_shape), outputs)

    def forward(self, x):
        if self.training:
            raise ValueError("not for training")
        return self.head(x)
"""


def test_a_forward_that_raises_in_training_is_told_by_each_check_that_trains(tmp_path: Path) -> None:
    path = with_keys(write(SMALL, tmp_path), net="raises_in_training:Net")
    (tmp_path / "raises_in_training.py").write_text(RAISES)
    found = run(prepare(path), ["D1.classes", "R2", "R4", "R12"])
    assert found["D1.classes"].verdict == "pass"
    for name in ("R2", "R4", "R12"):
        assert found[name].verdict == "fail"
        assert "it could not be run: ValueError: not for training" in found[name].measured


@pytest.mark.usefixtures("ray_cluster")
def test_a_launch_stops_at_a_failed_check_and_goes_on_when_it_is_accepted(tmp_path: Path) -> None:
    path = with_keys(
        write(LEAKING, tmp_path),
        search={"trials": 2, "block": 2},
        params={"epochs": 1},
        squeeze={"student": "off"},
    )
    with pytest.raises(CheckError, match=r"check D2\.leakage failed: what was learnt by heart"):
        pipeline.launch(path, tmp_path / "runs")
    run_folder = tmp_path / "runs" / "broken"
    assert not (run_folder / "ledger.journal").exists()
    before = (run_folder / "check.json").stat().st_mtime_ns
    with pytest.raises(CheckError):  # told again from the file: nothing that it is about has changed
        pipeline.launch(path, tmp_path / "runs")
    assert (run_folder / "check.json").stat().st_mtime_ns == before
    log = (run_folder / "logs" / "launch.log").read_text()
    assert re.search(r"check D2\.leakage: fail: .*; what was learnt by heart", log)  # with its advice
    folder = pipeline.launch(with_keys(path, accept={"D2.leakage": "measured twice"}), tmp_path / "runs")
    assert folder.check.stat().st_mtime_ns == before
    seconds = json.loads(folder.summary.read_text())["seconds"]
    assert 0 <= seconds["check"] < seconds["total"]


def test_a_person_by_score(tmp_path: Path) -> None:
    path = with_keys(write(SMALL, tmp_path), search={"metric": "accuracy"}, human={"score": 0.9})
    (found,) = run(prepare(path), ["R6"]).values()
    assert "a person 0.9, the baseline" in found.measured
    assert run(prepare(with_keys(path, human={"score": 0.01})), ["R6"])["R6"].verdict == "warn"


METRIC = """
from sklearn.metrics import roc_auc_score


def auc(prediction, target):
    return roc_auc_score(target, prediction, multi_class="ovr")  # which raises where a class is missing
"""


def test_a_metric_of_ones_own_need_not_be_defined_on_a_few_rows(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    (tmp_path / "an_auroc.py").write_text(METRIC)
    given = {"metric": "an_auroc:auc", "direction": "maximize"}
    try:
        found = run(prepare(with_keys(write(SMALL, tmp_path), search=given)), ["R8", "R14"])
    finally:
        METRICS.pop("an_auroc:auc", None)
    assert "fail" not in {finding.verdict for finding in found.values()}, found
    assert "validation an_auroc:auc: " in found["R14"].measured


def test_a_second_persons_labels_give_agreement_and_kappa(tmp_path: Path) -> None:
    path = with_keys(write(SMALL, tmp_path), search={"metric": "accuracy"}, human={"labels": "second.csv"})
    table = pd.read_csv(tmp_path / "data.csv")
    second = table.y.where(np.arange(len(table)) % 7 != 0, "one")
    second.to_frame().to_csv(tmp_path / "second.csv", index=False)
    prepared = prepare(path)
    looked = np.concatenate([prepared.dataset.train.index, prepared.dataset.validation.index])
    agree = (table.y[looked] == second[looked]).mean()
    kappa = cohen_kappa_score(table.y[looked], second[looked])
    (found,) = run(prepared, ["R6"]).values()
    assert f"agrees with {len(looked)} labels at {agree:.4g}, Cohen's κ {kappa:.3f}" in found.measured


def test_what_enters_the_net_is_held_against_the_source(tmp_path: Path) -> None:
    prepared = prepare(write(SMALL, tmp_path))
    assert decoded(Bench(prepared)).verdict == "pass"
    train, schema = prepared.dataset.train, prepared.dataset.schema
    assert prepared.dataset.raw is not None
    table = prepared.dataset.raw.table.iloc[train.index]
    moved = np.roll(train.x, 1, axis=0)
    assert min(columns_apart(schema, moved, table).values()) > 0.1
    other = replace(prepared, dataset=replace(prepared.dataset, train=replace(train, x=moved)))
    assert decoded(Bench(other)).verdict == "fail"


@pytest.mark.parametrize(
    ("data", "params"),
    [
        (blobs, {"loss": ["cross_entropy", "focal", "binary"], "focal_gamma": {"low": 0, "high": 5}}),
        (blobs, {"label_smoothing": {"low": 0, "high": 0.3}, "class_weights": [0.0, 0.5, 1.0]}),
        (values, {"loss": ["squared", "huber"], "huber_delta": {"low": 0.1, "high": 3}}),
    ],
)
def test_every_loss_starts_where_its_formula_says(data: Any, params: dict[str, Any], tmp_path: Path) -> None:
    found = run(prepare(write(Fault("losses", "", data, {"params": params}), tmp_path)), ["R4", "R5"])
    assert {finding.verdict for finding in found.values()} == {"pass"}, found


@pytest.mark.parametrize("data", [blobs, values])
@pytest.mark.parametrize("net", ["Sound", "SoundResidual"])
def test_a_sound_net_starts_within_what_random_weights_add(data: Any, net: str, tmp_path: Path) -> None:
    study = write(Fault("sound", "", data, net=net), tmp_path)
    found = [run(prepare(with_keys(study, seed=seed)), ["R5"])["R5"] for seed in range(10)]
    assert "fail" not in {finding.verdict for finding in found}, found


def test_nothing_about_training_looks_at_the_test_part(tmp_path: Path) -> None:
    prepared = prepare(write(SMALL, tmp_path))
    test = prepared.dataset.test
    poisoned = replace(test, x=np.full_like(test.x, np.nan), y=np.zeros_like(test.y))
    other = replace(prepared, dataset=replace(prepared.dataset, test=poisoned))
    names = ["R3", "R7", "R10", "R14"]
    assert run(prepared, names) == run(other, names)


def test_a_person_and_values(tmp_path: Path) -> None:
    path = with_keys(write(Fault("values", "", values), tmp_path), human={"labels": "second.csv"})
    table = pd.read_csv(tmp_path / "data.csv")
    second = pd.DataFrame({"row": np.arange(100), "y": table.y[:100] + 0.5})
    second.loc[::2, "y"] = np.nan  # rows that the second person left out
    second.to_csv(tmp_path / "second.csv", index=False)
    (found,) = run(prepare(path), ["R6"]).values()
    assert "validation rmse: a second person agrees with " in found.measured
    assert " labels at 0.5, the baseline" in found.measured


def test_a_person_who_names_classes_is_scored_by_accuracy_where_the_metric_is_of_probabilities(
    tmp_path: Path,
) -> None:
    path = with_keys(write(SMALL, tmp_path), search={"metric": "log_loss"}, human={"labels": "second.csv"})
    table = pd.read_csv(tmp_path / "data.csv")
    table.y.where(np.arange(len(table)) % 10 != 0).to_frame().to_csv(tmp_path / "second.csv", index=False)
    (found,) = run(prepare(path), ["R6"]).values()
    assert found.measured.startswith("validation accuracy: a second person agrees with ")
    assert " labels at 1, Cohen's κ 1.000" in found.measured


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (pd.DataFrame({"y": ["one", "five"]}), "human.labels: has the class 'five', which the source has not"),
        (pd.DataFrame({"row": [0.5], "y": ["one"]}), "human.labels: the column `row` holds whole numbers from 0"),
        (pd.DataFrame({"row": [1000], "y": ["one"]}), "human.labels: has no training or validation row of the"),
        (None, "second.csv: no such file"),
    ],
)
def test_second_labels_that_cannot_be_are_refused(
    command: Any, tmp_path: Path, second: pd.DataFrame | None, told: str
) -> None:
    path = with_keys(write(SMALL, tmp_path), human={"labels": "second.csv"})
    if second is not None:
        second.to_csv(tmp_path / "second.csv", index=False)
    status, _, err = command("check", str(path), "--only", "R6")
    assert status == 2
    assert told in err


def test_the_picture_of_images_has_them_as_training_has_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "images.npz", x=rng.random((60, 1, 12, 12)), y=np.arange(60) % 3)
    study = {
        "name": "images", "data": {"source": "images.npz"},
        "params": {"brightness": 5.0, "mixup": [0.2, 0.5], "image_size": 8, "epochs": 1},
    }  # fmt: skip
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    bench = Bench(prepare(tmp_path / "study.yaml"))
    finding = decoded(bench)
    assert finding.verdict == "pass"
    assert finding.picture is not None
    save(finding.picture, "R10", tmp_path / "R10.png")
    shown = image.imread(tmp_path / "R10.png")
    assert shown.std() > 0


def test_stages_and_rows_choose_their_checks_in_any_case() -> None:
    assert chosen(["D2.NEAR"]) == ["D2.near"]
    assert chosen(["g"]) == [name for name in CHECKS if name.startswith("G")]
    assert chosen(["d2"]) == [name for name in CHECKS if name.startswith("D2.")]
    assert chosen(["r5", "R1"]) == ["R1", "R5"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"human": {"score": 95}}, "human.score: accuracy lies between 0 and 1, got 95"),
        ({"accept": {"D2.near": " "}}, "accept.D2.near: must be a sentence that says why"),
        ({"accept": {"D2.near": None}}, "accept.D2.near: must be a sentence that says why"),
    ],
)
def test_what_a_study_says_to_the_checks_is_refused_where_it_cannot_be(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = with_keys(write(SMALL, tmp_path), search={"metric": "accuracy"}, **changes)
    with pytest.raises(UserError, match=said):
        prepare(path)


@pytest.mark.parametrize(("wide", "inside"), [(False, 1), (True, 2)])
def test_small_nets_have_one_thread_and_leave_the_others_as_they_were(
    wide: bool, inside: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def look(bench: Bench) -> Finding:
        seen.append(torch.get_num_threads())
        return judged(False, False, "", "", "")

    monkeypatch.setitem(CHECKS, "R5", Check("net", look))
    monkeypatch.setattr(Bench, "_afforded", lambda bench, batch: Size(wide=wide))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run(prepare(write(SMALL, tmp_path)), ["R5"])
        seen.append(torch.get_num_threads())
    finally:
        torch.set_num_threads(before)
    assert seen == [inside, 2]


def test_nothing_that_beats_a_constant_is_said_as_such(tmp_path: Path) -> None:
    def noise(rng: np.random.Generator) -> pd.DataFrame:
        frame = pd.DataFrame(rng.normal(size=(300, 4)), columns=list("abcd"))
        return frame.assign(y=rng.choice(["p", "q"], size=300))

    found = run(prepare(write(Fault("noise", "", noise), tmp_path)), ["R14"])
    assert found["R14"].verdict in ("warn", "fail")
    assert "nothing is surely better than a constant" in found["R14"].advice
