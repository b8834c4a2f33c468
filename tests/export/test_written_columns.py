"""Columns in words, from raw rows: the schema, the graph, predict and the card's code against scikit-learn."""

import datetime
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from export_cases import make_card
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from hpsearch.data.load import Dataset, load
from hpsearch.data.preprocess import TableSchema
from hpsearch.errors import InputWarning, UserError
from hpsearch.export import bundle, predict
from hpsearch.nets.mlp import MLP
from hpsearch.study import Data

N = 240
NUMBERS = ["price", "rate", "plain", "balance", "spell"]
FORMATS = {"born": "day_first", "named": "month_name"}  # which the checks would warn of
CYCLES = {"day": 86400, "week": 7 * 86400, "year": 365.2425 * 86400}


def numbers(seed: int = 0) -> pd.DataFrame:
    """What the table means: numbers, seconds and words; NaN and None are missing."""
    rng = np.random.default_rng(seed)
    price = rng.integers(-300_000, 900_000, N) / 100
    table = pd.DataFrame(
        {
            "price": price, "rate": rng.integers(0, 1000, N) / 10, "plain": rng.normal(size=N).round(3),
            "balance": rng.integers(1_000_000, 9_000_000, N) / 100, "spell": rng.integers(0, 300, N) * 60.0,
            "when": rng.integers(1.6e9, 1.7e9, N).astype(float), "born": rng.integers(-9000, 12000, N) * 86400.0,
            "named": rng.integers(0, 20000, N) * 86400.0, "clock": rng.integers(0, 1440, N) * 60.0,
            "word": rng.choice(["red", "green", "blue"], N),
        }
    )  # fmt: skip
    for at, name in enumerate(("price", "when", "word")):
        table.loc[at::11, name] = None if name == "word" else np.nan
    table["y"] = np.where(price + 50 * rng.normal(size=N) > 3000, "yes", "no")
    return table


def moment(seconds: float, form: str) -> str:
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)).strftime(form)


WRITERS = {
    "price": lambda v: f"${v:,.2f}" if v >= 0 else f"(${-v:,.2f})",
    "rate": lambda v: f"{v:.1f} %".replace(".", ","),
    "balance": lambda v: f"{v:,.2f}".replace(",", "\u202f").replace(".", ","),
    "spell": lambda v: f"{int(v) // 3600 + 24}:{int(v) % 3600 // 60:02d}",
    "when": lambda v: moment(v, "%Y-%m-%dT%H:%M:%SZ"),
    "born": lambda v: moment(v, "%d/%m/%Y"),
    "named": lambda v: moment(v, "%d %b %y"),
    "clock": lambda v: moment(v, "%H:%M"),
}


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """The same as a person would write it."""
    text = table.astype(object)
    for name, write in WRITERS.items():
        text[name] = [write(value) if pd.notna(value) else "" for value in table[name]]
    return text.fillna("")


def by_scikit_learn(table: pd.DataFrame, train: np.ndarray) -> np.ndarray:
    """The inputs of a net, in the order of the columns."""
    blocks = []
    for name in table.columns.drop("y"):
        column = table[[name]].copy()
        if name == "word":
            known = OneHotEncoder(categories=[["blue", "green", "red"]], handle_unknown="ignore")
            blocks += [known.fit_transform(column.astype(object)).toarray(), column.isna().to_numpy()]
            continue
        column += 86400.0 if name == "spell" else 0
        scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler()).fit(column.iloc[train])
        blocks.append(ColumnTransformer([("x", scaled, [name])]).fit(column.iloc[train]).transform(column))
        blocks += [column.isna().to_numpy()] if column.iloc[train].isna().to_numpy().any() else []
        cycles = [] if name in NUMBERS else [CYCLES["day"]] if name in ("clock", "when") else []
        cycles += [] if name in [*NUMBERS, "clock"] else [CYCLES["week"], CYCLES["year"]]
        filled = column.fillna(column.iloc[train].median())[name].to_numpy()
        angles = [2 * np.pi * (filled % period) / period for period in cycles]
        blocks += [np.sin(angle)[:, None] for angle in angles] + [np.cos(angle)[:, None] for angle in angles]
    return np.concatenate(blocks, axis=1).astype(float)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset, list[MLP]]:
    """A data set from a CSV in words, and the folder that has the CSV and an export of two nets."""
    folder = tmp_path_factory.mktemp("words")
    in_words(numbers()).to_csv(folder / "a.csv", index=False)
    dataset = load(Data(source="a.csv", target="y", formats=FORMATS), folder, "s.yaml")
    assert isinstance(dataset.schema, TableSchema)
    torch.manual_seed(0)
    width = sum(column.width for column in dataset.schema.columns)
    members = [MLP(width, 2, 8, 1, "none", "relu").eval() for _ in range(2)]
    bundle.write(folder / "export", members, [1.0, 3.0], dataset.schema, dataset.target, make_card(2))
    return folder, dataset, members


def test_numbers_in_words_and_dates_are_scikit_learns(written: tuple[Path, Dataset, list[MLP]]) -> None:
    _, dataset, _ = written
    wanted = by_scikit_learn(numbers(), dataset.train.index)
    for part in (dataset.train, dataset.validation, dataset.test):
        np.testing.assert_allclose(part.x, wanted[part.index], atol=2e-6)
    assert dataset.notes[1] == "columns: 5 numbers, 4 dates, 1 categories (word)"
    told = "\n".join(dataset.notes)
    for sentence in (
        "price reads as numbers with thousands separator ',' in $",
        "rate reads as numbers with a decimal comma in %",
        "born reads as dates, day before month",
        "clock reads as times of day",
    ):
        assert f"columns: {sentence}" in told
    assert dataset.doubts == ()


def test_metrics_from_raw_rows_agree(
    written: tuple[Path, Dataset, list[MLP]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, dataset, members = written
    rows = dataset.test.index
    x = torch.from_numpy(by_scikit_learn(numbers(), dataset.train.index)[rows]).float()
    with torch.no_grad():
        one, two = (net(x).double().softmax(-1).numpy() for net in members)
    y, wanted = numbers()["y"][rows], (one + 3 * two) / 4
    text = in_words(numbers()).iloc[rows]
    text.to_csv(folder / "new.csv", index=False)
    by_predict = predict.load(folder / "export").predict(folder / "new.csv")["probability.yes"].to_numpy()
    by_card = card_outputs(folder, text, monkeypatch)["probability"][:, 1]
    for found in (by_predict, by_card):
        assert log_loss(y, found) == pytest.approx(log_loss(y, wanted[:, 1]), abs=1e-6)
        assert roc_auc_score(y, found) == pytest.approx(roc_auc_score(y, wanted[:, 1]), abs=1e-6)


def card_outputs(folder: Path, text: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """What the code of the model card gives, which uses onnxruntime and pandas alone."""
    text.to_csv(folder / "export" / "new.csv", index=False)
    monkeypatch.chdir(folder / "export")
    scope: dict[str, dict[str, np.ndarray]] = {}
    exec(re.findall(r"```python\n(.*?)```", Path("README.md").read_text(), re.S)[1], scope)
    Path("new.csv").unlink()
    return scope["outputs"]


def test_every_representation_is_predicted_alike(
    written: tuple[Path, Dataset, list[MLP]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, _ = written
    monkeypatch.setattr("hpsearch.export.inputs._MOST_ROWS", 99)  # no chunk decides a format
    model, raw = predict.load(folder / "export"), numbers()
    wanted = model.predict(folder / "a.csv")
    typed = raw.copy()
    for name in ("when", "born", "named"):
        typed[name] = pd.to_datetime(raw[name], unit="s")
    typed["clock"] = [(datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=s)).time() for s in raw["clock"]]
    typed["spell"] = pd.to_timedelta(raw["spell"] + 86400, unit="s")
    typed.to_parquet(tmp_path / "in.parquet")
    zoned = typed.assign(when=typed["when"].dt.tz_localize("UTC").dt.tz_convert("America/New_York"))
    typed.to_csv(tmp_path / "in.csv", index=False)  # with years first, and pandas' spans
    assert "days" in (tmp_path / "in.csv").read_text()
    as_text = in_words(raw).replace("", None)
    for source in (typed, zoned, tmp_path / "in.parquet", as_text, as_text.astype("string[pyarrow]")):
        pd.testing.assert_frame_equal(model.predict(source), wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        (
            "price",
            "€5",
            r"column 'price' reads as numbers with thousands separator ',' in \$, but row 99 has '€5'",
        ),
        ("price", "1.234,56", "row 99 has '1.234,56'"),
        ("rate", "n/a", r"row 99 has 'n/a'; name the word in data\.missing.*\"n/a\""),
        ("born", "12/31/2024", "'born' reads as dates, day before month, but row 99 has '12/31/2024'"),
        ("when", "1.7e9", "row 99 has '1.7e9'"),
        ("clock", "24:10", "row 99 has '24:10'"),
        ("plain", "1,5", "'plain' holds finite numbers, but row 99 has '1,5'"),
    ],
)
def test_what_does_not_fit_is_refused(
    written: tuple[Path, Dataset, list[MLP]], tmp_path: Path, column: str, value: str, said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder, _, _ = written
    monkeypatch.setattr("hpsearch.export.inputs._MOST_ROWS", 50)
    text = in_words(numbers())
    text.loc[99, column] = value
    text.to_csv(tmp_path / "in.csv", index=False)
    with pytest.raises(UserError, match=said):
        predict.load(folder / "export").predict(tmp_path / "in.csv")


def test_the_manifest_and_the_card_say_how_to_read(written: tuple[Path, Dataset, list[MLP]]) -> None:
    folder, _, _ = written
    entries = {e["column"]: e for e in predict.load(folder / "export").about["inputs"]}
    assert (entries["price"]["format"]["name"], entries["price"]["format"]["unit"]) == ("thousands_comma", "$")
    assert entries["born"]["format"]["counts"] == "seconds since 1970, UTC"
    assert entries["plain"]["format"] is None and entries["word"]["format"] is None
    card = (folder / "export" / "README.md").read_text()
    assert "double, from numbers with a decimal comma in %" in card
    assert "double (seconds since 1970, UTC), from dates, day before month" in card
    session = onnxruntime.InferenceSession(folder / "export" / "model.onnx")
    assert {i.name: i.type for i in session.get_inputs()}["born"] == "tensor(double)"


def test_dates_far_from_training_are_warned_of_as_dates(written: tuple[Path, Dataset, list[MLP]]) -> None:
    folder, _, _ = written
    later = numbers().assign(when=lambda table: table["when"] + 4e8)
    with pytest.warns(InputWarning, match=r"when: training had dates from 2020-.* to 2023-.*; these have 2033-"):
        predict.load(folder / "export").predict(in_words(later).replace("", None))
