"""A plain multi-layer perceptron."""

from torch import Tensor, nn

from hpsearch.nets.layers import ACTIVATIONS, NORMS, Dropout, Skip


class Block(nn.Module):
    """Linear, norm, activation, dropout; with a gated skip where the widths agree."""

    def __init__(self, inputs: int, width: int, norm: str, activation: str) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, width)
        self.norm = NORMS[norm](width)
        self.activation = ACTIVATIONS[activation]()
        self.dropout = Dropout()
        self.skip = Skip() if inputs == width else None

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.dropout(self.activation(self.norm(self.linear(x))))
        return out if self.skip is None else self.skip(out, x)


class MLP(nn.Module):
    """`depth` hidden blocks of `width` units and a linear head; depth 0 is a linear model. x: [N, ...]."""

    def __init__(self, inputs: int, outputs: int, width: int, depth: int, norm: str, activation: str) -> None:
        super().__init__()
        sizes = [inputs] + [width] * depth
        self.blocks = nn.ModuleList(Block(size, width, norm, activation) for size in sizes[:-1])
        self.head = nn.Linear(sizes[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(x)
        return out
