"""What the checks find of planted faults, what they say of sound studies, and what two checkers of nets find.

    .venv/bin/pip install -c constraints.txt neural-net-checklist torchtest     # peers, which else replace torch
    .venv/bin/python benchmarks/checks.py --data DIR
    .venv/bin/python benchmarks/checks.py --unseen third
    .venv/bin/python benchmarks/checks.py --seeds 10

The faults are those of tests/recipe/broken_studies.py, each with the check that is to find it, and with all checks
for what else they say. Sound are the shipped studies and, with DIR, the tables of a folder a set (data.csv,
meta.json): whatever fails there is told, and is a false alarm unless it is true. With `--seeds`, the catalogues of
tests/recipe are drawn again from other seeds, and finds and false alarms are counted by check.

The peers look at nets alone, so they are shown the nets of the catalogue on its data: neural_net_checklist's
`assert_all_for_classification_cross_entropy_loss`, torchtest's `test_suite` (weights that do not change, NaN,
infinity; not its range of outputs, which the sound net leaves). An exception is a find.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

TESTS = Path(__file__).parents[1] / "tests" / "recipe"
sys.path.insert(0, str(TESTS))

from broken_studies import FAULTS, MISSED, Fault, blobs, write  # noqa: E402
from sound_studies import SOUND  # noqa: E402

from hpsearch.errors import UserError  # noqa: E402
from hpsearch.prepare import prepare  # noqa: E402
from hpsearch.recipe.check import run  # noqa: E402
from hpsearch.recipe.verdict import Finding  # noqa: E402

FOUND = ("warn", "fail")
_SPEC = importlib.util.spec_from_file_location("nets_for_peers", TESTS / "broken_nets.py")  # a name of its own
assert _SPEC is not None and _SPEC.loader is not None
NETS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(NETS)
Peer = Callable[[Callable[[], torch.nn.Module], torch.Tensor, torch.Tensor], None]


def checklist(factory: Callable[[], torch.nn.Module], x: torch.Tensor, y: torch.Tensor) -> None:
    from neural_net_checklist import torch_diagnostics

    torch_diagnostics.assert_all_for_classification_cross_entropy_loss(factory, (x, y), num_classes=3)


def torchtest(factory: Callable[[], torch.nn.Module], x: torch.Tensor, y: torch.Tensor) -> None:
    from torchtest import torchtest as suite

    net = factory()
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=3e-4)
    suite.test_suite(
        net, torch.nn.functional.cross_entropy, optimizer, [x, y], test_vars_change=True,
        test_nan_vals=True, test_inf_vals=True,
    )  # fmt: skip


ACCEPTED = {  # of tables: true findings, counted in the source
    "kc1": {
        "D2.leakage": "897 of the 2,109 rows repeat another one whole: modules of equal measures",
        "D2.conflicts": "20 rows more repeat another's measures with the other label",
    },
    "concrete": {"D2.leakage": "25 of the 1,030 rows repeat another one whole: mixtures that were tested again"},
}
PEERS: dict[str, Peer] = {"neural_net_checklist": checklist, "torchtest": torchtest}


def of_peer(peer: Peer, name: str) -> str:
    """found, missed, or why it cannot be told."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = prepare(write(Fault("sound", "", blobs), Path(folder))).dataset
    x, y = torch.from_numpy(dataset.train.x.copy()), torch.from_numpy(dataset.train.y.copy())

    def factory() -> torch.nn.Module:
        net: torch.nn.Module = getattr(NETS, name)(tuple(x.shape[1:]), 3)
        return net

    torch.manual_seed(0)
    np.random.seed(0)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            peer(factory, x, y)
        except ImportError:
            return "not installed"
        except Exception as error:
            return f"found ({type(error).__name__})"
    return "missed"


def ours(fault: Fault, only: Sequence[str] = (), seed: int = 0) -> dict[str, Finding]:
    with tempfile.TemporaryDirectory() as folder:
        return run(prepare(write(fault, Path(folder), seed)), only)


def at_seeds(seeds: Sequence[int]) -> None:
    """How often faults are found, and sound studies fail or are warned of, by check."""
    for fault in FAULTS:
        found = [ours(fault, [fault.finds], seed)[fault.finds].verdict in FOUND for seed in seeds]
        print(f"{fault.name}: {fault.finds} in {sum(found)} of {len(seeds)}", flush=True)
    alarms: dict[str, Counter[str]] = {word: Counter() for word in FOUND}
    for one in SOUND:
        for seed in seeds:
            for name, finding in ours(one, (), seed).items():
                if finding.verdict in FOUND:
                    alarms[finding.verdict][name] += 1
                if finding.verdict == "fail":
                    print(f"{one.name}, seed {seed}: {name} fails: {finding.measured}", flush=True)
    for word, names in alarms.items():
        told = ", ".join(f"{name} {count}" for name, count in names.most_common())
        print(f"{len(SOUND)} sound studies, {len(seeds)} seeds each: {word}: {told or 'none'}")


def catalogue() -> None:
    sound = {name: of_peer(peer, "Sound") for name, peer in PEERS.items()}
    print("the sound net: " + ", ".join(f"{name} {told}" for name, told in sound.items()))
    caught = 0
    peers = dict.fromkeys(PEERS, 0)
    for fault in FAULTS:
        found = ours(fault)
        others = [name for name, finding in found.items() if finding.verdict in FOUND and name != fault.finds]
        caught += found[fault.finds].verdict in FOUND
        told = []
        for name, peer in PEERS.items():
            answer = of_peer(peer, fault.net) if fault.net else "looks at nets alone"
            peers[name] += answer.startswith("found")
            told.append(f"{name}: {answer}")
        print(
            f"{fault.name}: {fault.finds} {found[fault.finds].verdict}; also {', '.join(others) or 'none'}; "
            f"{'; '.join(told)}",
            flush=True,
        )
    print(f"caught {caught} of {len(FAULTS)}; " + ", ".join(f"{name} {count}" for name, count in peers.items()))
    for name, why in MISSED.items():
        print(f"missed: {name}: {why}")


def unseen(name: str) -> None:
    """A catalogue that was written from the docs alone."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, str(TESTS / f"{name}_catalogue.py"), folder], check=True, stdout=sys.stderr
        )
        for case in json.loads((Path(folder) / "expected.json").read_text()):
            try:
                found = run(prepare(Path(folder) / Path(case["folder"]).name / "study.yaml"))
            except UserError as error:
                print(f"{case['kind']} {case['case']}: refused: {error}", flush=True)
                continue
            told = {word: [name for name, f in found.items() if f.verdict == word] for word in FOUND}
            hit = [name for name in case["only"] if found[name].verdict in FOUND]
            print(
                f"{case['kind']} {case['case']}: wanted {', '.join(case['only']) or 'no failure'}, found "
                f"{', '.join(hit) or 'none of them'}; fail {told['fail']}, warn {told['warn']}",
                flush=True,
            )


def sound(data: Path | None) -> None:
    studies = sorted((Path(__file__).parents[1] / "studies").glob("*.yaml"))
    with tempfile.TemporaryDirectory() as folder:
        for place in sorted(data.iterdir()) if data is not None else ():
            if (place / "meta.json").exists():
                studies.append(_of_table(place, Path(folder)))
        for path in studies:
            try:
                found = run(prepare(path))
            except UserError as error:
                print(f"{path.stem}: not here: {error}")
                continue
            known = ACCEPTED.get(path.stem, {})
            words = {
                n: f.verdict if n not in known else f"{f.verdict} (true: {known[n]})" for n, f in found.items()
            }
            told = [f"{n} {words[n]}: {f.measured}" for n, f in found.items() if f.verdict in FOUND]
            count = Counter("true" if n in known and f.verdict in FOUND else f.verdict for n, f in found.items())
            print(
                f"{path.stem}: {count['fail']} fail, {count['true']} true, {count['warn']} warn", *told,
                sep="\n    ", flush=True,
            )  # fmt: skip


def _of_table(place: Path, folder: Path) -> Path:
    meta = json.loads((place / "meta.json").read_text())
    data: dict[str, Any] = {"source": str((place / "data.csv").resolve()), "target": meta["target"]}
    data |= {"task": meta["task"], "categorical": meta["categorical"]}
    path = folder / f"{place.name}.yaml"
    path.write_text(yaml.safe_dump({"name": place.name, "data": data, "search": {"space": "recipe"}}))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument(
        "--unseen", choices=("second", "third"), help="score a catalogue written from the docs alone"
    )
    parser.add_argument("--seeds", type=int, default=0, help="draw the catalogues again from so many seeds")
    options = parser.parse_args()
    if options.seeds:
        at_seeds(range(1, options.seeds + 1))
        return
    if options.unseen:
        unseen(options.unseen)
        return
    catalogue()
    sound(options.data)


if __name__ == "__main__":
    main()
