"""The model card: what is known of an export beside its files, and README.md made from it."""

import html
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jinja2

from hpsearch.data import date_formats
from hpsearch.data.cycles import DAY
from hpsearch.data.dataset import Target
from hpsearch.data.preprocess import ArraySchema, Category, Column, Date, Schema, TableSchema
from hpsearch.data.ranges import Range
from hpsearch.export.parsing import parsing, type_of
from hpsearch.export.preprocessing import input_names, missing_word

_TITLES = {"ensemble": "an ensemble of nets", "student": "a student net", "best": "the best single net"}
CHOSE = "Validation rows chose the nets, so their figures flatter."
_FOLDED = "the best trial, a net for each of its folds"
_MOST_COLUMNS, _MOST_WORDS, _MOST_LETTERS = 100, 12, 80  # of a README; manifest.json has them all
_MOST_RANGES = 16  # of features or channels


@dataclass(frozen=True)
class Card:
    """What an export says of itself.

    Attributes:
        what: ensemble, student or best.
        metrics: {"validation": {metric: value}, "test": {metric: value}}.
        members: one a net, in their order: {"trial": number, "kind": best | average | …, "epoch": number}.
        source: where the data came from, as the study names it.
        rows: examples in each part, {"train": n, "validation": n, "test": n}.
        missing: the words that mean "missing" in a CSV (`data.missing` of the study).
        predicts: the name of the target.
        temperature: of the probabilities; 1 where they are as the members give them.
        judged: what the validation figures are of.
    """

    study: str
    what: str
    metrics: Mapping[str, Mapping[str, float]]
    members: Sequence[Mapping[str, Any]]
    source: str
    rows: Mapping[str, int]
    missing: Sequence[str] = ("",)
    predicts: str = "the target"
    temperature: float = 1.0
    judged: str = CHOSE


def inputs(schema: Schema) -> list[dict[str, Any]]:
    """The graph's inputs for the manifest: name in the data, name in the graph, type, what means missing.

    `format` says how a column's texts are read as doubles, where they are no plain numbers.
    """
    names = input_names(schema)
    if isinstance(schema, ArraySchema):
        return [
            {
                "column": None,
                "input": names[0],
                "type": "float32",
                "shape": [None, *schema.shape],
                "missing": None,
                "training": {"dtype": schema.dtype, "ranges": [asdict(seen) for seen in schema.seen]},
            }
        ]
    return [
        {
            "column": column.name,
            "input": name,
            "type": "string" if isinstance(column, Category) else "double",
            "shape": [None, 1],
            "missing": missing_word(column) if isinstance(column, Category) else "NaN",
            "format": parsing(column),
            "training": _of_training(column),
        }
        for name, column in zip(names, schema.columns, strict=True)
    ]


def _of_training(column: Column) -> dict[str, Any] | None:
    """The range of a number; of a category how many it has, which preprocess.json names."""
    if not isinstance(column, Category):
        return None if column.seen is None else asdict(column.seen)
    return {"categories": len(column.categories)}


def plain(value: Any) -> str:
    """Text from anywhere as Markdown that shows just this text: no markup, no HTML, no second line."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))
    text = text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…"
    text = re.sub(r"([\\`*_\[\]|~#$])", r"\\\1", html.escape(text.strip(), quote=False))
    return text.replace("://", "&#58;//").replace("www.", "www&#46;") or "(empty)"


def readme(card: Card, schema: Schema, target: Target, weights: Sequence[float]) -> str:
    """The card as Markdown; every value in it has gone through `plain`."""
    entries = inputs(schema)
    columns = schema.columns if isinstance(schema, TableSchema) else ()
    seen = schema.seen if isinstance(schema, ArraySchema) else ()
    rows = [
        {**entry, "type": type_of(column), "training": _in_training(column)}
        for entry, column in zip(entries, columns, strict=False)
    ]
    forms = [c.format.name for c in columns if not isinstance(c, Category) and c.format is not None]
    members = [
        {**member, "weight": weight / sum(weights)} for member, weight in zip(card.members, weights, strict=True)
    ]
    return _TEMPLATE.render(
        card=card,
        title=_FOLDED if card.what == "best" and len(members) > 1 else _TITLES[card.what],
        target=target,
        classes=target.classes[:_MOST_COLUMNS],
        classes_left=max(0, len(target.classes) - _MOST_COLUMNS),
        columns=rows[:_MOST_COLUMNS],
        columns_left=max(0, len(rows) - _MOST_COLUMNS),
        shape=", ".join(map(str, entries[0]["shape"][1:])),
        ranges=[_range(seen) for seen in seen[:_MOST_RANGES]],
        ranges_left=max(0, len(seen) - _MOST_RANGES),
        axis="feature" if isinstance(schema, ArraySchema) and len(schema.shape) == 1 else "channel",
        times=[name for name in forms if name in date_formats.TITLES],
        written=[name for name in forms if name not in date_formats.TITLES],
        members=members,
        metrics=sorted({name for part in card.metrics.values() for name in part}),
    )


def _in_training(column: Column) -> str:
    if isinstance(column, Date) and column.format.name != "time":
        return _span(column)
    if not isinstance(column, Category):
        if column.seen is None:
            return f"mean {column.mean:.6g}, standard deviation {column.std:.4g}"
        return _range(column.seen)
    shown = ", ".join(column.categories[:_MOST_WORDS])
    left = len(column.categories) - _MOST_WORDS
    return f"{shown}, and {left} more" if left > 0 else shown


def _span(column: Date) -> str:
    """The range of dates as the card shows it, and their cycles."""
    ends = ""
    if column.seen is not None:
        ends = f"{date_formats.shown(column.seen.minimum)} to {date_formats.shown(column.seen.maximum)}, "
    cycles = f", in the cycles of {' and '.join(column.cycles)}" if column.cycles else ""
    mean = date_formats.shown(column.mean)
    return f"{ends}mean {mean}, standard deviation {column.std / DAY:.4g} days{cycles}"


def _range(seen: Range) -> str:
    """The range of a number as the card shows it."""
    if seen.span == 0:
        return f"{seen.minimum:.6g} alone"
    ends = f"{seen.minimum:.6g} to {seen.maximum:.6g}"
    return f"{ends}, mean {seen.mean:.6g}, standard deviation {seen.std:.4g}"


def _figure(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 else f"{value:.4g}"


_MARKDOWN = """\
# {{ card.study }}: {{ title }}

{% if target.classes -%}
Predicts {{ card.predicts }}, one of {{ target.classes | length }} classes, with a probability for each:
{% for name in classes %}
- {{ name }}
{%- endfor %}
{%- if classes_left %}
- and {{ classes_left }} more, listed in `manifest.json`
{%- endif %}
{%- else -%}
Predicts {{ card.predicts }}, a number. In training it had mean {{ target.mean | figure }} and
standard deviation {{ target.std | figure }}.
{%- endif %}

Made by hpsearch, which draws and trains nets at random and keeps the best by validation. The versions it was
made with are in `manifest.json`.

## Data

Source: {{ card.source }}. Rows:
{%- for part, count in card.rows.items() %} {{ count }} {{ part }}{{ "." if loop.last else "," }}{% endfor %}
The preprocessing was fitted on the training rows alone.

## Results

| metric |{% for part in card.metrics %} {{ part }} |{% endfor %}
|---|{% for part in card.metrics %}---|{% endfor %}
{% for name in metrics -%}
| {{ name }} |{% for part in card.metrics.values() %} {{ part.get(name) | figure }} |{% endfor %}
{% endfor %}
{{ card.judged }} Test rows chose nothing.

## Members

| trial | kind | epoch | weight |
|---|---|---|---|
{% for member in members -%}
| {{ member.trial }} | {{ member.kind }} | {{ member.epoch }} | {{ member.weight | figure }} |
{% endfor %}
## Input

{% if columns -%}
A table with these columns, in any order; others are ignored. Each is an input of shape
[N, 1] in `model.onnx`.

| column | input of model.onnx | type | missing | in training |
|---|---|---|---|---|
{% for entry in columns -%}
| {{ entry.column }} | {{ entry.input }} | {{ entry.type }} | {{ entry.missing }} | {{ entry.training }} |
{% endfor %}
{%- if columns_left %}
{{ columns_left }} more columns are listed in `manifest.json`.
{% endif %}
In a CSV these words mean "missing", and nothing else does:
{%- for word in card.missing %} {{ word }}{{ "." if loop.last else "," }}{% else %} none.{% endfor %}
{%- if written or times %}
Columns of text are read as numbers outside the graph, as `manifest.json` says under `format`: a percentage is the
number as it is written, 12.5 % is 12.5, and a date without a zone is of UTC.
{%- endif %}
A missing number counts as the training median; an unknown category counts as none of the known ones.
`hpsearch predict` reads a category by its value; the graph takes it as the table above spells it: a whole number
without `.0`, a boolean as `true` or `false`.
{%- else -%}
One array `x` of shape [N, {{ shape }}], float32, without NaN or infinity.
{%- if ranges %}

| {{ axis }} | in training |
|---|---|
{% for range in ranges -%}
| {{ loop.index0 }} | {{ range }} |
{% endfor %}
{%- if ranges_left %}
{{ ranges_left }} more are listed in `manifest.json`.
{% endif %}
{%- endif %}
{%- endif %}
`hpsearch predict` warns where inputs lie far outside these values.

## Use

From the command line, for {% if columns %}a CSV or Parquet file{% else %}an npz file that holds `x`{% endif %}:

```sh
hpsearch predict EXPORT INPUT --out FILE.csv
```

From Python:

```python
import hpsearch

predictions = hpsearch.load("export/").predict(X)
```

Either gives one row per input row: `prediction`
{%- if target.classes %}, `probability.<class>` for each class{% else %} in the units of the data{% endif %}
{%- if members | length > 1 %},
and `spread`, the members' disagreement (standard deviation){% endif %}.

With onnxruntime alone, in this folder:

```python
import json
{%- if written %}
import re
{%- endif %}

import onnxruntime
import {{ "pandas" if columns else "numpy" }}

manifest = json.load(open("manifest.json"))
{% if columns -%}
{% if written -%}
def number(text, how):  # (1,234) and -1,234 are negative
    digits = re.search(how["digits"], text)
    rest = text[: digits.start()] + text[digits.end() :]
    value = float(digits[0].translate(str.maketrans(how["decimal"], ".", how["thousands"])))
    return -value if re.search(how["negative"], rest) else value


{% endif -%}
{% if times -%}
def seconds(column, how):
    if how["name"] == "duration":  # 36:20 is hours and minutes
        column = column.str.replace(r"(^|[ +-])([0-9]+:[0-9]{2})$", r"\\1\\2:00", regex=True)
        return pandas.to_timedelta(column).dt.total_seconds()
    if how["name"] == "time":
        column = "1970-01-01 " + column
    if "short_year" in how:  # of two digits, those from 69 are of 1900
        full = column.str.replace(
            how["short_year"], lambda found: found[1] + ("19" if found[2] >= "69" else "20") + found[2], regex=True
        )
        column = column.where(column.str.contains("[0-9]{4}", na=True), full)
    dates = pandas.to_datetime(column, format="mixed", dayfirst=how["name"] == "day_first", utc=True)
    return (dates - pandas.Timestamp(0, tz="UTC")) / pandas.Timedelta("1s")


{% endif -%}
texts = {entry["column"]: str for entry in manifest["inputs"] if entry["type"] == "string" or entry["format"]}
table = pandas.read_csv("new.csv", dtype=texts, keep_default_na=False, na_values=manifest["missing"])
feeds = {}
for entry in manifest["inputs"]:
    column, how = table[entry["column"]], entry["format"]
    if entry["type"] == "string":
        column = column.astype(object).where(column.notna(), entry["missing"])
{%- if written %}
    elif how and "digits" in how:
        column = column.map(lambda text: number(text, how), na_action="ignore")
{%- endif %}
{%- if times %}
    elif how and "counts" in how:
        column = seconds(column, how)
{%- endif %}
    feeds[entry["input"]] = column.to_numpy(object if entry["type"] == "string" else float).reshape(-1, 1)
{% else -%}
feeds = {"x": numpy.load("new.npz")["x"].astype("float32")}
{% endif -%}
session = onnxruntime.InferenceSession("model.onnx")
names = [output.name for output in session.get_outputs()]
outputs = dict(zip(names, session.run(names, feeds)))
{%- if target.classes %}
classes = manifest["classes"]  # in the order of outputs["probability"]
{%- endif %}
```

`model.safetensors` has the members' own weights, as `member.<number>.<name in PyTorch>`, and `preprocess.json`
what the graph does to raw input.

## Limits

- It knows what its training rows showed: the figures above hold for rows drawn like them, and for no others.
{% if target.classes -%}
- A probability is a net's own opinion and no guarantee
{%- if card.temperature == 1 %}.{% else %}; it is calibrated on validation rows, by a temperature of
  {{ card.temperature | figure }} (Guo et al. 2017).{% endif %}
{% endif -%}
{% if members | length > 1 -%}
- The spread is small, too, where all members err alike.
{% endif -%}
- The graph alone checks nothing: infinity, for one, is refused by `hpsearch predict` only.
- No one has checked it for fairness, nor for inputs made to mislead it.
"""

_ENVIRONMENT = jinja2.Environment(finalize=plain, undefined=jinja2.StrictUndefined, trim_blocks=False)
_ENVIRONMENT.filters["figure"] = _figure
_TEMPLATE = _ENVIRONMENT.from_string(_MARKDOWN)
