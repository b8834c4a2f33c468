"""D1.spellings: categories that probably mean the same."""

import numpy as np

from hpsearch.data import lookalikes
from hpsearch.recipe.verdict import Finding, judged, skipped, some
from hpsearch.recipe.view import Feature, View

_NAMES = 0.5  # of the rows: a column with more words than this names rows, see D1.identifiers


def spellings(view: View) -> Finding:
    """D1.spellings: words of a column that differ only by case, blanks, punctuation or a number's spelling."""
    words = [feature for feature in view.features if not feature.is_number]
    if not words:
        return skipped("there are no categories")
    found = {feature.name: told for feature in words if (told := lookalikes.pairs(_counts(feature)))}
    shown = [f"{name}: {some(told, 2)}" for name, told in found.items()]
    return judged(
        False,
        bool(found),
        (some(shown, 3) or "none") + view.of,
        "no two categories of a column that look alike",
        "each spelling is a category of its own: where two mean the same, write them alike in the source",
    )


def _counts(feature: Feature) -> dict[str, int]:
    """Return the rows of each word, of a column in which words come again."""
    names, counts = np.unique(feature.values[~feature.missing].astype(str), return_counts=True)
    if len(names) > _NAMES * counts.sum():
        return {}
    return dict(zip(names.tolist(), counts.tolist(), strict=True))
