"""R3: a score is that of the whole part, in evaluation mode, whatever the batches."""

import torch
from torch import Tensor, nn

from hpsearch.metrics import METRICS
from hpsearch.recipe.bench import Bench
from hpsearch.recipe.verdict import Finding, judged, skipped, some

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_ROUNDING = 1e-3  # of the outputs' size, or of the score
_ONE_BY_ONE = 200  # rows that are predicted one by one


def in_full(bench: Bench) -> Finding:
    """R3: a trained net predicts the same twice, and one by one as together; the score is that of every row."""
    if bench.baseline.failure is not None:
        return judged(True, False, bench.baseline.failure, "a score", "see R2")
    net, x = bench.baseline.nets[0].eval(), bench.held_out()
    with torch.no_grad():
        whole, again = (torch.cat([net(part) for part in x.split(512)]) for _ in range(2))
        single = torch.cat([net(x[i : i + 1]) for i in range(min(len(x), _ONE_BY_ONE))])
    size = float(whole.abs().max().clamp(min=1e-12))
    twice = float((whole - again).abs().max()) / size
    batched = float((whole[: len(single)] - single).abs().max()) / size
    y = torch.from_numpy(bench.arrays.validation.y.copy())
    score = float(METRICS[bench.proper].score(bench.told(whole).unsqueeze(0), y)[0])
    told = float(bench.baseline.curve[-1, 0])
    rounding = _ROUNDING * max(abs(told), 1.0 if bench.is_classification else bench.target.std)
    return judged(
        not (twice <= _ROUNDING and batched <= _ROUNDING and abs(score - told) <= rounding),
        False,
        f"{bench.proper} {score:.4g} of all {len(x)} validation rows, {told:.4g} as training told it; predicted "
        f"twice they differ by {twice:.2g} of their size, one by one by {batched:.2g}{bench.of}",
        "the same to rounding",
        "in evaluation the net still does what is for training: random changes of its inputs, dropout, or "
        "statistics of the batch",
    )


def norms_estimate(bench: Bench) -> Finding:
    """R3.norms: batch norms have estimated, in training, what they use in evaluation."""
    first, means = _running_means(bench.net()), _running_means(bench.baseline.nets[0])
    if not means:
        return skipped("the net has no batch norm that estimates")
    still = [name for name, mean in means.items() if torch.equal(mean, first[name])]
    pretrained = bench.prepared.study.init_from is not None  # norms may be meant to stay as they were learnt
    return judged(
        bool(still) and not pretrained,
        bool(still),
        f"{len(still)} of {len(means)} batch norms as they began{f': {some(still)}' if still else ''}",
        "none",
        "a norm was left in evaluation mode: train() must reach it, and no eval() be in the net's own code",
    )


def _running_means(net: nn.Module) -> dict[str, Tensor]:
    kept = [(name, module.running_mean) for name, module in net.named_modules() if isinstance(module, BATCH_NORMS)]
    return {name: mean for name, mean in kept if mean is not None}
