"""Studies without a fault, of data that are small or odd: none of them may fail a check."""

import numpy as np
import pandas as pd
from broken_studies import Fault, blobs, images, values


def weighted(rng: np.random.Generator) -> pd.DataFrame:
    """A rare class whose rows count nine times."""
    table = blobs(rng)
    table = table[(table.y != "one") | (rng.random(len(table)) < 0.3)]
    return table.assign(weight=np.where(table.y == "one", 9.0, 1.0))


def grouped(rng: np.random.Generator) -> pd.DataFrame:
    """Thirty people, ten rows each; a person's rows are alike."""
    person = np.repeat(np.arange(30), 10)
    age, habit = rng.normal(size=30)[person], rng.normal(size=30)[person]
    noise = rng.normal(size=(300, 2))
    y = np.where(age + habit + 0.5 * noise[:, 0] > 0, "yes", "no")
    return pd.DataFrame({"age": age, "habit": habit + 0.3 * noise[:, 1], "person": person, "y": y})


def few_answers(rng: np.random.Generator) -> pd.DataFrame:
    """A table of three yes-or-no answers: equal rows are natural in it."""
    x = rng.integers(2, size=(300, 3))
    y = np.where(x.sum(1) + rng.normal(size=300) > 1.5, "ill", "well")
    return pd.DataFrame(np.where(x, "yes", "no"), columns=list("abc")).assign(y=y)


def wide(rng: np.random.Generator) -> pd.DataFrame:
    """More columns than training rows."""
    y = rng.integers(2, size=150)
    x = rng.normal(size=(150, 200)) + 0.5 * y[:, None]
    return pd.DataFrame(x, columns=[f"x{i}" for i in range(200)]).assign(y=np.where(y, "on", "off"))


def rare(rng: np.random.Generator) -> pd.DataFrame:
    """Three rows of the rarer class: one in each part."""
    table = blobs(rng, 200)
    return table.assign(y=np.where(np.arange(200) % 70 == 3, "often", "rare").astype(str)).assign(
        y=lambda t: t.y.map({"often": "rare", "rare": "often"})
    )


def tiny(rng: np.random.Generator) -> pd.DataFrame:
    return blobs(rng, 40)


def overlapping(rng: np.random.Generator) -> pd.DataFrame:
    """Answers that chance decides in a quarter of the rows."""
    x = rng.normal(size=(600, 5))
    chance = 1 / (1 + np.exp(-x @ np.array([1.2, -0.8, 0.5, 0.0, 0.0])))
    return pd.DataFrame(x, columns=list("abcde")).assign(y=np.where(rng.random(600) < chance, "good", "bad"))


SOUND = [
    Fault("a table of classes", "", blobs),
    Fault("a table of values", "", values),
    Fault("images", "", images),
    Fault("images, through convolutions", "", images, {"net": "resnet", "params": {"width": 4, "norm": "batch"}}),
    Fault("rows that count more", "", weighted, {"data": {"weight": "weight"}}),
    Fault("groups", "", grouped, {"data": {"split": {"group": "person"}}}),
    Fault("few answers", "", few_answers),
    Fault("more columns than rows", "", wide),
    Fault("few rows", "", tiny, {"params": {"batch_size": 8}}),
    Fault("a share of the training part", "", values, {"params": {"train_share": [0.25, 1.0], "batch_size": 32}}),
    Fault("no prior in the bias", "", blobs, {"params": {"prior_bias": False}}),
    Fault("a net of one's own", "", blobs, net="Sound"),
    Fault("a net that takes dropout", "", blobs, net="TakesDropout"),
    Fault("a net that begins at zero", "", blobs, net="BeginsAtZero"),
    Fault("a net of many batch norms", "", blobs, net="SoundNorms"),
    Fault("a net of residual branches", "", values, net="SoundResidual"),
    Fault("a rare class of two", "", rare, {"params": {"batch_size": 16}}),
    Fault("a wide and deep net", "", blobs, net="WideAndDeep"),
    Fault("a log-softmax at the end", "", blobs, net="LogSoftmaxAtTheEnd"),
    Fault("soft-capped outputs", "", blobs, net="SoftCapped"),
    Fault("classes that overlap", "", overlapping),
]
