"""A training function of one's own, for own_training.yaml: any library, here scikit-learn."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier


def load():
    x, y = load_digits(return_X_y=True)
    x = x / 16
    ends = {"train": (0, 1000), "validation": (1000, 1400), "test": (1400, 1797)}
    return {name: (x[start:end], y[start:end]) for name, (start, end) in ends.items()}


def train(params, trial):
    parts, best = load(), 0.0
    net = MLPClassifier([64] * params["layers"], learning_rate_init=params["lr"], random_state=trial.number)
    for epoch in range(1, params["epochs"] + 1):
        net.partial_fit(*parts["train"], classes=np.arange(10))
        accuracy = net.score(*parts["validation"])
        trial.report(value=accuracy, step=epoch)  # the study's metric; the best one counts
        if accuracy > best:  # the predictions of the best step, for the ensemble
            best = accuracy
            trial.save_predictions(*(net.predict_proba(parts[name][0]) for name in ("validation", "test")))
        if trial.should_stop():  # somebody stopped the study: come back soon
            return
