"""Thirty studies for `hpsearch check`: ten with a fault, twenty sound ones. Needs numpy and pandas only.

    .venv/bin/python tests/recipe/second_catalogue.py OUT

Written from docs/recipe.md alone, to score the checks on what they were not made for (docs/log.md).
"""

import json
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

CASES = []


def case(kind, why, only=()):
    def add(function):
        CASES.append((function.__name__, kind, list(only), why, function))
        return function

    return add


def text(s):
    return textwrap.dedent(s).lstrip("\n")


def csv(folder, frame, name="data.csv"):
    assert len(frame) <= 300
    frame.to_csv(folder / name, index=False)


def npz(folder, x, y, name="data.npz"):
    assert len(x) <= 300
    np.savez(folder / name, x=x, y=y)


def parts(rng, n, shares=(0.6, 0.2, 0.2)):
    """The words train, validation, test in random order, in exact shares."""
    a, b = round(n * shares[0]), round(n * (shares[0] + shares[1]))
    words = np.array(["train"] * a + ["validation"] * (b - a) + ["test"] * (n - b))
    return rng.permutation(words)


def table(x, names, digits=4):
    return pd.DataFrame(np.round(x, digits), columns=list(names))


def clusters(rng, classes, each, features, apart, sd=1.0):
    """Gaussian classes whose centres are drawn with the standard deviation `apart`; rows in random order."""
    centres = rng.normal(size=(classes, features)) * apart
    y = rng.permutation(np.repeat(np.arange(classes), each))
    return centres[y] + rng.normal(size=(len(y), features)) * sd, y


# ---------------------------------------------------------------------------------------------------- faults


@case(
    "fault",
    "the interest rate is set from the grade that is to be predicted (the grade's base rate and a little "
    "noise): a noisy copy of the target",
    ["D1.leakage"],
)
def fault_grade_sets_rate(folder):
    rng = np.random.default_rng(101)
    n = 300
    quality = rng.normal(size=n)
    grade = np.digitize(quality + rng.normal(size=n) * 0.8, [-0.6, 0.6])
    frame = pd.DataFrame(
        {
            "income": np.round(np.exp(10.6 + 0.25 * quality + 0.35 * rng.normal(size=n)), 2),
            "debt_ratio": np.round(22 - 4 * quality + 6 * rng.normal(size=n), 3),
            "age": np.round(rng.uniform(21, 70, n), 2),
            "amount": np.round(rng.uniform(2000, 30000, n), 2),
            "interest_rate": np.round(np.array([15.8, 11.4, 7.2])[grade] + rng.normal(size=n) * 0.35, 2),
            "grade": np.array(["C", "B", "A"])[grade],
        }
    )
    csv(folder, frame)
    (folder / "study.yaml").write_text(
        text("""
        name: fault_grade_sets_rate
        data: {source: data.csv, target: grade}
        search: {trials: 8, metric: accuracy}
        params: {epochs: 20, width: [64, 128], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case(
    "fault",
    "a patient table joined to visits: four rows a patient that are equal in all inputs, dealt to the "
    "parts at random (no split by patient)",
    ["D2.leakage"],
)
def fault_patient_in_all_parts(folder):
    rng = np.random.default_rng(102)
    n = 75
    age, bmi, glucose = rng.uniform(25, 85, n), rng.normal(27, 4, n), rng.normal(105, 20, n)
    smoker = rng.random(n) < 0.3
    risk = (age - 55) / 17 + (glucose - 105) / 20 + (bmi - 27) / 5 + 0.7 * smoker - 0.2
    patient = pd.DataFrame(
        {
            "age": np.round(age, 1),
            "bmi": np.round(bmi, 1),
            "glucose": np.round(glucose, 1),
            "smoker": np.where(smoker, "yes", "no"),
            "readmitted": np.where(risk + 0.5 * rng.normal(size=n) > 0, "yes", "no"),
        }
    )
    visits = patient.loc[rng.permutation(np.repeat(np.arange(n), 4))]  # the visits' own columns were dropped
    csv(folder, visits)
    (folder / "study.yaml").write_text(
        text("""
        name: fault_patient_in_all_parts
        data: {source: data.csv, target: readmitted, split: {validation: 0.2, test: 0.2, seed: 1}}
        search: {trials: 8, metric: accuracy}
        params: {epochs: 20, width: [64], lr: {low: 3e-4, high: 3e-3, log: true}}
        """)
    )


@case(
    "fault",
    "half-way through the log the thermometer goes from Celsius to Fahrenheit; by time the later parts "
    "hold Fahrenheit only",
    ["D1.drift"],
)
def fault_celsius_fahrenheit(folder):
    rng = np.random.default_rng(103)
    n = 300
    celsius = rng.normal(16, 6, n)
    wind, cloud = rng.gamma(3, 2, n), rng.uniform(0, 1, n)
    load = 420 - 9 * celsius + 4 * wind + 60 * cloud + 15 * rng.normal(size=n)
    later = np.arange(n) >= n // 2
    frame = pd.DataFrame(
        {
            "hour": np.arange(n),
            "temperature": np.round(np.where(later, celsius * 9 / 5 + 32, celsius), 2),
            "wind": np.round(wind, 2),
            "cloud": np.round(cloud, 3),
            "load": np.round(load, 2),
        }
    )
    csv(folder, frame)
    (folder / "study.yaml").write_text(
        text("""
        name: fault_celsius_fahrenheit
        data: {source: data.csv, target: load, task: regression, split: {validation: 0.2, test: 0.2, time: hour}}
        search: {trials: 8, metric: rmse}
        params: {epochs: 20, width: [64, 128], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case(
    "fault",
    "one class's labels are wrong in 35 % of its rows: an annotator called many birches beeches; the other "
    "two classes are clean (a check that warns)",
    ["D2.labels"],
)
def fault_one_class_mislabelled(folder):
    rng = np.random.default_rng(104)
    centres = np.array([[0, 0, 0, 0, 0], [2.2, 2.2, 2.2, 2.2, 0], [-2.2, 2.2, -2.2, 2.2, 2.2]])
    y = rng.permutation(np.repeat([0, 1, 2], 100))
    x = centres[y] + rng.normal(size=(300, 5))
    birch = np.flatnonzero(y == 1)
    label = y.copy()
    label[rng.choice(birch, 35, replace=False)] = 0
    frame = table(x, ["length", "breadth", "teeth", "stalk", "gloss"])
    frame["tree"] = np.array(["beech", "birch", "maple"])[label]
    csv(folder, frame)
    (folder / "study.yaml").write_text(
        text("""
        name: fault_one_class_mislabelled
        data: {source: data.csv, target: tree}
        search: {trials: 8, metric: balanced_accuracy}
        params: {epochs: 20, width: [64], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case(
    "fault",
    "each number is made a token of size 1 and LayerNorm(1) is put on it: the norm of one number is zero, "
    "so nothing of the input comes through",
    ["R7", "R14"],
)
def fault_layer_norm_of_one(folder):
    rng = np.random.default_rng(105)
    x, y = clusters(rng, 3, 100, 6, 1.3)
    frame = table(x, [f"m{i}" for i in range(6)])
    frame["kind"] = np.array(["low", "mid", "high"])[y]
    csv(folder, frame)
    (folder / "mine.py").write_text(
        text("""
        import torch
        from torch import nn


        class PerFeature(nn.Module):
            def __init__(self, features, outputs, width):
                super().__init__()
                self.norm = nn.LayerNorm(1)
                self.embed = nn.Linear(1, 8)
                self.body = nn.Sequential(nn.Linear(features * 8, width), nn.ReLU(), nn.Linear(width, outputs))

            def forward(self, x):
                tokens = self.norm(x.unsqueeze(-1))
                return self.body(torch.relu(self.embed(tokens)).flatten(1))


        def build(input_shape, outputs, width=64):
            return PerFeature(input_shape[0], outputs, width)
        """)
    )
    (folder / "study.yaml").write_text(
        text("""
        name: fault_layer_norm_of_one
        data: {source: data.csv, target: kind}
        net: mine:build
        search: {trials: 8, metric: log_loss}
        params: {epochs: 20, width: [64, 128], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case(
    "fault",
    "the gate over the features takes its softmax along dim=0, which is the batch: an example's answer "
    "depends on its neighbours",
    ["R12", "R3"],
)
def fault_softmax_over_batch(folder):
    rng = np.random.default_rng(106)
    x = rng.normal(size=(300, 8))
    y = (x[:, 0] + x[:, 1] - x[:, 2] + 0.8 * x[:, 3] + 0.3 * rng.normal(size=300) > 0).astype(int)
    frame = table(x, [f"sensor_{i}" for i in range(8)])
    frame["alarm"] = np.where(y == 1, "on", "quiet")
    csv(folder, frame)
    (folder / "mine.py").write_text(
        text("""
        import torch
        from torch import nn


        class Gated(nn.Module):
            def __init__(self, features, outputs, width):
                super().__init__()
                self.score = nn.Linear(features, width)
                self.value = nn.Linear(features, width)
                self.head = nn.Linear(width, outputs)

            def forward(self, x):
                gate = torch.softmax(self.score(x), dim=0)
                return self.head(torch.relu(self.value(x)) * gate * gate.shape[1])


        def build(input_shape, outputs, width=64):
            return Gated(input_shape[0], outputs, width)
        """)
    )
    (folder / "study.yaml").write_text(
        text("""
        name: fault_softmax_over_batch
        data: {source: data.csv, target: alarm}
        net: mine:build
        search: {trials: 8, metric: auroc}
        params: {epochs: 20, width: [64, 32], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case(
    "fault",
    "the scale of the residual branch starts at zero and was registered as a buffer, not as a parameter: "
    "the branch is multiplied by zero for ever and never learns",
    ["R2.frozen", "G13.dead"],
)
def fault_branch_times_zero(folder):
    rng = np.random.default_rng(107)
    x = rng.uniform(-2, 2, size=(300, 5))
    y = 3 * x[:, 0] - 2 * x[:, 1] + np.abs(x[:, 2]) + 0.5 * x[:, 3] + 0.2 * rng.normal(size=300)
    frame = table(x, ["a", "b", "c", "d", "e"])
    frame["strength"] = np.round(40 + 6 * y, 3)
    csv(folder, frame)
    (folder / "mine.py").write_text(
        text("""
        import torch
        from torch import nn


        class ReZero(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.inner = nn.Linear(width, width)
                self.outer = nn.Linear(width, width)
                self.register_buffer("alpha", torch.zeros(1))

            def forward(self, h):
                return h + self.alpha * self.outer(torch.relu(self.inner(h)))


        def build(input_shape, outputs, width=64):
            return nn.Sequential(nn.Linear(input_shape[0], width), nn.ReLU(), ReZero(width), ReZero(width),
                                 nn.Linear(width, outputs))
        """)
    )
    (folder / "study.yaml").write_text(
        text("""
        name: fault_branch_times_zero
        data: {source: data.csv, target: strength, task: regression}
        net: mine:build
        search: {trials: 8, metric: rmse}
        params: {epochs: 20, width: [64, 128], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case(
    "fault",
    "the range of the learning rate was copied from the fine-tuning of a huge net and slipped by two more "
    "orders: 1e-8 to 1e-6, at which nothing trains",
    ["O2"],
)
def fault_rate_too_small(folder):
    rng = np.random.default_rng(108)
    x, y = clusters(rng, 4, 75, 7, 1.2)
    frame = table(x, [f"v{i}" for i in range(7)])
    frame["sort"] = np.array(["north", "east", "south", "west"])[y]
    csv(folder, frame)
    (folder / "study.yaml").write_text(
        text("""
        name: fault_rate_too_small
        data: {source: data.csv, target: sort}
        search: {trials: 8, metric: accuracy}
        params: {epochs: 30, width: [128, 64], lr: {low: 1e-8, high: 1e-6, log: true}}
        """)
    )


@case(
    "fault",
    "a bottleneck of `features // reduction` units, written for hundreds of features, is one unit wide "
    "here: eight classes have to pass through one number",
    ["R8", "O1"],
)
def fault_bottleneck_of_one(folder):
    rng = np.random.default_rng(109)
    x, y = clusters(rng, 8, 37, 8, 1.6)
    frame = table(x, [f"f{i}" for i in range(8)])
    frame["phone"] = np.array(["aa", "eh", "ih", "oh", "uh", "er", "ow", "ay"])[y]
    csv(folder, frame)
    (folder / "mine.py").write_text(
        text("""
        from torch import nn


        def build(input_shape, outputs, reduction=16):
            features = input_shape[0]
            hidden = max(1, features // reduction)
            return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
        """)
    )
    (folder / "study.yaml").write_text(
        text("""
        name: fault_bottleneck_of_one
        data: {source: data.csv, target: phone}
        net: mine:build
        search: {trials: 8, metric: accuracy}
        params: {epochs: 20, reduction: [16, 8], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case(
    "fault",
    "prices are positive, so the net ends in a softplus; but the target is standardised, and half of it is "
    "below zero and out of reach",
    ["R8", "R4"],
)
def fault_softplus_on_standardised(folder):
    rng = np.random.default_rng(110)
    n = 300
    area, rooms_age, garden = rng.uniform(40, 180, n), rng.uniform(0, 60, n), rng.uniform(0, 500, n)
    distance = rng.uniform(0, 20, n)
    price = 40 + 2.4 * area - 0.9 * rooms_age + 0.12 * garden - 4 * distance + 12 * rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "area": np.round(area, 1),
            "age": np.round(rooms_age, 1),
            "garden": np.round(garden, 1),
            "distance": np.round(distance, 2),
            "price": np.round(np.maximum(price, 20), 2),
        }
    )
    csv(folder, frame)
    (folder / "mine.py").write_text(
        text("""
        from torch import nn


        def build(input_shape, outputs, width=64):
            return nn.Sequential(nn.Linear(input_shape[0], width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
                                 nn.Linear(width, outputs), nn.Softplus())
        """)
    )
    (folder / "study.yaml").write_text(
        text("""
        name: fault_softplus_on_standardised
        data: {source: data.csv, target: price, task: regression}
        net: mine:build
        search: {trials: 8, metric: rmse}
        params: {epochs: 20, width: [64, 128], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


# ----------------------------------------------------------------------------------------------------- sound


@case("sound", "small data: 90 rows, three classes, four features that only together tell the class")
def sound_small(folder):
    rng = np.random.default_rng(201)
    centres = np.array([[1.5, 1.5, -1.5, 0.5], [-1.5, 1.5, 1.5, -0.5], [0, -1.8, 0, 1.8]])
    y = rng.permutation(np.repeat([0, 1, 2], 30))
    frame = table(centres[y] + 0.9 * rng.normal(size=(90, 4)), ["sepal", "petal", "stem", "leaf"], 3)
    frame["species"] = np.array(["alba", "rubra", "nigra"])[y]
    csv(folder, frame)
    (folder / "study.yaml").write_text(
        text("""
        name: sound_small
        data: {source: data.csv, target: species}
        search: {trials: 8}
        params: {epochs: 30, width: [32, 64], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case("sound", "fifteen classes of twenty rows each, with what a person scores")
def sound_many_classes(folder):
    rng = np.random.default_rng(202)
    x, y = clusters(rng, 15, 20, 8, 1.9)
    frame = table(x, [f"band_{i}" for i in range(8)])
    frame["letter"] = np.array(list("abcdefghijklmno"))[y]
    csv(folder, frame)
    (folder / "study.yaml").write_text(
        text("""
        name: sound_many_classes
        data: {source: data.csv, target: letter}
        search: {trials: 8, metric: accuracy}
        human: {score: 0.95}
        params: {epochs: 40, width: [128, 256], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case(
    "sound",
    "84 % against 16 %, honest: class weights and a balanced metric (the spelling of class_weights is a "
    "guess, the documents at hand name the parameter but not its values)",
)
def sound_class_weights(folder):
    rng = np.random.default_rng(203)
    y = rng.permutation(np.repeat([0, 1], [252, 48]))
    x = rng.normal(size=(300, 6))
    x[:, :5] += y[:, None] * np.array([1.9, 1.8, -1.7, 1.7, -1.6])
    frame = table(x, ["amount", "speed", "trust", "reach", "depth", "noise"])
    frame["fraud"] = np.where(y == 1, "fraud", "fine")
    csv(folder, frame)
    (folder / "study.yaml").write_text(
        text("""
        name: sound_class_weights
        data: {source: data.csv, target: fraud}
        search: {trials: 8, metric: balanced_accuracy}
        params: {epochs: 30, width: [64], class_weights: [balanced, off], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case("sound", "a questionnaire: seven answers from 1 to 4, no two rows alike (drawn without replacement)")
def sound_discrete(folder):
    rng = np.random.default_rng(204)
    codes = rng.choice(4**7, 300, replace=False)
    items = (codes[:, None] // 4 ** np.arange(7)) % 4 + 1
    score = items[:, 0] + items[:, 1] - items[:, 2] + items[:, 4]
    content = score + 0.2 * rng.normal(size=300) > np.median(score) + 0.5
    frame = pd.DataFrame(items, columns=[f"q{i + 1}" for i in range(7)])
    frame["content"] = np.where(content, "yes", "no")
    csv(folder, frame)
    (folder / "study.yaml").write_text(
        text("""
        name: sound_discrete
        data: {source: data.csv, target: content}
        search: {trials: 8, metric: f1}
        params: {epochs: 30, width: [64, 128], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case(
    "sound",
    "a split by time on a stationary, slightly autocorrelated series; the file is not in the order of time",
)
def sound_time(folder):
    rng = np.random.default_rng(205)
    n = 300
    x = rng.normal(size=(n, 4))
    for t in range(1, n):
        x[t] = 0.2 * x[t - 1] + np.sqrt(1 - 0.04) * x[t]
    y = 50 + 8 * x[:, 0] - 6 * x[:, 1] + 4 * np.maximum(x[:, 2], 0) + 2.5 * rng.normal(size=n)
    frame = table(x, ["wind", "sun", "rain", "price"], 3)
    frame.insert(0, "day", pd.date_range("2021-03-01", periods=n).strftime("%Y-%m-%d"))
    frame["output"] = np.round(y, 2)
    csv(folder, frame.iloc[rng.permutation(n)])
    (folder / "study.yaml").write_text(
        text("""
        name: sound_time
        data: {source: data.csv, target: output, task: regression, split: {validation: 0.2, test: 0.2, time: day}}
        search: {trials: 8, metric: mae}
        params: {epochs: 30, width: [64, 128], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case("sound", "sixty clinics of five patients each, split by clinic, with a small effect of the clinic")
def sound_groups(folder):
    rng = np.random.default_rng(206)
    clinic = np.repeat(np.arange(60), 5)
    x = 0.2 * rng.normal(size=(60, 5))[clinic] + rng.normal(size=(300, 5))
    risk = (
        2 * x[:, 0]
        - 1.8 * x[:, 1]
        + 1.5 * x[:, 2]
        + 0.5 * rng.normal(size=60)[clinic]
        + 0.6 * rng.normal(size=300)
    )
    frame = table(x, ["pressure", "pulse", "sugar", "iron", "weight_change"], 3)
    frame.insert(0, "clinic", [f"clinic_{c:02d}" for c in clinic])
    frame["ill"] = np.where(risk > 0, "ill", "well")
    csv(folder, frame.iloc[rng.permutation(300)])
    (folder / "study.yaml").write_text(
        text("""
        name: sound_groups
        data: {source: data.csv, target: ill, split: {validation: 0.2, test: 0.2, seed: 3, group: clinic}}
        search: {trials: 8, metric: auroc}
        params: {epochs: 30, width: [64], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case("sound", "regression whose noise grows with one of the inputs; rows weighted by one over the variance")
def sound_heteroscedastic(folder):
    rng = np.random.default_rng(207)
    x = rng.uniform(-1, 1, size=(300, 4))
    sigma = 0.15 + 0.5 * np.abs(x[:, 1])
    y = 2.2 * x[:, 0] + 1.2 * x[:, 1] ** 2 - x[:, 2] + sigma * rng.normal(size=300)
    frame = table(x, ["a", "b", "c", "d"])
    frame["trust"] = np.round(1 / np.maximum(sigma, 0.2) ** 2, 3)
    frame["y"] = np.round(y, 4)
    csv(folder, frame)
    (folder / "study.yaml").write_text(
        text("""
        name: sound_heteroscedastic
        data: {source: data.csv, target: y, task: regression, weight: trust}
        search: {trials: 8, metric: rmse}
        params: {epochs: 30, width: [64, 128], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case(
    "sound",
    "a weak but real signal: three features, an R² of about one half at best, a part column that gives the "
    "validation part 90 rows",
)
def sound_weak(folder):
    rng = np.random.default_rng(208)
    x = rng.normal(size=(300, 3))
    y = 1.0 * x[:, 0] - 0.8 * x[:, 1] + 1.25 * rng.normal(size=300)
    frame = table(x, ["mood", "sleep", "steps"])
    frame["part"] = parts(rng, 300, (0.6, 0.3, 0.1))
    frame["wellbeing"] = np.round(6 + 1.5 * y, 3)
    csv(folder, frame)
    (folder / "study.yaml").write_text(
        text("""
        name: sound_weak
        data: {source: data.csv, target: wellbeing, task: regression, split: {column: part}}
        search: {trials: 8, metric: r2}
        params: {epochs: 15, width: [32, 64], lr: {low: 1e-4, high: 3e-3, log: true}}
        """)
    )


@case(
    "sound",
    "more features than rows trained on: 250 features from five hidden factors, three classes, npz, "
    "the ready-made space cocktail",
)
def sound_high_dimensional(folder):
    rng = np.random.default_rng(209)
    z = rng.normal(size=(300, 5))
    x = z @ rng.normal(size=(5, 250)) + 1.0 * rng.normal(size=(300, 250))
    y = np.argmax(z @ rng.normal(size=(5, 3)) + 0.2 * rng.normal(size=(300, 3)), 1)
    npz(folder, x.astype(np.float32), y.astype(np.int64))
    (folder / "study.yaml").write_text(
        text("""
        name: sound_high_dimensional
        data: {source: data.npz, task: classification}
        search: {trials: 8, metric: accuracy, space: cocktail}
        params: {epochs: 20}
        """)
    )


@case(
    "sound",
    "a tenth of the cells are missing at random, as nothing or as n/a; a column of words has gaps too; the "
    "ready-made space baseline",
)
def sound_missing(folder):
    rng = np.random.default_rng(210)
    n = 300
    x = rng.normal(size=(n, 5))
    soil = rng.integers(0, 3, n)
    y = 3 * x[:, 0] + 2.5 * x[:, 1] - 2 * x[:, 2] + np.array([-2.5, 0, 2.5])[soil] + 0.6 * rng.normal(size=n)
    cells = np.array([[f"{v:.4f}" for v in row] for row in x], dtype=object)
    cells[rng.random((n, 5)) < 0.08] = ""
    cells[rng.random((n, 5)) < 0.03] = "n/a"
    frame = pd.DataFrame(cells, columns=["ph", "nitrogen", "salt", "depth", "slope"])
    words = np.array(["clay", "sand", "loam"], dtype=object)[soil]
    words[rng.random(n) < 0.05] = ""
    frame["soil"] = words
    frame["yield"] = np.round(30 + 2 * y, 3)
    csv(folder, frame)
    (folder / "study.yaml").write_text(
        text("""
        name: sound_missing
        data: {source: data.csv, target: yield, task: regression, missing: ["", "n/a"]}
        search: {trials: 8, metric: rmse, space: baseline}
        params: {epochs: 30}
        """)
    )


@case("sound", "a net of one's own with batch norm, used as it should be")
def sound_batch_norm(folder):
    rng = np.random.default_rng(211)
    x, y = clusters(rng, 4, 75, 6, 1.5)
    frame = table(
        x * np.array([1e-3, 1, 10, 1e3, 1, 50]) + np.array([0, 5, 0, 1e4, -3, 7]), [f"x{i}" for i in range(6)], 6
    )
    frame["phase"] = np.array(["one", "two", "three", "four"])[y]
    csv(folder, frame)
    (folder / "mine.py").write_text(
        text("""
        from torch import nn


        def build(input_shape, outputs, width=64):
            return nn.Sequential(nn.Linear(input_shape[0], width), nn.BatchNorm1d(width), nn.ReLU(),
                                 nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(),
                                 nn.Linear(width, outputs))
        """)
    )
    (folder / "study.yaml").write_text(
        text("""
        name: sound_batch_norm
        data: {source: data.csv, target: phase}
        net: mine:build
        search: {trials: 8, metric: accuracy}
        params: {epochs: 30, width: [128, 64], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case("sound", "a net of one's own with dropout, drawn as a column; the parts stand in a column")
def sound_dropout(folder):
    rng = np.random.default_rng(212)
    x = rng.normal(size=(300, 10))
    z = 1.6 * x[:, 0] + 1.4 * x[:, 1] - 1.4 * x[:, 2] + 1.2 * x[:, 3]
    frame = table(x, [f"gene_{i}" for i in range(10)])
    frame["part"] = parts(rng, 300)
    frame["responds"] = np.where(z + 0.5 * rng.normal(size=300) > 0, "responds", "fails")
    csv(folder, frame)
    (folder / "mine.py").write_text(
        text("""
        import math

        from torch import nn


        def build(input_shape, outputs, width=128, dropout=0.2):
            return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), width), nn.ReLU(),
                nn.Dropout(dropout),
                                 nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout),
                                     nn.Linear(width, outputs))
        """)
    )
    (folder / "study.yaml").write_text(
        text("""
        name: sound_dropout
        data: {source: data.csv, target: responds, split: {column: part}}
        net: mine:build
        search: {trials: 8, metric: log_loss}
        params:
          epochs: 30
          width: [128, 256]
          dropout: {low: 0, high: 0.5, column: true}
          lr: {low: 1e-4, high: 1e-2, log: true}
        """)
    )


@case(
    "sound",
    "a residual net of one's own, the branch scaled by a learnt 0.3; regression with values in the millions",
)
def sound_residual(folder):
    rng = np.random.default_rng(213)
    x = rng.uniform(-2, 2, size=(300, 6))
    y = 2 * x[:, 0] + x[:, 1] * x[:, 2] + np.sin(2 * x[:, 3]) + 1.5 * x[:, 4] + 0.3 * rng.normal(size=300)
    frame = table(x, [f"in_{i}" for i in range(6)])
    frame["revenue"] = np.round(5e6 + 4e5 * y, 0)
    csv(folder, frame)
    (folder / "mine.py").write_text(
        text("""
        import torch
        from torch import nn


        class Block(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.inner = nn.Linear(width, width)
                self.outer = nn.Linear(width, width)
                self.scale = nn.Parameter(torch.full((1,), 0.3))

            def forward(self, h):
                return h + self.scale * self.outer(torch.relu(self.inner(h)))


        def build(input_shape, outputs, width=128, blocks=2):
            return nn.Sequential(nn.Linear(input_shape[0], width), nn.ReLU(),
                *[Block(width) for _ in range(blocks)],
                                 nn.ReLU(), nn.Linear(width, outputs))
        """)
    )
    (folder / "study.yaml").write_text(
        text("""
        name: sound_residual
        data: {source: data.csv, target: revenue, task: regression}
        net: mine:build
        search: {trials: 8, metric: rmse}
        params: {epochs: 30, width: [128, 64], blocks: [2, 1], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case(
    "sound",
    "a convolutional net of one's own on 8 by 8 pictures: a bar that stands, lies or slants, at a random "
    "place, with noise",
)
def sound_convolution(folder):
    rng = np.random.default_rng(214)
    y = rng.permutation(np.repeat([0, 1, 2], 100))
    x = 0.25 * rng.normal(size=(300, 1, 8, 8))
    steps = [(1, 0), (0, 1), (1, 1)]
    for i, c in enumerate(y):
        dr, dc = steps[c]
        r, k = rng.integers(0, 8 - 4 * dr), rng.integers(0, 8 - 4 * dc)
        for s in range(5):
            x[i, 0, r + dr * s, k + dc * s] += rng.uniform(1.2, 1.6)
    npz(folder, x.astype(np.float32), y.astype(np.int64))
    (folder / "mine.py").write_text(
        text("""
        import math

        from torch import nn


        def build(input_shape, outputs, channels=32):
            c, h, w = input_shape
            return nn.Sequential(nn.Conv2d(c, channels, 3, padding=1), nn.ReLU(),
                                 nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(),
                                     nn.MaxPool2d(2), nn.Flatten(),
                                 nn.Linear(channels * math.prod((h // 2, w // 2)), 128), nn.ReLU(),
                                 nn.Linear(128, outputs))
        """)
    )
    (folder / "study.yaml").write_text(
        text("""
        name: sound_convolution
        data: {source: data.npz, task: classification}
        net: mine:build
        search: {trials: 8, metric: accuracy}
        params: {epochs: 20, channels: [32, 16], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case("sound", "a net of one's own with layer norm over the hidden units; ten classes coded as whole numbers")
def sound_layer_norm(folder):
    rng = np.random.default_rng(215)
    x, y = clusters(rng, 10, 30, 9, 1.7)
    frame = table(x, [f"c{i}" for i in range(9)])
    frame["digit"] = y
    csv(folder, frame)
    (folder / "mine.py").write_text(
        text("""
        from torch import nn


        def build(input_shape, outputs, width=128):
            return nn.Sequential(nn.Linear(input_shape[0], width), nn.LayerNorm(width), nn.GELU(),
                                 nn.Linear(width, width), nn.LayerNorm(width), nn.GELU(),
                                 nn.Linear(width, outputs))
        """)
    )
    (folder / "study.yaml").write_text(
        text("""
        name: sound_layer_norm
        data: {source: data.csv, target: digit}
        net: mine:build
        search: {trials: 8, metric: log_loss}
        params: {epochs: 30, width: [128, 64], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case(
    "sound",
    "self-attention over the six tokens of one example, softmax along the tokens; the class is that of the "
    "strongest sum over the tokens",
)
def sound_attention(folder):
    rng = np.random.default_rng(216)
    tokens = rng.normal(size=(300, 6, 4))
    total = tokens[:, :, :3].sum(1) / np.sqrt(6)
    y = np.argmax(total + 0.15 * rng.normal(size=(300, 3)), 1)
    frame = table(tokens.reshape(300, 24), [f"t{t}_{k}" for t in range(6) for k in range(4)])
    frame["role"] = np.array(["verb", "noun", "other"])[y]
    csv(folder, frame)
    (folder / "mine.py").write_text(
        text("""
        import math

        import torch
        from torch import nn


        class Attention(nn.Module):
            def __init__(self, tokens, size, width, outputs):
                super().__init__()
                self.size = size
                self.embed = nn.Linear(size, width)
                self.query = nn.Linear(width, width)
                self.key = nn.Linear(width, width)
                self.value = nn.Linear(width, width)
                self.norm = nn.LayerNorm(width)
                self.inner = nn.Linear(width, 2 * width)
                self.outer = nn.Linear(2 * width, width)
                self.head = nn.Linear(tokens * width, outputs)

            def forward(self, x):
                h = self.embed(x.reshape(x.shape[0], -1, self.size))                   # [N, tokens, width]
                scores = self.query(h) @ self.key(h).transpose(1, 2) / math.sqrt(h.shape[-1])
                h = h + torch.softmax(scores, dim=-1) @ self.value(h)
                h = h + self.outer(torch.relu(self.inner(self.norm(h))))
                return self.head(h.flatten(1))


        def build(input_shape, outputs, width=64):
            return Attention(input_shape[0] // 4, 4, width, outputs)
        """)
    )
    (folder / "study.yaml").write_text(
        text("""
        name: sound_attention
        data: {source: data.csv, target: role}
        net: mine:build
        search: {trials: 8, metric: accuracy}
        params: {epochs: 30, width: [128, 64], lr: {low: 1e-4, high: 1e-2, log: true}}
        """)
    )


@case("sound", "focal loss on three honest classes of 65, 22 and 13 %, with its gamma as a range")
def sound_focal(folder):
    rng = np.random.default_rng(217)
    centres = np.array([[0, 0, 0, 0, 0], [2.4, -2, 2, 0, 0.5], [-2, -2, 0, 2.4, -0.5]])
    y = rng.permutation(np.repeat([0, 1, 2], [195, 66, 39]))
    frame = table(centres[y] + rng.normal(size=(300, 5)), ["p", "q", "r", "s", "t"])
    frame["defect"] = np.array(["none", "scratch", "dent"])[y]
    csv(folder, frame)
    (folder / "study.yaml").write_text(
        text("""
        name: sound_focal
        data: {source: data.csv, target: defect}
        search: {trials: 8, metric: balanced_accuracy}
        params:
          epochs: 30
          width: [64, 128]
          loss: focal
          focal_gamma: {low: 0.5, high: 3}
          lr: {low: 1e-4, high: 1e-2, log: true}
        """)
    )


@case(
    "sound", "Huber loss against noise with heavy, symmetric tails; skewed but honest inputs, scaled by quantiles"
)
def sound_huber(folder):
    rng = np.random.default_rng(218)
    z = rng.normal(size=(300, 4))
    y = 3 * z[:, 0] - 2 * z[:, 1] + 1.5 * z[:, 2] + 0.6 * rng.standard_t(3, size=300)
    frame = table(np.exp(0.8 * z), ["traffic", "delay", "length", "width"])
    frame["fuel"] = np.round(60 + 5 * y, 3)
    csv(folder, frame)
    (folder / "study.yaml").write_text(
        text("""
        name: sound_huber
        data: {source: data.csv, target: fuel, task: regression}
        search: {trials: 8, metric: mae}
        params: {epochs: 30, width: [64, 128], loss: huber, scaling: quantile, lr: {low: 1e-4,
            high: 1e-2, log: true}}
        """)
    )


@case(
    "sound",
    "ranges and conditions; the class is inside or outside of an ellipse, which no single feature and no "
    "line tells; one feature is of no use",
)
def sound_conditions(folder):
    rng = np.random.default_rng(219)
    x = rng.uniform(-2, 2, size=(300, 3))
    inside = x[:, 0] ** 2 + 1.2 * x[:, 1] ** 2 + 0.1 * rng.normal(size=300) < 2.1
    frame = table(x, ["east", "north", "useless"])
    frame["zone"] = np.where(inside, "inside", "outside")
    csv(folder, frame)
    (folder / "study.yaml").write_text(
        text("""
        name: sound_conditions
        data: {source: data.csv, target: zone}
        search: {trials: 16, block: 4, metric: log_loss}
        params:
          epochs: 40
          width: [128, 64, 256]
          optimizer: [adam, adamw]
          weight_decay: {low: 1e-5, high: 1e-1, log: true, when: {optimizer: adamw}}
          schedule: [constant, cosine]
          dropout: {low: 0, high: 0.3}
          lr: {low: 1e-4, high: 1e-2, log: true}
        """)
    )


@case(
    "sound",
    "the ready-made space recipe on numbers and words together, the country code NA among them; classes of "
    "57, 28 and 15 %",
)
def sound_recipe_space(folder):
    rng = np.random.default_rng(220)
    n = 300
    x = rng.normal(size=(n, 4))
    country, plan, channel = rng.integers(0, 5, n), rng.integers(0, 3, n), rng.integers(0, 2, n)
    z = (
        1.6 * x[:, 0]
        + 1.5 * x[:, 1]
        - 1.4 * x[:, 2]
        + np.array([-1.2, -0.5, 0, 0.5, 1.2])[country]
        + np.array([-1.5, 0, 1.5])[plan]
        + 0.6 * channel
        + 0.4 * rng.normal(size=n)
    )
    rank = np.argsort(np.argsort(z))
    frame = table(x, ["usage", "tenure", "calls", "spend"])
    frame["country"] = np.array(["NA", "DE", "FR", "ZA", "BR"])[country]
    frame["plan"] = np.array(["basic", "plus", "pro"])[plan]
    frame["channel"] = np.array(["web", "shop"])[channel]
    frame["status"] = np.select([rank < 171, rank < 255], ["stays", "wavers"], "leaves")
    csv(folder, frame)
    (folder / "study.yaml").write_text(
        text("""
        name: sound_recipe_space
        data: {source: data.csv, target: status, categorical: [country, plan, channel]}
        search: {trials: 8, metric: balanced_accuracy, space: recipe}
        params: {epochs: 40}
        """)
    )


def main(out):
    out = Path(out)
    expected = []
    for name, kind, only, why, function in CASES:
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        function(folder)
        expected.append({"case": name, "kind": kind, "folder": name, "only": only, "why": why})
    (out / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")
    faults = sum(e["kind"] == "fault" for e in expected)
    print(f"{faults} faults, {len(expected) - faults} sound, in {out}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
