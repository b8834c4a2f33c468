"""Thirty studies for `hpsearch check`: ten with a fault, twenty sound ones. Needs numpy and pandas only.

    .venv/bin/python tests/recipe/third_catalogue.py OUT

Written from the docs alone, after the checks had been mended by what the second catalogue showed (docs/log.md).
"""

import json
import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd

CASES = []


def case(kind, why, only=()):
    """Enter a function, which writes a study into the folder that it is given, into the catalogue."""

    def enter(function):
        CASES.append((function, kind, why, list(only)))
        return function

    return enter


def write(folder, study, table=None, arrays=None, **modules):
    """Write study.yaml, data.csv or data.npz, and modules by their names."""
    (folder / "study.yaml").write_text(f"name: {folder.name}\n" + dedent(study).lstrip("\n"))
    if table is not None:
        table.to_csv(folder / "data.csv", index=False)
    if arrays is not None:
        x, y = arrays
        np.savez(folder / "data.npz", x=x, y=y)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(dedent(text).lstrip("\n"))


def clusters(rng, labels, centres, spread=1.0):
    """Points around the centre of each label, normally distributed."""
    return centres[labels] + spread * rng.normal(size=(len(labels), centres.shape[1]))


def balanced(rng, rows, classes):
    """Labels of about equal numbers, in random order."""
    return rng.permutation(np.arange(rows) % classes)


def pick(rng, words, rows, shares=None):
    """Words, drawn with their shares."""
    return rng.choice(np.array(words, dtype=object), rows, p=shares)


def named(x, names, digits=3):
    """A table of numbers with the names of its columns in one string."""
    return pd.DataFrame(np.round(x, digits), columns=names.split())


# Faults in the data


@case(
    "fault",
    "tariff_score is a logistic curve of the very consumption that is to be predicted.",
    ["D1.leakage"],
)
def fault_leak_under_a_curve(folder):
    rng = np.random.default_rng(101)
    rows = 300
    area = rng.uniform(30, 180, rows)
    people = rng.integers(1, 6, rows)
    age = rng.uniform(0, 90, rows)
    outside = rng.normal(9, 2, rows)
    use = 900 + 24 * area + 140 * people + 6 * age - 45 * outside + rng.normal(0, 300, rows)
    table = named(np.column_stack([area, age, outside]), "area house_age outside_temperature", 1)
    table.insert(1, "people", people)
    table["tariff_score"] = np.round(1000 / (1 + np.exp(-(use - 3800) / 1100)), 1)
    table["consumption"] = np.round(use, 1)
    study = """
    data:
      source: data.csv
      target: consumption
      task: regression
    search: {trials: 16, metric: rmse}
    params:
      epochs: 40
      batch_size: 32
      width: [32, 64]
      lr: {low: 5e-4, high: 1e-2, log: true}
    """
    write(folder, study, table)


@case(
    "fault",
    "Churn of the newest customers is not known yet and stands as stayed, so the latest part has other classes.",
    ["D1.drift"],
)
def fault_labels_not_ripe(folder):
    rng = np.random.default_rng(102)
    rows = 300
    day = np.sort(rng.choice(np.arange(100, 1100), rows, replace=False))
    x = rng.normal(size=(rows, 5))
    left = 2.2 * x[:, 0] - 1.8 * x[:, 1] + 1.2 * x[:, 2] + 0.6 * rng.normal(size=rows) > 0
    known = (np.arange(rows) < 240) | (rng.random(rows) < 0.08)
    table = named(x * [12, 3, 0.8, 20, 5] + [45, 9, 2, 60, 15], "minutes calls complaints mails discount", 2)
    table.insert(0, "signup_day", day)
    table["state"] = np.where(left & known, "left", "stayed")
    study = """
    data:
      source: data.csv
      target: state
      split: {time: signup_day, validation: 0.2, test: 0.2}
    search: {trials: 16, metric: log_loss}
    params:
      epochs: 40
      batch_size: 32
      width: [32, 64]
      lr: {low: 5e-4, high: 1e-2, log: true}
    """
    write(folder, study, table)


@case(
    "fault",
    "A third of the patients were registered twice, so a split by patient puts equal rows into several parts.",
    ["D2.leakage"],
)
def fault_patients_registered_twice(folder):
    rng = np.random.default_rng(103)
    people, visits = 45, 5
    rows = people * visits
    person = np.repeat(np.arange(people), visits)
    own = rng.normal(0, 0.5, (people, 5))
    x = own[person] + rng.normal(size=(rows, 5))
    ill = 1.8 * x[:, 0] + 1.5 * x[:, 1] - 1.2 * x[:, 2] + 0.6 * rng.normal(size=rows) > 0
    table = named(x * [14, 9, 0.4, 3, 11] + [128, 80, 5.4, 26, 70], "systolic diastolic glucose bmi pulse", 2)
    table["diagnosis"] = np.where(ill, "ill", "well")
    codes = rng.permutation(np.arange(200, 200 + 2 * people))
    table.insert(0, "patient", [f"P{codes[i]}" for i in person])
    again = table[person < 15].copy()
    again["patient"] = [f"P{codes[people + i]}" for i in person[person < 15]]
    table = pd.concat([table, again]).sample(frac=1, random_state=103)
    study = """
    data:
      source: data.csv
      target: diagnosis
      split: {group: patient, validation: 0.2, test: 0.2}
    search: {trials: 16, metric: auroc}
    params:
      epochs: 40
      batch_size: 32
      width: [32, 64]
      dropout: {low: 0, high: 0.3}
      lr: {low: 5e-4, high: 1e-2, log: true}
    """
    write(folder, study, table)


@case(
    "fault",
    "A quarter of the rows of one class, barley, carry the label of another one, oats.",
    ["D2.labels"],
)
def fault_one_class_mislabelled(folder):
    rng = np.random.default_rng(104)
    rows = 300
    truth = balanced(rng, rows, 3)
    centres = np.array([[2.5, 0, 2, 0, 1], [0, 2.5, 0, 2, -1], [-2, -1, 2, -2, 0]], dtype=float)
    x = clusters(rng, truth, centres, 0.8)
    label = np.array(["barley", "oats", "rye"], dtype=object)[truth]
    wrong = rng.permutation(np.flatnonzero(truth == 0))[:25]
    label[wrong] = "oats"
    table = named(x * [0.6, 0.3, 1.1, 4, 2] + [7, 3, 12, 50, 21], "length breadth mass hue gloss")
    table["grain"] = label
    study = """
    data:
      source: data.csv
      target: grain
    search: {trials: 16, metric: accuracy}
    params:
      epochs: 40
      batch_size: 32
      width: [32, 64]
      lr: {low: 5e-4, high: 1e-2, log: true}
    """
    write(folder, study, table)


# Faults in the training


@case(
    "fault",
    "The net's fixed random frequencies come from a generator of numpy's without a seed.",
    ["R1"],
)
def fault_frequencies_without_a_seed(folder):
    rng = np.random.default_rng(105)
    rows = 300
    label = balanced(rng, rows, 3)
    x = clusters(rng, label, np.array([[2, 0, 0, 1], [0, 2, 0, -1], [-1, -1, 2, 0]], dtype=float), 0.9)
    table = named(x * [3, 1, 10, 0.5] + [20, 4, 100, 2], "north east depth speed")
    table["sound"] = np.array(["ship", "whale", "wind"])[label]
    study = """
    data:
      source: data.csv
      target: sound
    net: fourier_net:build
    search: {trials: 16, metric: log_loss}
    params:
      epochs: 40
      batch_size: 32
      width: [32, 64]
      lr: {low: 5e-4, high: 1e-2, log: true}
    """
    net = """
    import math

    import numpy as np
    import torch
    from torch import nn


    class Waves(nn.Module):
        def __init__(self, inputs, waves):
            super().__init__()
            frequencies = np.random.default_rng().normal(0, 0.5, (inputs, waves))
            self.register_buffer("frequencies", torch.tensor(frequencies, dtype=torch.float32))

        def forward(self, x):
            angle = x.flatten(1) @ self.frequencies
            return torch.cat([angle.sin(), angle.cos()], 1)


    def build(input_shape, outputs, width=32):
        waves = Waves(math.prod(input_shape), width)
        return nn.Sequential(waves, nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, outputs))
    """
    write(folder, study, table, fourier_net=net)


@case(
    "fault",
    "train() keeps the batch norms in evaluation, as fine-tuning has it, though nothing is pretrained.",
    ["R3.norms"],
)
def fault_norms_held_from_the_start(folder):
    rng = np.random.default_rng(106)
    rows = 300
    label = balanced(rng, rows, 4)
    x = clusters(rng, label, rng.normal(0, 1.6, (4, 6)), 0.9)
    table = named(x * 2 + [5, 8, 1, 0, 30, 12], "a1 a2 a3 b1 b2 b3")
    table["rock"] = np.array(["basalt", "chalk", "gneiss", "slate"])[label]
    study = """
    data:
      source: data.csv
      target: rock
    net: held_net:build
    search: {trials: 16, metric: accuracy}
    params:
      epochs: 40
      batch_size: 32
      width: [32, 64]
      lr: {low: 5e-4, high: 1e-2, log: true}
    """
    net = """
    import math

    from torch import nn


    class Net(nn.Module):
        def __init__(self, inputs, outputs, width):
            super().__init__()
            self.body = nn.Sequential(
                nn.Flatten(),
                nn.Linear(inputs, width),
                nn.BatchNorm1d(width),
                nn.ReLU(),
                nn.Linear(width, width),
                nn.BatchNorm1d(width),
                nn.ReLU(),
            )
            self.head = nn.Linear(width, outputs)

        def train(self, mode=True):
            super().train(mode)
            for module in self.modules():
                if isinstance(module, nn.BatchNorm1d):
                    module.eval()
            return self

        def forward(self, x):
            return self.head(self.body(x))


    def build(input_shape, outputs, width=32):
        return Net(math.prod(input_shape), outputs, width)
    """
    write(folder, study, table, held_net=net)


@case(
    "fault",
    "The last bias has the shares of the classes with the most common first, but the classes go by their names.",
    ["R5"],
)
def fault_prior_in_another_order(folder):
    rng = np.random.default_rng(107)
    label = rng.permutation(np.repeat([0, 1, 2], [30, 60, 210]))
    centres = np.array([[2, 1, 0, -1, 0.5], [0, -1.5, 1.5, 1, 0], [-0.5, 0.5, -0.5, 0, 0]])
    x = clusters(rng, label, centres, 0.9)
    table = named(x * [1, 0.2, 5, 8, 3] + [10, 1, 40, 75, 22], "torque play noise heat speed")
    table["state"] = np.array(["broken", "dull", "works"])[label]
    study = """
    data:
      source: data.csv
      target: state
    net: prior_net:build
    search: {trials: 16, metric: log_loss}
    params:
      epochs: 40
      batch_size: 32
      width: [32, 64]
      lr: {low: 5e-4, high: 1e-2, log: true}
    """
    net = """
    import math

    import torch
    from torch import nn

    SHARES = [0.7, 0.2, 0.1]  # as value_counts() prints them


    def build(input_shape, outputs, width=32):
        head = nn.Linear(width, outputs)
        nn.init.normal_(head.weight, std=0.01)
        with torch.no_grad():
            head.bias.copy_(torch.tensor(SHARES).log())
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), width), nn.ReLU(), head)
    """
    write(folder, study, table, prior_net=net)


@case(
    "fault",
    "In training alone the mean over the batch enters every example's hidden units.",
    ["R12"],
)
def fault_batch_as_context(folder):
    rng = np.random.default_rng(108)
    rows = 300
    label = balanced(rng, rows, 3)
    x = clusters(rng, label, rng.normal(0, 1.5, (3, 12)), 1.0).astype("float32")
    study = """
    data:
      source: data.npz
    net: context_net:build
    search: {trials: 16, metric: log_loss}
    params:
      epochs: 40
      batch_size: 32
      width: [32, 64]
      lr: {low: 5e-4, high: 1e-2, log: true}
    """
    net = """
    import math

    from torch import nn
    from torch.nn import functional


    class Net(nn.Module):
        def __init__(self, inputs, outputs, width):
            super().__init__()
            self.first = nn.Linear(inputs, width)
            self.context = nn.Linear(width, width)
            self.head = nn.Linear(width, outputs)

        def forward(self, x):
            hidden = functional.gelu(self.first(x.flatten(1)))
            if self.training:  # a single row has no neighbours when the net is used
                hidden = hidden + self.context(hidden.mean(0, keepdim=True))
            return self.head(hidden)


    def build(input_shape, outputs, width=32):
        return Net(math.prod(input_shape), outputs, width)
    """
    write(folder, study, arrays=(x, label), context_net=net)


@case(
    "fault",
    "SGD is searched at the rates at which one fine-tunes with AdamW, far too low for the few epochs.",
    ["O2"],
)
def fault_rates_of_another_optimizer(folder):
    rng = np.random.default_rng(109)
    rows = 300
    x = rng.normal(size=(rows, 6))
    y = 3 * x[:, 0] - 2 * x[:, 1] + 1.5 * np.abs(x[:, 2]) + x[:, 3] + 0.5 * rng.normal(size=rows)
    table = named(x * [4, 10, 2, 1, 6, 30] + [20, 55, 8, 3, 17, 400], "clay water ph salt slope height")
    table["harvest"] = np.round(42 + 2.5 * y, 2)
    study = """
    data:
      source: data.csv
      target: harvest
      task: regression
    search: {trials: 16, metric: rmse}
    params:
      epochs: 20
      batch_size: 32
      width: [32, 64]
      optimizer: sgd
      momentum: 0.9
      lr: {low: 1e-6, high: 3e-5, log: true}
      weight_decay: {low: 1e-6, high: 1e-3, log: true}
    """
    write(folder, study, table)


@case(
    "fault",
    "The net takes its scaled pixels times 255, as its older code did, and its tanh units stand at their ends.",
    ["G13.saturated"],
)
def fault_pixels_scaled_back(folder):
    rng = np.random.default_rng(110)
    rows = 300
    label = balanced(rng, rows, 3)
    places = np.stack(np.meshgrid(np.arange(8), np.arange(8), indexing="ij"))
    middles = np.array([[2, 2], [2, 5], [5, 3]])[label] + rng.normal(0, 0.4, (rows, 2))
    far = ((places[None] - middles[:, :, None, None]) ** 2).sum(1)
    x = 200 * np.exp(-far / 4) + rng.normal(25, 8, (rows, 8, 8))
    x = np.clip(x, 0, 255).astype("uint8")
    study = """
    data:
      source: data.npz
    net: pixel_net:build
    search: {trials: 16, metric: accuracy}
    params:
      epochs: 40
      batch_size: 32
      width: [64, 128]
      lr: {low: 5e-4, high: 1e-2, log: true}
    """
    net = """
    import math

    from torch import nn


    class Pixels(nn.Module):
        def forward(self, x):
            return x.flatten(1) * 255.0


    def build(input_shape, outputs, width=64):
        inputs = math.prod(input_shape)
        return nn.Sequential(Pixels(), nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, outputs))
    """
    write(folder, study, arrays=(x, label), pixel_net=net)


# Sound tables


@case("sound", "Sixty rows of four numbers in two classes that lie well apart, the plain baseline.")
def sound_tiny(folder):
    rng = np.random.default_rng(201)
    label = balanced(rng, 60, 2)
    x = clusters(rng, label, np.array([[1, 1, 0.8, 0], [-1, -1, -0.8, 0]], dtype=float), 0.9)
    table = named(x * [0.5, 0.3, 1.2, 0.4] + [5, 3, 4, 1.3], "sepal stem leaf seed", 2)
    table["plant"] = np.array(["dwarf", "tall"])[label]
    study = """
    data:
      source: data.csv
      target: plant
    search: {trials: 8, metric: log_loss, space: baseline}
    params:
      epochs: 100
      batch_size: 8
    """
    write(folder, study, table)


@case("sound", "Twelve classes of 25 rows each around their own means, the ready-made recipe.")
def sound_twelve_classes(folder):
    rng = np.random.default_rng(202)
    label = balanced(rng, 300, 12)
    x = clusters(rng, label, rng.normal(0, 2, (12, 8)), 0.7)
    table = named(x * 3 + 10, "c1 c2 c3 c4 c5 c6 c7 c8")
    table["vowel"] = [f"v{i:02d}" for i in label]
    study = """
    data:
      source: data.csv
      target: vowel
    search: {trials: 32, metric: accuracy, space: recipe}
    params:
      epochs: 60
      batch_size: [16, 32]
    """
    write(folder, study, table)


@case(
    "sound", "An eighth of the rows are positive and clearly shifted; class weights and focal loss are searched."
)
def sound_rare_positives(folder):
    rng = np.random.default_rng(203)
    label = rng.permutation(np.repeat([0, 1], [262, 38]))
    centres = np.array([[0, 0, 0, 0, 0, 0], [1.9, -1.7, 1.6, 0.3, 0, 0]], dtype=float)
    x = clusters(rng, label, centres)
    scales, starts = [2, 1, 5, 30, 0.1, 8], [12, 4, 33, 210, 1, 50]
    table = named(x * scales + starts, "amount pace gap balance rate age")
    table["fraud"] = np.where(label == 1, "yes", "no")
    study = """
    data:
      source: data.csv
      target: fraud
    search: {trials: 24, metric: balanced_accuracy}
    params:
      epochs: 60
      batch_size: 32
      width: [32, 64]
      depth: [1, 2]
      loss: [cross_entropy, focal]
      focal_gamma: {low: 0.5, high: 3, when: {loss: focal}}
      class_weights: {low: 0, high: 1}
      lr: {low: 5e-4, high: 5e-3, log: true}
    """
    write(folder, study, table)


@case("sound", "Prices with a long tail that follow from size, place and age; Huber loss and quantiles are tried.")
def sound_skewed_prices(folder):
    rng = np.random.default_rng(204)
    rows = 300
    size = rng.normal(size=rows)
    place = pick(rng, ["centre", "edge", "village"], rows, [0.3, 0.4, 0.3])
    age = rng.uniform(0, 100, rows)
    effect = pd.Series(place).map({"centre": 0.5, "edge": 0, "village": -0.5}).to_numpy()
    price = np.exp(12 + 0.6 * size + effect - 0.005 * (age - 50) + rng.normal(0, 0.12, rows))
    table = pd.DataFrame(
        {
            "square_metres": np.round(80 * np.exp(0.35 * size), 1),
            "place": place,
            "age": np.round(age, 1),
            "floor_noise": np.round(rng.gamma(3, 2, rows), 2),
            "price": np.round(price, 0),
        }
    )
    study = """
    data:
      source: data.csv
      target: price
      task: regression
    search: {trials: 24, metric: mae}
    params:
      epochs: 80
      batch_size: 16
      width: [64, 128]
      scaling: [standard, quantile]
      loss: [squared, huber]
      huber_delta: {low: 0.3, high: 2, when: {loss: huber}}
      schedule: [constant, cosine]
      lr: {low: 5e-4, high: 1e-2, log: true}
    """
    write(folder, study, table)


@case("sound", "Tasters' marks, whole numbers from 3 to 9, that are predicted as values; half of them is noise.")
def sound_marks_as_values(folder):
    rng = np.random.default_rng(205)
    rows = 300
    x = rng.normal(size=(rows, 7))
    mark = 5.9 + 0.7 * x[:, 0] - 0.6 * x[:, 1] + 0.4 * x[:, 2] + 0.7 * rng.normal(size=rows)
    scales, starts = [1, 0.2, 0.1, 1.5, 0.02, 10, 0.15], [10.5, 0.6, 0.4, 3, 0.09, 40, 3.3]
    table = named(x * scales + starts, "alcohol acid citric sugar chlorides sulphur ph", 3)
    table["mark"] = np.clip(np.round(mark), 3, 9).astype(int)
    study = """
    data:
      source: data.csv
      target: mark
      task: regression
    search: {trials: 16, metric: mae}
    params:
      epochs: 40
      batch_size: 32
      width: [32, 64]
      dropout: {low: 0, high: 0.4}
      weight_decay: {low: 1e-6, high: 1e-2, log: true}
      lr: {low: 3e-4, high: 5e-3, log: true}
    """
    write(folder, study, table)


@case("sound", "Air pressure in pascal, a small spread on a large offset, SGD, and simulated rows as extra data.")
def sound_pressure_with_simulation(folder):
    rng = np.random.default_rng(206)

    def weather(rows, noise):
        x = rng.normal(size=(rows, 4))
        pressure = 101325 + 220 * x[:, 0] - 160 * x[:, 1] + 90 * x[:, 0] * x[:, 2]
        pressure = pressure + noise * rng.normal(size=rows)
        table = named(x * [6, 40, 11, 2] + [287.5, 1250, 70, 8], "kelvin altitude humidity wind", 2)
        table["pascal"] = np.round(pressure, 1)
        return table

    measured, simulated = weather(240, 60), weather(60, 20)
    simulated.to_csv(folder / "simulated.csv", index=False)
    study = """
    data:
      source: data.csv
      target: pascal
      task: regression
      extra: simulated.csv
    search: {trials: 16, metric: rmse}
    params:
      epochs: 60
      batch_size: 16
      width: [32, 64]
      extra_weight: {low: 0, high: 1}
      optimizer: sgd
      momentum: 0.9
      clip: 5
      lr: {low: 3e-3, high: 3e-2, log: true}
      schedule: [constant, step]
      lr_drops: {value: 2, when: {schedule: step}}
    """
    write(folder, study, measured)


@case("sound", "Seven columns of words without a number, of which three decide the class in nine rows of ten.")
def sound_only_words(folder):
    rng = np.random.default_rng(207)
    rows = 300
    table = pd.DataFrame(
        {
            "cap": pick(rng, ["bell", "cone", "flat", "knob"], rows, [0.2, 0.3, 0.3, 0.2]),
            "colour": pick(rng, ["brown", "grey", "red", "white", "yellow"], rows),
            "smell": pick(rng, ["almond", "fish", "none", "pungent"], rows, [0.2, 0.25, 0.3, 0.25]),
            "gills": pick(rng, ["broad", "narrow", "none"], rows, [0.4, 0.4, 0.2]),
            "ring": pick(rng, ["double", "none", "single"], rows, [0.25, 0.35, 0.4]),
            "habitat": pick(rng, ["field", "path", "town", "wood"], rows, [0.3, 0.2, 0.2, 0.3]),
            "season": pick(rng, ["autumn", "spring", "summer"], rows),
        }
    )
    points = table["smell"].map({"almond": -2, "none": -1, "fish": 1.5, "pungent": 2})
    points = points + table["colour"].map({"brown": -1, "grey": -0.5, "white": 0, "yellow": 0.5, "red": 1})
    points = points + table["ring"].map({"double": 1, "none": 0, "single": -1})
    poison = (points > 0).to_numpy() ^ (rng.random(rows) < 0.08)
    table["kind"] = np.where(poison, "poisonous", "edible")
    study = """
    data:
      source: data.csv
      target: kind
    search: {trials: 24, metric: log_loss, space: recipe}
    params:
      epochs: 60
      batch_size: 32
    """
    write(folder, study, table)


@case("sound", "Numbers and words of which up to a third are missing at random, in two spellings.")
def sound_missing_values(folder):
    rng = np.random.default_rng(208)
    rows = 300
    label = balanced(rng, rows, 3)
    x = clusters(rng, label, np.array([[2, 0, 1, 0, 1], [0, 2, -1, 1, 0], [-1.5, -1.5, 0, -1, 1]], dtype=float))
    table = named(x * [5, 2, 11, 0.3, 7] + [50, 9, 120, 1, 24], "iron zinc ferritin crp bmi", 2)
    usual = np.array(["fever", "cough", "none"], dtype=object)[label]
    table["symptom"] = np.where(rng.random(rows) < 0.6, usual, pick(rng, ["fever", "cough", "none"], rows))
    table["ward"] = pick(rng, ["east", "north", "west"], rows)
    shares = {"iron": 0.1, "ferritin": 0.3, "crp": 0.2, "symptom": 0.15, "ward": 0.1}
    for column, share in shares.items():
        table[column] = table[column].astype(object)
        lost = rng.random(rows) < share
        table.loc[lost, column] = np.where(rng.random(lost.sum()) < 0.5, "NA", "")
    table["type"] = np.array(["A", "B", "C"])[label]
    study = """
    data:
      source: data.csv
      target: type
      missing: ["", NA]
    search: {trials: 24, metric: accuracy}
    params:
      epochs: 60
      batch_size: 32
      width: [32, 64]
      optimizer: [adam, adamw]
      weight_decay: {low: 1e-4, high: 1e-1, log: true, when: {optimizer: adamw}}
      average: [none, ema]
      average_span: {low: 0.05, high: 0.3, when: {average: ema}}
      lr: {low: 5e-4, high: 1e-2, log: true}
    """
    write(folder, study, table)


@case("sound", "Whole numbers that are counts, batch norm, binary loss with mixup, Nesterov and one cycle.")
def sound_counts(folder):
    rng = np.random.default_rng(209)
    label = balanced(rng, 300, 4)
    rates = np.array(
        [
            [12, 3, 6, 2, 9, 5, 20],
            [4, 10, 6, 5, 3, 5, 20],
            [6, 4, 15, 9, 6, 5, 12],
            [3, 3, 4, 2, 14, 9, 30],
        ]
    )
    table = named(rng.poisson(rates[label]), "ants bees flies moths bugs mites other")
    table["meadow"] = np.array(["dry", "grazed", "moist", "mown"])[label]
    study = """
    data:
      source: data.csv
      target: meadow
    search: {trials: 16, metric: log_loss}
    params:
      epochs: 60
      batch_size: 32
      width: [32, 64]
      norm: batch
      loss: binary
      mixup: {low: 0, high: 0.3}
      label_smoothing: {low: 0, high: 0.1}
      optimizer: nesterov
      momentum: 0.9
      lr: {low: 5e-3, high: 5e-2, log: true}
      schedule: [constant, one_cycle]
    """
    write(folder, study, table)


@case(
    "sound", "Sales of fifteen shops, split by shop, with the date as a number of days, words and an id dropped."
)
def sound_shops_and_days(folder):
    rng = np.random.default_rng(210)
    shops, visits = 15, 20
    rows = shops * visits
    shop = np.repeat(np.arange(shops), visits)
    day = rng.integers(18000, 19100, rows)
    offer = pick(rng, ["half", "none", "small"], rows, [0.25, 0.5, 0.25])
    warm = rng.normal(12, 7, rows)
    effect = pd.Series(offer).map({"half": 9, "none": 0, "small": 4}).to_numpy()
    sales = 40 + 0.02 * (day - 18550) + effect + 0.8 * (warm - 12)
    sales = sales + rng.normal(0, 1.5, shops)[shop] + rng.normal(0, 3, rows)
    table = pd.DataFrame(
        {
            "receipt": [f"r{i}" for i in rng.permutation(np.arange(5000, 5000 + rows))],
            "shop": [f"shop {i + 1}" for i in shop],
            "day": day,
            "weekday": day % 7,
            "offer": offer,
            "temperature": np.round(warm, 1),
            "sales": np.round(sales, 2),
        }
    ).sample(frac=1, random_state=210)
    study = """
    data:
      source: data.csv
      target: sales
      task: regression
      categorical: [weekday]
      drop: [receipt]
      split: {group: shop, validation: 0.2, test: 0.2, seed: 1}
    search: {trials: 16, metric: r2}
    params:
      epochs: 60
      batch_size: 16
      width: [32, 64, 128]
      pieces: [0, 8]
      activation: [relu, silu]
      lr: {low: 5e-4, high: 1e-2, log: true}
    """
    write(folder, study, table)


@case("sound", "A split by time of loads that grow slowly, with class shares that hardly change over time.")
def sound_split_by_time(folder):
    rng = np.random.default_rng(211)
    rows = 280
    hour = np.sort(rng.choice(np.arange(9000), rows, replace=False))
    x = rng.normal(size=(rows, 6))
    x[:, 3] += 0.6 * hour / 9000
    high = 1.8 * x[:, 0] + 1.4 * x[:, 1] - 1.2 * x[:, 2] + 0.7 * rng.normal(size=rows) > 0
    table = named(x * [5, 9, 2, 30, 1, 4] + [18, 60, 7, 400, 3, 12], "heat humidity wind load price lag", 2)
    table.insert(0, "hour", hour)
    table["peak"] = high
    study = """
    data:
      source: data.csv
      target: peak
      split: {time: hour, validation: 0.2, test: 0.2}
    search: {trials: 16, metric: auroc}
    params:
      epochs: 60
      batch_size: 32
      width: [32, 64]
      patience: 20
      average: [none, swa]
      average_span: {low: 0.1, high: 0.5, when: {average: swa}}
      schedule: [constant, cyclic]
      cycles: {choices: [2, 4], when: {schedule: cyclic}}
      lr: {low: 5e-4, high: 1e-2, log: true}
    """
    write(folder, study, table)


@case("sound", "A laboratory marker that honestly tells the tumour in 19 of 20 rows, parts named in a column.")
def sound_strong_marker(folder):
    rng = np.random.default_rng(212)
    rows = 300
    label = balanced(rng, rows, 2)
    centres = np.array([[-1.65, -0.6, 0.4, 0, 0], [1.65, 0.6, -0.4, 0, 0]])
    x = clusters(rng, label, centres)
    table = named(x * [2, 8, 3, 11, 5] + [9, 60, 14, 130, 27], "marker age albumin pressure bmi", 2)
    table["part"] = rng.permutation(np.repeat(["train", "validation", "test"], [180, 60, 60]))
    table["tumour"] = np.array(["benign", "malign"])[label]
    study = """
    data:
      source: data.csv
      target: tumour
      split: {column: part}
    search: {trials: 16, metric: accuracy}
    human: {score: 0.97}
    params:
      epochs: 40
      batch_size: 32
      width: [16, 32]
      lr: {low: 3e-4, high: 5e-3, log: true}
    """
    write(folder, study, table)


@case("sound", "Fourteen columns of words and two numbers to a salary, categories as learned vectors.")
def sound_many_words_few_numbers(folder):
    rng = np.random.default_rng(213)
    rows = 300
    years = rng.uniform(0, 30, rows)
    level = pick(rng, ["head", "junior", "lead", "senior"], rows, [0.15, 0.35, 0.2, 0.3])
    branch = pick(rng, ["bank", "care", "shop", "tech"], rows)
    salary = 30 + 0.6 * years
    salary = salary + pd.Series(level).map({"junior": 0, "senior": 8, "lead": 14, "head": 22}).to_numpy()
    salary = salary + pd.Series(branch).map({"care": 0, "shop": 1, "bank": 9, "tech": 11}).to_numpy()
    table = pd.DataFrame({"years": np.round(years, 1), "level": level, "branch": branch})
    table["commute"] = np.round(rng.gamma(2, 12, rows), 1)
    for number in range(12):
        words = [f"{letter}{number}" for letter in "abcdefg"[: 2 + number % 6]]
        table[f"answer_{number + 1}"] = pick(rng, words, rows)
    table["salary"] = np.round(salary + rng.normal(0, 3, rows), 2)
    study = """
    data:
      source: data.csv
      target: salary
      task: regression
    search: {trials: 16, metric: rmse}
    params:
      epochs: 80
      batch_size: 16
      width: [64, 128]
      embedding: [4, 8]
      dropout: {low: 0, high: 0.3}
      swap_noise: {low: 0, high: 0.1}
      lr: {low: 5e-4, high: 1e-2, log: true}
    """
    write(folder, study, table)


@case("sound", "Answers that chance decides in a fifth of the rows, as the world has it; the ready-made cocktail.")
def sound_honest_noise(folder):
    rng = np.random.default_rng(214)
    rows = 300
    x = rng.normal(size=(rows, 6))
    odds = 1.9 * x[:, 0] - 1.6 * x[:, 1] + 1.1 * x[:, 2]
    bought = rng.random(rows) < 1 / (1 + np.exp(-odds))
    scales, starts = [9, 3, 20, 1, 5, 2], [40, 7, 90, 4, 30, 6]
    table = named(x * scales + starts, "age visits spend items minutes pages", 2)
    table["bought"] = np.where(bought, "yes", "no")
    study = """
    data:
      source: data.csv
      target: bought
    search: {trials: 24, metric: log_loss, space: cocktail}
    params:
      epochs: 50
      batch_size: 32
    """
    write(folder, study, table)


# Sound images and arrays, and nets of one's own


@case("sound", "Four bright shapes on 8x8 grey pictures, a small ResNet and the ready-made augmentation.")
def sound_grey_shapes(folder):
    rng = np.random.default_rng(215)
    rows = 300
    label = balanced(rng, rows, 4)
    x = rng.normal(40, 12, (rows, 8, 8))
    for i, kind in enumerate(label):
        row, column = rng.integers(1, 3, 2)
        shape = np.zeros((5, 5))
        if kind == 0:
            shape[1:3] = 1
        elif kind == 1:
            shape[:, 1:3] = 1
        elif kind == 2:
            shape[2] = shape[:, 2] = 1
        else:
            shape[:] = 1
            shape[1:4, 1:4] = 0
        x[i, row : row + 5, column : column + 5] += rng.uniform(110, 180) * shape
    x = np.clip(x, 0, 255).astype("uint8")
    study = """
    data:
      source: data.npz
    net: resnet
    search: {trials: 16, metric: accuracy, space: augment}
    params:
      epochs: 30
      batch_size: 16
      width: 16
      lr: {low: 1e-3, high: 1e-2, log: true}
    """
    write(folder, study, arrays=(x, label))


@case("sound", "Colour pictures of 16x16, stripes of three directions, a small convolutional net with batch norm.")
def sound_colour_stripes(folder):
    rng = np.random.default_rng(216)
    rows = 270
    label = balanced(rng, rows, 3)
    down, along = np.meshgrid(np.arange(16), np.arange(16), indexing="ij")
    tints = np.array([[0.62, 0.45, 0.45], [0.45, 0.62, 0.45], [0.45, 0.45, 0.62]])
    x = np.empty((rows, 3, 16, 16), dtype="float32")
    for i, kind in enumerate(label):
        place = (down, along, (down + along) / 1.4)[kind]
        wave = np.sin(2 * np.pi * place / rng.uniform(4, 5) + rng.uniform(0, 2 * np.pi))
        tint = tints[kind] + rng.normal(0, 0.08, 3)
        x[i] = tint[:, None, None] + 0.2 * wave + rng.normal(0, 0.08, (3, 16, 16))
    study = """
    data:
      source: data.npz
    net: stripe_net:build
    search: {trials: 16, metric: accuracy}
    params:
      epochs: 30
      batch_size: 32
      width: [12, 16]
      dropout: {low: 0, high: 0.4, column: true}
      flip: [0, 0.5]
      shift: {low: 0, high: 0.1}
      lr: {low: 5e-4, high: 1e-2, log: true}
    """
    net = """
    from torch import nn


    def build(input_shape, outputs, width=12, dropout=0.1):
        return nn.Sequential(
            nn.Conv2d(input_shape[0], width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, outputs),
        )
    """
    write(folder, study, arrays=(x, label), stripe_net=net)


@case("sound", "Movements of twelve steps and three channels, rising, falling or bent, read by an LSTM.")
def sound_lstm(folder):
    rng = np.random.default_rng(217)
    rows = 300
    label = balanced(rng, rows, 3)
    time = np.linspace(-1, 1, 12)
    curves = np.stack([time, -time, 1 - 2 * time**2])
    x = rng.normal(0, 0.5, (rows, 12, 3))
    x[:, :, 0] += 1.5 * curves[label] * rng.uniform(0.7, 1.3, (rows, 1))
    x[:, :, 1] += np.cumsum(curves[label], 1) * rng.uniform(0.2, 0.4, (rows, 1))
    x[:, :, 2] += rng.normal(0, 0.5, (rows, 1))
    study = """
    data:
      source: data.npz
    net: step_net:build
    search: {trials: 16, metric: log_loss}
    params:
      epochs: 50
      batch_size: 16
      width: [32, 48]
      clip: 1
      lr: {low: 1e-3, high: 1e-2, log: true}
    """
    net = """
    from torch import nn


    class Net(nn.Module):
        def __init__(self, channels, outputs, width):
            super().__init__()
            self.channels = channels
            self.lstm = nn.LSTM(channels, width, batch_first=True)
            self.head = nn.Linear(width, outputs)

        def forward(self, x):
            states, _ = self.lstm(x.reshape(x.shape[0], -1, self.channels))
            return self.head(states.mean(1))


    def build(input_shape, outputs, width=32):
        return Net(3, outputs, width)
    """
    write(folder, study, arrays=(x.reshape(rows, 36).astype("float32"), label), step_net=net)


@case("sound", "Eight marks in any order, two of which tell the class, attention with layer norm and dropout.")
def sound_attention(folder):
    rng = np.random.default_rng(218)
    rows = 300
    label = balanced(rng, rows, 3)
    x = rng.normal(0, 0.7, (rows, 8, 4))
    for i, kind in enumerate(label):
        x[i, rng.permutation(8)[:2], kind] += 3
    study = """
    data:
      source: data.npz
    net: mark_net:build
    search: {trials: 16, metric: log_loss}
    params:
      epochs: 50
      batch_size: 16
      width: [32, 64]
      dropout: {low: 0, high: 0.2, column: true}
      optimizer: adamw
      weight_decay: {low: 1e-3, high: 1e-1, log: true}
      warmup: 0.1
      schedule: [constant, cosine]
      lr: {low: 5e-4, high: 5e-3, log: true}
    """
    net = """
    from torch import nn


    class Net(nn.Module):
        def __init__(self, outputs, width, dropout):
            super().__init__()
            self.enter = nn.Linear(4, width)
            self.norm = nn.LayerNorm(width)
            self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
            self.last_norm = nn.LayerNorm(width)
            self.feed = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout))
            self.head = nn.Linear(width, outputs)

        def forward(self, x):
            marks = self.enter(x.reshape(x.shape[0], -1, 4))
            normed = self.norm(marks)
            marks = marks + self.attention(normed, normed, normed, need_weights=False)[0]
            marks = marks + self.feed(self.last_norm(marks))
            return self.head(marks.mean(1))


    def build(input_shape, outputs, width=32, dropout=0.1):
        return Net(outputs, width, dropout)
    """
    write(folder, study, arrays=(x.reshape(rows, 32).astype("float32"), label), mark_net=net)


@case("sound", "A smooth function of eight numbers with little noise, a net whose layers all have weight norm.")
def sound_weight_norm(folder):
    rng = np.random.default_rng(219)
    rows = 300
    x = rng.random((rows, 8))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    y = y + rng.normal(0, 0.8, rows)
    study = """
    data:
      source: data.npz
      task: regression
    net: normed_net:build
    search: {trials: 16, metric: r2}
    params:
      epochs: 60
      batch_size: 16
      width: [32, 64]
      depth: {low: 1, high: 2}
      lr: {low: 1e-3, high: 1e-2, log: true}
    """
    net = """
    import itertools
    import math

    from torch import nn
    from torch.nn.utils.parametrizations import weight_norm


    def build(input_shape, outputs, width=32, depth=1):
        sizes = [math.prod(input_shape)] + [width] * depth
        layers = [nn.Flatten()]
        for inputs, units in itertools.pairwise(sizes):
            layers += [weight_norm(nn.Linear(inputs, units)), nn.ELU()]
        return nn.Sequential(*layers, weight_norm(nn.Linear(width, outputs)))
    """
    write(folder, study, arrays=(x.astype("float32"), y.astype("float32")), normed_net=net)


@case("sound", "Who of two players wins: one encoder for both, its block used twice, parts from a loader.")
def sound_two_players(folder):
    rng = np.random.default_rng(220)
    rows = 300
    x = rng.normal(size=(rows, 2, 5))
    strength = x @ np.array([1.6, 1.2, -1, 0.5, 0])
    label = (strength[:, 0] - strength[:, 1] + 0.6 * rng.normal(size=rows) > 0).astype(int)
    study = """
    data:
      source: duels:load
    net: duel_net:build
    search: {trials: 16, metric: accuracy}
    params:
      epochs: 50
      batch_size: 16
      width: [32, 64]
      dropout: {low: 0, high: 0.3}
      lr: {low: 5e-4, high: 1e-2, log: true}
    """
    loader = """
    from pathlib import Path

    import numpy as np


    def load():
        with np.load(Path(__file__).with_name("data.npz")) as data:
            x, y = data["x"], data["y"]
        ends = {"train": (0, 180), "validation": (180, 240), "test": (240, 300)}
        return {part: (x[start:end], y[start:end]) for part, (start, end) in ends.items()}
    """
    net = """
    from torch import nn
    from torch.nn import functional


    class Net(nn.Module):
        def __init__(self, inputs, outputs, width):
            super().__init__()
            self.enter = nn.Linear(inputs // 2, width)
            self.block = nn.Linear(width, width)
            self.drop = nn.Dropout(0.0)
            self.head = nn.Linear(width, outputs)

        def player(self, x):
            hidden = functional.gelu(self.enter(x))
            for _ in range(2):
                hidden = hidden + functional.gelu(self.block(hidden))
            return hidden

        def forward(self, x):
            one, other = x.flatten(1).chunk(2, 1)
            return self.head(self.drop(self.player(one) - self.player(other)))


    def build(input_shape, outputs, width=32):
        return Net(input_shape[0], outputs, width)
    """
    write(folder, study, arrays=(x.reshape(rows, 10).astype("float32"), label), duels=loader, duel_net=net)


def main(out):
    """Write every case, and what is expected of it."""
    out = Path(out)
    expected = []
    for function, kind, why, only in CASES:
        name = function.__name__
        (out / name).mkdir(parents=True, exist_ok=True)
        function(out / name)
        expected.append({"case": name, "kind": kind, "folder": name, "only": only, "why": why})
    (out / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    kinds = [entry["kind"] for entry in expected]
    print(f"{kinds.count('fault')} faults, {kinds.count('sound')} sound studies")


if __name__ == "__main__":
    main(sys.argv[1])
