"""A small residual net for images, in the form of He et al. 2016 (arXiv 1512.03385), section 4.2."""

from torch import Tensor, nn

from hpsearch.nets.layers import ACTIVATIONS, IMAGE_NORMS, Dropout, Skip, SpatialDropout

_STAGES = 3


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with norms, a gated shortcut (a 1 x 1 one where shapes differ), activation."""

    def __init__(self, inputs: int, width: int, stride: int, norm: str, activation: str) -> None:
        super().__init__()
        bias = norm == "none"
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=bias)
        self.norm1 = IMAGE_NORMS[norm](width)
        self.activation1 = ACTIVATIONS[activation]()
        self.dropout = SpatialDropout()
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=bias)
        self.norm2 = IMAGE_NORMS[norm](width)
        self.skip = Skip()
        same = inputs == width and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, width, 1, stride, bias=False)
        self.activation2 = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.dropout(self.activation1(self.norm1(self.conv1(x))))
        out = self.skip(self.norm2(self.conv2(out)), self.shortcut(x))
        return self.activation2(out)  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """A stem and three stages of `depth` blocks, of `width`, twice and four times `width` channels.

    x: [N, C, H, W]. Each stage after the first halves the sides. The head is linear: on the mean over places
    (`pooled`), or on all places (`dense`), with dropout before it.
    """

    def __init__(
        self,
        inputs: tuple[int, ...],
        outputs: int,
        width: int,
        depth: int,
        norm: str,
        activation: str,
        head: str,
    ) -> None:
        super().__init__()
        channels, *sides = inputs
        self.stem = nn.Conv2d(channels, width, 3, 1, 1, bias=norm == "none")
        self.norm = IMAGE_NORMS[norm](width)
        self.activation = ACTIVATIONS[activation]()
        blocks: list[nn.Module] = []
        before = width
        for stage in range(_STAGES):
            for i in range(depth):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(ResidualBlock(before, width * 2**stage, stride, norm, activation))
                before = width * 2**stage
                sides = [-(-side // stride) for side in sides]
        self.blocks = nn.ModuleList(blocks)
        self.pooled = head == "pooled"
        self.dropout = Dropout()
        self.head = nn.Linear(before if self.pooled else before * sides[0] * sides[1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.norm(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        x = x.mean((-2, -1)) if self.pooled else x.flatten(1)
        out: Tensor = self.head(self.dropout(x))
        return out
