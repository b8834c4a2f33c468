"""A second person's labels."""

from pathlib import Path

import pandas as pd
import yaml
from broken_studies import Fault, blobs, write

from hpsearch.prepare import prepare
from hpsearch.recipe.bench import Bench
from hpsearch.recipe.human import paired_answers


def test_labels_with_gaps_keep_their_spelling(tmp_path: Path) -> None:
    """A blank made pandas read 1 as 1.0, and 01 as 1."""
    fault = Fault(
        "codes", "", lambda rng: blobs(rng, 60, 2).assign(y=lambda t: t.y.map({"one": "01", "two": "1"}))
    )
    path = write(fault, tmp_path)
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"human": {"labels": "second.csv"}}))
    second = pd.read_csv(tmp_path / "data.csv", dtype=str)[["y"]]
    second.iloc[::3] = None
    second.assign(row=range(len(second))).to_csv(tmp_path / "second.csv", index=False)
    ours, theirs = paired_answers(Bench(prepare(path)))
    assert len(ours) > 20
    assert ours.tolist() == theirs.tolist()
