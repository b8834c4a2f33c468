"""Sound nets, and others that have one fault each, as users write them."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Sound(nn.Module):
    def __init__(self, input_shape, outputs, width=32):
        super().__init__()
        self.first, self.head = nn.Linear(math.prod(input_shape), width), nn.Linear(width, outputs)
        self.norm, self.tanh = nn.Identity(), nn.Tanh()
        self.set_up(width)

    def set_up(self, width):
        """What a fault changes before training."""

    def body(self, x):
        return self.first(x.flatten(1)).relu()

    def forward(self, x):
        return self.head(self.body(x))


class SoundResidual(Sound):
    """Without norms: its first outputs are large, each net's around a mean of its own."""

    def set_up(self, width):
        self.branches = nn.ModuleList(nn.Linear(width, width) for _ in range(2))

    def body(self, x):
        hidden = super().body(x)
        for branch in self.branches:
            hidden = hidden + branch(hidden).relu()
        return hidden


class SoundNorms(Sound):
    """Eight residual blocks of batch norms, in He's way: far too large outputs unless the norms know the data."""

    def set_up(self, width):
        self.linears = nn.ModuleList(nn.Linear(width, width) for _ in range(8))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(8))
        for linear in self.linears:
            nn.init.kaiming_normal_(linear.weight)

    def body(self, x):
        hidden = super().body(x)
        for linear, norm in zip(self.linears, self.norms, strict=True):
            hidden = (hidden + norm(linear(hidden))).relu()
        return hidden / 3


class SoftplusAtTheEnd(Sound):
    def forward(self, x):
        return functional.softplus(super().forward(x))


class ReluAtTheEnd(Sound):
    def forward(self, x):
        return super().forward(x).relu()


class TanhAtTheEnd(Sound):
    def forward(self, x):
        return super().forward(x).tanh()


class LogSoftmaxAtTheEnd(Sound):
    """Sound: the softmax of the loss takes no notice of it."""

    def forward(self, x):
        return super().forward(x).log_softmax(-1)


class SoftCapped(Sound):
    """Sound: outputs up to 30."""

    def forward(self, x):
        return 30 * (super().forward(x) / 30).tanh()


class SoftmaxTwice(Sound):
    def forward(self, x):
        return super().forward(x).softmax(-1)


class LastBiasAtTen(Sound):
    def set_up(self, width):
        self.head.bias.data[0] = 10.0


class DeadUnits(Sound):
    def set_up(self, width):
        self.first.bias.data.fill_(-100.0)


class SaturatedUnits(Sound):
    def body(self, x):
        return self.tanh(100 * self.first(x.flatten(1)))


class WrongView(Sound):
    def forward(self, x):
        hidden = self.body(x)
        return self.head(hidden.T.reshape(hidden.shape))


class AttentionOverTheBatch(Sound):
    def forward(self, x):
        hidden = self.body(x)
        return self.head(hidden + (hidden @ hidden.T).softmax(-1) @ hidden)


class CentredByTheBatch(Sound):
    def forward(self, x):
        hidden = self.body(x)
        return self.head(hidden - hidden.mean(0))


class NormLeftInEvaluation(Sound):
    def set_up(self, width):
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x):
        self.norm.eval()
        return self.head(self.norm(self.body(x)))


class BatchStatisticsInEvaluation(Sound):
    def forward(self, x):
        hidden = self.body(x)
        return self.head(functional.batch_norm(hidden, None, None, training=True) if len(x) > 1 else hidden)


class DropoutInEvaluation(Sound):
    def forward(self, x):
        return self.head(functional.dropout(self.body(x), 0.5, True))


class AugmentsAlways(Sound):
    def forward(self, x):
        return super().forward(x + 0.3 * torch.randn_like(x))


class Frozen(Sound):
    def set_up(self, width):
        self.first.requires_grad_(False)


class Detached(Sound):
    def forward(self, x):
        return self.head(self.body(x).detach())


class LosesItsInputs(Sound):
    def body(self, x):
        return super().body(x * 0)


class NumpysRandomness(Sound):
    def forward(self, x):
        return super().forward(x) + 0.1 * float(np.random.rand())


class DrawnByNumpy(Sound):
    def set_up(self, width):
        drawn = np.random.randn(*self.first.weight.shape) / 4
        self.first.weight.data = torch.from_numpy(drawn).float()


def vanishing(input_shape, outputs):
    layers = [nn.Linear(math.prod(input_shape), 16)]
    for _ in range(12):
        layers += [nn.Sigmoid(), nn.Linear(16, 16)]
    return nn.Sequential(*layers, nn.Sigmoid(), nn.Linear(16, outputs))


class GivesNaN(Sound):
    def forward(self, x):
        return super().forward(x) * float("nan")


class HugeOutputs(Sound):
    def set_up(self, width):
        self.head.weight.data *= 200


class TakesDropout(Sound):
    """Sound: a common form of net, whose factory takes dropout itself."""

    def __init__(self, input_shape, outputs, width=32, dropout=0.5):
        super().__init__(input_shape, outputs, width)
        self.dropout = nn.Dropout(dropout)

    def body(self, x):
        return self.dropout(super().body(x))


class BeginsAtZero(Sound):
    """Sound: its head begins at zero, as many residual nets' branches do."""

    def set_up(self, width):
        self.head.weight.data.zero_()
        self.head.bias.data.zero_()


class WideAndDeep(Sound):
    """Sound: two layers lead to the outputs."""

    def __init__(self, input_shape, outputs, width=32):
        super().__init__(input_shape, outputs, width)
        self.wide = nn.Linear(math.prod(input_shape), outputs)

    def forward(self, x):
        return super().forward(x) + self.wide(x.flatten(1))
