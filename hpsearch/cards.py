"""docs/tricks.md, written from the tables of hyperparameters and the docstrings of what they set.

python -m hpsearch.cards > docs/tricks.md
"""

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from hpsearch.knobs import KNOBS, Knob, of_net
from hpsearch.nets import layers
from hpsearch.nets.front import Pieces, Quantile, Resize, Select
from hpsearch.nets.layers import Dropout, Skip, SpatialDropout
from hpsearch.nets.mlp import MLP
from hpsearch.nets.resnet import ResNet
from hpsearch.nets.tables import TableInput
from hpsearch.pack.examples import share_of
from hpsearch.pack.first import body_of, first_net
from hpsearch.tricks import augment, averaging, mixing, optimizers, schedules
from hpsearch.tricks import losses as losses_
from hpsearch.tricks.losses import LOSSES
from hpsearch.tricks.optimizers import OPTIMIZERS
from hpsearch.tricks.schedules import SCHEDULES, rates

_HEAD = """# The tricks, a card each

```
.venv/bin/hpsearch launch studies/digits.yaml --trials 8 --runs /tmp/runs
```

Every hyperparameter is a line under `params` of a study: a scalar is fixed, a list is a choice, a mapping is a
range ([study.md](study.md)). *Structural* ones are drawn once a block of trials, all others for each trial. A
parameter that acts only beside a choice (`focal_gamma` beside `loss: focal`) exists only there.

This page is written by `python -m hpsearch.cards` from the code, and a test holds it against the code.
"""

_RECIPE_HEAD = """G are the recipe's ways to regularize, T its tricks; `hpsearch space recipe` names them, too.
"""

_BEGIN_HEAD = """Nothing below has to be set: a study without `params` is the plain baseline, and
`search.space: recipe` draws from most of it. By hand, a few at a time:
"""
_BEGIN = (  # what one has, what to try first, usual values
    (
        "anything",
        "`lr`; `weight_decay` with `optimizer: adamw`; `dropout`",
        "1e-4 to 1e-2, log; 1e-5 to 0.1, log; 0 to 0.5",
    ),
    (
        "hundreds of rows",
        "`width`, `batch_size`; `dropout`; `mixup`; `average: ema`",
        "32 to 128; 16, 32; 0.1 to 0.5; 0.1, 0.2",
    ),
    (
        "thousands of rows of a table",
        "`scaling: quantile`; `pieces`; `norm`; `schedule: cosine`; `swap_noise`",
        "8, 16 pieces; batch, layer; 0.05 to 0.2",
    ),
    (
        "pictures",
        "`net: resnet`; `shift`, `flip`, `erasing`, `cutmix`",
        "0.1; 0.5 where a mirror image is one; 0.25; 1",
    ),
    (
        "rare classes",
        "a balanced `search.metric`; `class_weights`; `loss: focal`",
        "0.5, 1; `focal_gamma` 0.5 to 3",
    ),
    (
        "labels that are wrong now and then",
        "`label_smoothing`, `mixup`; of values `loss: huber`",
        "0.05, 0.1; 0.2; 1",
    ),
    (
        "time for longer runs",
        "`schedule: cyclic` or `one_cycle`; `average: swa`",
        "`cycles` 2 to 4; `average_span` 0.1 to 0.3",
    ),
)
_BESIDE = (  # what fights with what
    (
        "`norm: batch`, `dropout`",
        "batch norm meets other statistics in evaluation; group and layer norm do not mind",
    ),
    (
        "`flood`, `label_smoothing` or mixing",
        "these hold the loss above the level, and flooding then does nothing",
    ),
    ("`loss: focal`, `label_smoothing`, `mixup`", "each takes weight from what is sure; one is often enough"),
    ("`patience`, a schedule that ends low", "the gain comes at the end, and a short patience stops before it"),
)
_BESIDE_END = """The ready-made spaces draw some of these pairs all the same, since a search finds out what a
study can bear; `flood` they leave out where it cannot act.
"""

Card = Callable[..., Any] | str  # something with a docstring, or a text

# parameter → its cards: what it does, its range, what it costs, what it fights with, where it comes from
CARDS: dict[str, tuple[Card, ...]] = {
    "epochs": ("Passes over the training part. Schedules and spans are shares of a trial's own epochs.",),
    "batch_size": (
        "Examples a step; an epoch leaves out what fills no batch. Smaller ones regularize by their noise and "
        "cost more steps. Structural, so that the rows of a pack step together.",
    ),
    "width": (MLP, ResNet), "depth": (MLP, ResNet), "head": (ResNet,),
    "norm": (layers.batch_norm, layers.group_norm, layers.layer_norm),
    "activation": (
        "The nonlinearity: ReLU first; leaky for dead units; GELU and SiLU are smooth and cost a little.",
    ),
    "skip": (Skip,), "dropout": (Dropout,), "spatial_dropout": (SpatialDropout,), "prior_bias": (first_net,),
    "frozen_epochs": (body_of,), "extra_weight": (losses_.of_extra,),
    "optimizer": tuple(OPTIMIZERS.values()), "lr": ("The learning rate: 1e-5 to 1e-1, on a log scale.",),
    "momentum": (optimizers.sgd, optimizers.nesterov), "weight_decay": (optimizers.adamw,),
    "clip": (optimizers.clip_,),
    "schedule": tuple(SCHEDULES.values()), "warmup": (rates,), "cycles": (schedules.cyclic,),
    "lr_min": (schedules.cosine, schedules.one_cycle, schedules.step, schedules.cyclic),
    "lr_drops": (schedules.step,), "lr_decay": (schedules.step,),
    "average": (averaging.ema, averaging.swa), "average_span": (averaging.ema, averaging.swa),
    "patience": (
        "Early stopping: a trial ends when its validation metric has not been better for so many epochs; 0 is "
        "never. The best epoch's weights are kept in any case, so it saves time and changes no result that was "
        "found before. With a schedule that ends low, a short patience stops before the gain; a cyclic one stops "
        "at the end of a cycle alone.",
    ),
    "loss": tuple(loss for losses in LOSSES.values() for loss in losses.values()),
    "focal_gamma": (losses_.focal,), "huber_delta": (losses_.huber,),
    "label_smoothing": (losses_.cross_entropy,),
    "class_weights": (losses_.class_weight,), "flood": (losses_.flooded,),
    "features": (Select,), "scaling": (Quantile,), "pieces": (Pieces,), "image_size": (Resize,),
    "image_start": (augment.grown,), "train_share": (share_of,),
    **dict.fromkeys(("embedding", "periodic", "periodic_scale"), (TableInput,)),
    **dict.fromkeys(("shift", "flip", "rotation", "scale"), (augment.moved,)), "erasing": (augment.erased,),
    **dict.fromkeys(("brightness", "contrast"), (augment.lit,)), "noise": (augment.noisy,),
    "swap_noise": (augment.swapped,), "mixup": (mixing.mixup,), "cutmix": (mixing.cutmix,),
}  # fmt: skip


# a choice → the function or class of each of its values, where that has a card
_VALUES: dict[str, Mapping[str, Card]] = {
    "net": {"mlp": MLP, "resnet": ResNet}, "norm": layers.NORMS, "optimizer": OPTIMIZERS, "schedule": SCHEDULES,
    "average": averaging.AVERAGES, **{f"loss ({task})": table for task, table in LOSSES.items()},
}  # fmt: skip
_NOTES = {
    "loss": "; ".join(f"{', '.join(table)} for {task}" for task, table in LOSSES.items()),
    "prior_bias": "false for a net of your own",
    "dropout": "as its layers have it for a net of your own",
    "weight_decay": "of every optimizer: decoupled in adamw, L2 in the others",
}


class Row(NamedTuple):
    """A row of the recipe: the parameters that are its dimensions, and a test that shows what it claims.

    A row that is no dimension has neither, and `what` says why.
    """

    what: str
    parameters: tuple[str, ...] = ()
    test: str = ""


RECIPE = {
    "G1": Row("more data: what it would buy", ("train_share",),
              "pack/test_share.py::test_a_share_trains_on_its_own_examples_alone"),
    "G2": Row("data augmentation",
              ("shift", "flip", "rotation", "scale", "erasing", "brightness", "contrast", "noise"),
              "tricks/test_augment.py::test_moves_are_scipys_affine_transform"),
    "G3": Row("creative augmentation, extra training data", ("mixup", "cutmix", "swap_noise", "extra_weight"),
              "pack/test_augment.py::test_a_packs_batches_are_mixed_with_their_targets"),
    "G4": Row("pretraining", ("frozen_epochs",),
              "pack/test_pretrained.py::test_a_net_starts_from_the_weights_whose_names_and_shapes_are_its_own"),
    "G5": Row("stay supervised: no dimension; weights pretrained elsewhere enter by `init_from` (G4)"),
    "G6": Row("smaller input, also growing", ("image_size", "image_start", "features"),
              "nets/test_front.py::test_the_most_telling_features_are_kept"),
    "G7": Row("smaller net", ("width", "depth", "head"),
              "nets/test_resnet.py::test_a_pooled_head_is_smaller_and_takes_images_of_any_size"),
    "G8": Row("smaller batch", ("batch_size",),
              "pack/test_against_torch.py::test_the_curves_training_loss_is_the_mean_over_the_epochs_batches"),
    "G9": Row("dropout", ("dropout", "spatial_dropout"),
              "pack/test_dropout.py::test_the_masks_keep_their_share_and_their_mean"),
    "G10": Row("weight decay", ("weight_decay",), "pack/test_against_torch.py::test_an_optimizer_equals_torchs"),
    "G11": Row("early stopping", ("patience",),
               "pack/test_average.py::test_a_row_stops_when_its_patience_is_over_and_leaves_the_matrix"),
    "G12": Row("a larger net, early-stopped", ("width", "depth", "patience"),
               "pack/test_average.py::test_a_row_stops_when_its_patience_is_over_and_leaves_the_matrix"),
    "G13": Row("look at the first layer: no dimension but a check, `hpsearch check` (docs/recipe.md)"),
    "T1": Row("focal loss", ("loss", "focal_gamma"),
              "tricks/test_losses.py::test_focal_loss_moves_weight_to_the_hard_examples"),
    "T2": Row("dropout", ("dropout",), "pack/test_dropout.py::test_the_masks_keep_their_share_and_their_mean"),
    "T3": Row("batch norm", ("norm",), "pack/test_against_torch.py::test_a_norm_and_a_skip_train_as_in_torch"),
    "T4": Row("ReLU", ("activation",), "nets/test_layers.py::test_an_activation_is_torchs"),
    "T5": Row("cyclic learning rate, whose minima give an ensemble", ("schedule", "cycles", "lr", "lr_min"),
              "pack/test_average.py::test_a_snapshot_is_the_net_that_its_epoch_ended_with"),
    "T6": Row("flooding", ("flood",), "pack/test_loss.py::test_flooding_holds_the_training_loss_at_its_level"),
    "T7": Row("group norm", ("norm",),
              "nets/test_layers.py::test_group_norm_does_not_depend_on_the_batch_and_batch_norm_does"),
    "T8": Row("label smoothing", ("label_smoothing",),
              "pack/test_against_torch.py::test_label_smoothing_equals_torchs"),
    "T9": Row("skip connections", ("skip",),
              "nets/test_resnet.py::test_the_skip_gate_opens_and_closes_the_shortcuts"),
}  # fmt: skip


def page() -> str:
    """The whole page."""
    names_of: dict[Card, list[str]] = {}
    for name, cards in CARDS.items():
        for card in cards:
            names_of.setdefault(card, []).append(name)
    cards_ = [f"### {_title(card, names)}\n\n{_text(card)}\n" for card, names in names_of.items()]
    parts = [
        _HEAD, "## Where to begin\n", _begin(), "## The parameters\n", _parameters(), "## The cards\n", *cards_,
        "## The recipe's rows\n", _RECIPE_HEAD, _recipe_table(),
    ]  # fmt: skip
    return "\n".join(parts).rstrip("\n") + "\n"


def _begin() -> str:
    tables = [
        _table(("what you have", "what to try first", "usual values"), _BEGIN),
        _table(("beside each other", ""), _BESIDE),
    ]
    return "\n".join([_BEGIN_HEAD, *tables, _BESIDE_END])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]]) + "\n"


def _parameters() -> str:
    return _table(("parameter", "values", "default", ""), [_cells(name, KNOBS[name]) for name in CARDS])


def _recipe_table() -> str:
    rows = [
        (id_, row.what, ", ".join(f"`{name}`" for name in row.parameters), f"`{row.test}`" if row.test else "")
        for id_, row in RECIPE.items()
    ]
    return _table(("row", "what", "parameters", "test in `tests/`"), rows)


def _title(card: Card, names: list[str]) -> str:
    """What a study says to have it: a value, or the parameters."""
    chosen = [
        f"{name.split()[0]}: {value}"
        for name, table in _VALUES.items()
        for value, it in table.items()
        if it is card
    ]
    return ", ".join(f"`{told}`" for told in chosen or names)


def _text(card: Card) -> str:
    """A card's text; of a function that does more than its trick, from the paragraph that begins with the name."""
    if isinstance(card, str):
        return card
    paragraphs = inspect.cleandoc(card.__doc__ or "").split("\n\n")
    first = next((i for i, text in enumerate(paragraphs) if re.match(r"`\w+`: ", text)), 0)
    return "\n\n".join(paragraphs[first:])


def _cells(name: str, knob: Knob) -> tuple[str, str, str, str]:
    notes = [
        "structural" if knob.structural else "",
        f"with `{knob.needs[0]}`: {', '.join(knob.needs[1:])}" if knob.needs else "",
        f"for {knob.task}" if knob.task else "",
        f"for {' and '.join(knob.of)}" if knob.of else "",
        f"of {' and '.join(knob.nets)}" if knob.nets else "",
        _NOTES.get(name, ""),
    ]
    return f"`{name}`", _values(knob), _defaults(name, knob), "; ".join(filter(None, notes))


def _values(knob: Knob) -> str:
    if knob.kind is bool:
        return "true, false"
    if knob.kind is str:
        return ", ".join(knob.choices)
    low = "" if knob.low == -math.inf else f"{'above' if knob.open_low else 'from'} {knob.low:g}"
    high = "" if knob.high >= 1e9 else f"{'below' if knob.open_high else 'to'} {knob.high:g}"
    kind = "whole number" if knob.kind is int else "number"
    return " ".join(part for part in (kind, low, high) if part)


def _defaults(name: str, knob: Knob) -> str:
    if knob.default is None:
        return "the task's plain one"
    resnet = of_net("resnet")[name].default if "resnet" in knob.nets else knob.default
    told = _told(knob.default)
    return told if resnet == knob.default else f"{told}; resnet {_told(resnet)}"


def _told(value: Any) -> str:
    return (
        str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
    )


if __name__ == "__main__":
    print(page(), end="")
