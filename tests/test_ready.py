"""Ready-made spaces: readable, sound for what they are for, and overridden by a study's own parameters."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hpsearch.cli import main
from hpsearch.core_yaml import read_yaml
from hpsearch.errors import UserError
from hpsearch.knobs import KNOBS
from hpsearch.prepare import prepare
from hpsearch.ready import SPACES, text_of, with_space
from hpsearch.space import draw
from hpsearch.study import Study, parse_study
from hpsearch.validate import check_names, check_task

KINDS = {"tables": "mlp", "arrays": "mlp", "images": "resnet"}


def study(space: str, net: str = "mlp", params: dict[str, Any] | None = None) -> Study:
    raw = {
        "name": "s",
        "data": {"source": "x.csv"},
        "net": net,
        "search": {"space": space},
        "params": params or {},
    }
    return parse_study(raw, "s.yaml")


def kinds_of(name: str) -> set[str]:
    found = set(read_yaml(text_of(name, "space"), "space"))
    return set(KINDS) if "any" in found else found | ({"arrays"} if "tables" in found else set())


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("rows", [20, 1000, 50_000])
def test_a_space_is_sound_for_what_it_is_for(name: str, task: str, rows: int) -> None:
    for kind in sorted(kinds_of(name)):
        made = with_space(study(name, KINDS[kind]), task, kind, rows, "s.yaml")
        space = check_names(made, "s.yaml")
        check_task(made, task, "s.yaml", kind)
        assert space.highest("batch_size") <= rows
        for number in range(40):
            draw(space, number)


@pytest.mark.parametrize("name", SPACES)
def test_a_space_is_for_nothing_else(name: str) -> None:
    for kind in set(KINDS) - kinds_of(name):
        with pytest.raises(
            UserError, match=rf"s\.yaml: search\.space: '{name}' is for .*, and these data are {kind}"
        ):
            with_space(study(name, KINDS[kind]), "classification", kind, 100, "s.yaml")


def test_an_mlp_on_images_has_the_size_of_one_and_the_tricks_of_images() -> None:
    made = with_space(study("recipe", "mlp"), "classification", "images", 2000, "s").params
    tables = with_space(study("recipe", "mlp"), "classification", "tables", 2000, "s").params
    assert (
        made["width"]
        == tables["width"]
        != with_space(study("recipe", "resnet"), "classification", "images", 2000, "s").params["width"]
    )
    assert "shift" in made
    assert "head" not in made
    augmented = with_space(study("augment", "mlp"), "classification", "images", 2000, "s")
    assert "width" not in augmented.params
    check_task(augmented, "classification", "s", "images")


@pytest.mark.parametrize("name", SPACES)
def test_it_is_printed_as_it_is_written_with_comments(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["hpsearch", "space", name])
    with pytest.raises(SystemExit) as caught:
        main()
    assert not caught.value.code
    printed = capsys.readouterr().out
    assert printed.startswith(f"# {name}: ")
    for kind, params in read_yaml(printed, "printed").items():
        assert kind in (*KINDS, "any")
        assert params.keys() <= KNOBS.keys()


def test_the_baseline_is_adam_at_3e_4_and_nothing_else() -> None:
    space = check_names(with_space(study("baseline"), "classification", "tables", 1000, "s"), "s")
    drawn, plain = draw(space, 3), {name: knob.default for name, knob in KNOBS.items()}
    assert (drawn["optimizer"], drawn["lr"]) == ("adam", 3e-4)
    assert {name for name, value in drawn.items() if value != plain[name]} == set()


def test_a_space_is_sized_by_the_rows() -> None:
    epochs = [
        with_space(study("recipe"), "classification", "tables", rows, "s").params["epochs"].value  # type: ignore[union-attr]
        for rows in (1000, 1001, 10_000, 10_001)
    ]
    assert epochs == [100, 60, 60, 30]


def test_own_parameters_take_the_place_of_the_spaces() -> None:
    own = {"mixup": "off", "lr": 0.5, "optimizer": "sgd", "momentum": 0.3, "loss": "cross_entropy", "norm": "off"}
    made = with_space(study("recipe", params=own), "classification", "tables", 1000, "s")
    space = check_names(made, "s")
    drawn = [draw(space, number) for number in range(32)]
    assert {(d["mixup"], d["lr"], d["optimizer"], d["momentum"]) for d in drawn} == {(0.0, 0.5, "sgd", 0.3)}
    assert {d["norm"] for d in drawn} == {"none"}  # taken away: its default
    assert "focal_gamma" not in made.params  # the space's own, which cannot act any more
    assert "weight_decay" not in made.params


def test_the_merged_study_is_the_same_again() -> None:
    made = with_space(study("cocktail", params={"lr": 1}), "classification", "tables", 1000, "s")
    assert with_space(made, "classification", "tables", 1000, "s") == made


def test_an_unknown_space_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"s: search\.space: there is no space 'recipes'; did you mean recipe\? Choose"
    ):
        with_space(study("recipes"), "classification", "tables", 1000, "s")


@pytest.mark.parametrize(("widest", "kept"), [(0, False), (4, False), (5, True)])
def test_embeddings_stay_where_a_category_has_more_values_than_they_have(widest: int, kept: bool) -> None:
    made = with_space(study("cocktail"), "classification", "tables", 1000, "s", widest)
    assert ("embedding" in made.params) == kept
    assert "periodic" in made.params


def test_the_studys_own_losses_are_left_as_they_are() -> None:
    own = Study.model_validate(
        {"name": "s", "data": {"source": "none"}, "search": {"space": "recipe"},
         "params": {"loss": {"choices": ["squared", "cross_entropy", "huber"]}}}
    )  # fmt: skip
    params = with_space(own, "regression", "tables", 500, "s.yaml").params
    assert params["loss"] == own.params["loss"]


def test_a_table_of_categories_alone_has_a_space_without_what_acts_on_numbers(tmp_path: Path) -> None:
    rows = [f"{'ab'[n % 2]}{n % 7},{'xyz'[n % 3]},{'no' if n % 2 else 'yes'}" for n in range(120)]
    (tmp_path / "categories.csv").write_text("\n".join(["one,two,target", *rows]))
    raw = {"name": "s", "data": {"source": "categories.csv", "target": "target"}, "search": {"space": "cocktail"}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(raw))
    names = set(prepare(tmp_path / "s.yaml").study.params)
    assert not names & {"noise", "scaling", "pieces", "periodic", "periodic_scale"}
    assert {"swap_noise", "embedding", "mixup"} <= names


@pytest.mark.parametrize("name", ["recipe", "cocktail"])
def test_flooding_is_not_drawn_beside_what_holds_the_loss_above_it(name: str) -> None:
    space = check_names(with_space(study(name), "classification", "tables", 1000, "s"), "s")
    for number in range(80):
        params = draw(space, number)
        assert ("flood" in params) == (params["label_smoothing"] == 0 and params["mixup"] == 0)


@pytest.mark.parametrize(
    ("own", "there"),
    [
        ({"label_smoothing": 0.1}, False),
        ({"mixup": 0.4}, False),
        ({"label_smoothing": "off", "mixup": "off"}, True),
    ],
)
def test_flooding_goes_where_a_study_never_leaves_it_room(own: dict[str, Any], there: bool) -> None:
    made = with_space(study("recipe", params=own), "classification", "tables", 1000, "s")
    assert ("flood" in made.params) == there
    check_names(made, "s")


def test_a_condition_on_what_a_task_has_not_is_left_out() -> None:
    made = with_space(study("recipe"), "regression", "tables", 1000, "s")
    assert made.params["flood"].when == {"mixup": "off"}
    check_names(made, "s")
