"""Trials a minute, end to end: Ray Tune with reused actors, a plain PyTorch loop in two processes, hpsearch.

    .venv/bin/python benchmarks/throughput.py --space one-shape
    .venv/bin/python benchmarks/throughput.py --space digits

All arms train the same drawn params on the same arrays, with one thread a process and two processes at work,
and evaluate in full after each epoch. Each arm is a fresh process, timed from its start to its end, imports and
Ray's start included. The arms take turns; the next round goes through them backwards.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
WORKERS = 2

ONE_SHAPE = """
name: one-shape
data: {source: "sklearn:digits"}
search: {trials: %d, metric: accuracy}
params:
  epochs: 30
  batch_size: 64
  width: 128
  depth: 2
  norm: none
  optimizer: adamw
  lr: {low: 3e-4, high: 1e-2, log: true}
  weight_decay: {low: 1e-5, high: 1e-1, log: true}
  schedule: [constant, cosine]
  dropout: {low: 0, high: 0.5}
  label_smoothing: {low: 0, high: 0.2}
"""


def study_file(space: str, trials: int, folder: Path) -> Path:
    import yaml

    if space == "digits":
        study = yaml.safe_load((HERE.parent / "studies" / "digits.yaml").read_text())
        study["search"]["trials"] = trials
        text = yaml.safe_dump(study)  # 3e-4 is a word to this reader, and written as it was
    else:
        text = ONE_SHAPE % trials
    path = folder / "study.yaml"
    path.write_text(text)
    return path


# --- the arms: each reads `work.json` in its folder and writes `result.json`, accuracies in the trials' order ---


def arm_loop(folder: Path, work: dict[str, Any]) -> list[float]:
    """Two processes take one trial after another from a queue."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(WORKERS, initializer=_start_loop, initargs=(work["data"],)) as pool:
        return pool.map(_one_trial, list(enumerate(work["params"])), chunksize=1)


def _start_loop(data: str) -> None:
    global DATA
    import plain
    import torch

    torch.set_num_threads(1)
    DATA = plain.load(data)


def _one_trial(task: tuple[int, dict[str, Any]]) -> float:
    import plain

    return plain.train(task[1], DATA, seed=task[0])


def arm_tune(folder: Path, work: dict[str, Any]) -> list[float]:
    """Ray Tune as its pages show it: a result an epoch, Tune's own loggers."""
    return _tune(folder, work, results_each_epoch=True)


def arm_tune_spared(folder: Path, work: dict[str, Any]) -> list[float]:
    """The same, spared what costs it time: one result a trial, no loggers. It keeps no curves."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    return _tune(folder, work, results_each_epoch=False)


def _tune(folder: Path, work: dict[str, Any], results_each_epoch: bool) -> list[float]:
    """OptunaSearch is given the drawn params to evaluate; actors are reused, and trials staged ahead."""
    os.environ |= {"RAY_AIR_NEW_OUTPUT": "0", "TUNE_MAX_PENDING_TRIALS_PG": "16", "PYTHONPATH": str(HERE)}
    import optuna
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

    class Trial(tune.Trainable):
        def setup(self, config: dict[str, Any], data: str) -> None:
            import plain
            import torch

            torch.set_num_threads(1)
            self.data = plain.load(data)
            self.start(config)

        def start(self, config: dict[str, Any]) -> None:
            import plain

            self.number = config["params"]["trial"]
            self.params = work["params"][self.number]
            self.epochs = plain.epochs(self.params, self.data, seed=self.number)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.start(new_config)
            return True

        def step(self) -> dict[str, Any]:
            if not results_each_epoch:
                return {"accuracy": max(self.epochs), "trial": self.number, "done": True}
            done = self.iteration + 1 == self.params["epochs"]
            return {"accuracy": next(self.epochs), "trial": self.number, "done": done}

    choices = {name: sorted({p[name] for p in work["params"]}, key=str) for name in work["params"][0]}
    space = {"params": {name: tune.choice(values) for name, values in choices.items()}}
    space["params"]["trial"] = tune.choice(list(range(len(work["params"]))))
    points = [{"params": {**p, "trial": n}} for n, p in enumerate(work["params"])]
    random = optuna.samplers.RandomSampler()
    searcher = OptunaSearch(metric="accuracy", mode="max", points_to_evaluate=_flat(points), sampler=random)
    best: dict[int, float] = {}

    class Collect(tune.Callback):
        def on_trial_result(
            self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **_: Any
        ) -> None:
            best[result["trial"]] = max(best.get(result["trial"], 0.0), result["accuracy"])

    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(Trial, data=work["data"]), {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(search_alg=searcher, num_samples=len(points), reuse_actors=True),
        run_config=tune.RunConfig(
            storage_path=str(folder / "tune"),
            verbose=0,
            callbacks=[Collect()],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    tuner.fit()
    ray.shutdown()
    return [best[n] for n in range(len(points))]


def _flat(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{f"params/{name}": value for name, value in point["params"].items()} for point in points]


def arm_hpsearch(folder: Path, work: dict[str, Any]) -> list[float]:
    """The search of `hpsearch launch`: draw, probe, pack, train as Ray Tune trials, ledger, rows on disk."""
    from hpsearch import pipeline
    from hpsearch.folder import Folder
    from hpsearch.prepare import prepare
    from hpsearch.search.cluster import cluster
    from hpsearch.search.progress import Quiet

    prepared = prepare(Path(work["study"]))
    with cluster(WORKERS):
        rows = pipeline.search(Folder(folder / "run"), prepared, WORKERS, None, Quiet())
    return [row["value"] for row in rows]


ARMS = {"tune": arm_tune, "tune-spared": arm_tune_spared, "loop": arm_loop, "hpsearch": arm_hpsearch}


# --- the comparison ---------------------------------------------------------------------------------------------


def prepare(space: str, trials: int, folder: Path) -> dict[str, Any]:
    from hpsearch import prepare as preparing

    study = study_file(space, trials, folder)
    prepared = preparing.prepare(study)
    arrays = prepared.arrays
    np.savez(
        folder / "data.npz",
        x_train=arrays.train.x, y_train=arrays.train.y,
        x_validation=arrays.validation.x, y_validation=arrays.validation.y,
    )  # fmt: skip
    params = [prepared.params(n) for n in range(trials)]
    return {"study": str(study), "data": str(folder / "data.npz"), "params": params}


def measure(arm: str, work: dict[str, Any]) -> dict[str, Any]:
    """Runs an arm in a process of its own; seconds, peak memory of its process tree, accuracies."""
    import psutil

    with tempfile.TemporaryDirectory(prefix=f"bench-{arm}-") as name:
        folder = Path(name)
        (folder / "work.json").write_text(json.dumps(work))
        began = time.monotonic()
        process = subprocess.Popen([sys.executable, __file__, "--arm", arm, "--folder", name])
        peak, stop = [0], threading.Event()

        def watch() -> None:
            while not stop.wait(0.5):
                try:
                    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                    peak[0] = max(peak[0], sum(p.memory_info().rss - p.memory_info().shared for p in tree))
                except psutil.Error:
                    continue

        thread = threading.Thread(target=watch)
        thread.start()
        code = process.wait()
        took = time.monotonic() - began
        stop.set()
        thread.join()
        if code != 0:
            raise SystemExit(f"the arm {arm} failed with status {code}")
        accuracy = json.loads((folder / "result.json").read_text())
    print(
        f"{arm:11} {took:7.1f} s  {60 * len(accuracy) / took:7.1f} trials/min  {peak[0] / 2**20:6.0f} MiB",
        flush=True,
    )
    return {"seconds": took, "peak": peak[0], "accuracy": accuracy}


def paired(ours: list[float], theirs: list[float]) -> str:
    difference = np.array(ours) - np.array(theirs)
    half = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
    return f"{difference.mean():+.4f} (95 % {difference.mean() - half:+.4f} to {difference.mean() + half:+.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", choices=["one-shape", "digits"], default="one-shape")
    parser.add_argument("--trials", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--arm", choices=list(ARMS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        work = json.loads((options.folder / "work.json").read_text())
        (options.folder / "result.json").write_text(json.dumps(ARMS[options.arm](options.folder, work)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        work = prepare(options.space, options.trials, Path(name))
        results: dict[str, list[dict[str, Any]]] = {arm: [] for arm in options.arms}
        for number in range(options.rounds):
            print(f"{options.space}, {options.trials} trials, round {number + 1}", flush=True)
            for arm in options.arms if number % 2 == 0 else reversed(options.arms):
                results[arm].append(measure(arm, work))
    if "hpsearch" not in results:
        return
    ours = results["hpsearch"]
    for arm in options.arms:
        if arm != "hpsearch":
            ratios = [t["seconds"] / o["seconds"] for t, o in zip(results[arm], ours, strict=True)]
            mean = [np.mean([r["accuracy"] for r in runs], axis=0).tolist() for runs in (ours, results[arm])]
            text = ", ".join(f"{r:.2f}" for r in ratios)
            print(
                f"hpsearch against {arm}: {text} times the trials a minute; accuracy {paired(*mean)}", flush=True
            )


if __name__ == "__main__":
    main()
