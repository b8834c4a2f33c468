"""Changes of training inputs, each example's own, with the strength of its row: never on validation or test.

Inputs are standardised, so 0 is the mean of a channel or column. `u` holds uniform numbers in [0, 1), as many an
example as the function says. A strength of 0 leaves an example as it is, to the bit.

Shapes: K rows, N examples; images [K, N, C, H, W], tables [K, N, D].
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

_LARGEST, _SMALLEST = 0.33, 0.02  # share of an image that is erased
_LONGEST = 3.3  # its height over its width, or the inverse


def moved(
    x_KNCHW: Tensor, shift_K: Tensor, flip_K: Tensor, rotation_K: Tensor, scale_K: Tensor, u_KN5: Tensor
) -> Tensor:
    """Shift, flip, rotation and scale of images, in one resampling; what comes from outside repeats the border.

    `shift`: up to this share of the side, in whole pixels, as cropping from a padded image does (0 to 0.25 is
    usual). `flip`: with this probability left becomes right (0.5 where that makes sense: not for digits or text).
    `rotation`: up to so many degrees either way (5 to 30). `scale`: larger or smaller by up to this factor less
    one (0.05 to 0.5). (LeCun et al. 1998; Simard et al. 2003.) Costs a pass over the images; the wrong ones hurt:
    a flipped 6 is no digit.
    """
    rows, examples, _, height, width = x_KNCHW.shape
    side = x_KNCHW.new_tensor([width, height])
    pixels_KN2 = torch.round((2 * u_KN5[..., :2] - 1) * shift_K.view(-1, 1, 1) * side)
    flips_KN = u_KN5[..., 2] < flip_K.unsqueeze(1)
    angle_KN = (2 * u_KN5[..., 3] - 1) * (math.pi / 180) * rotation_K.unsqueeze(1)
    zoom_KN = torch.exp((2 * u_KN5[..., 4] - 1) * torch.log1p(scale_K).unsqueeze(1))
    # where in the old image each pixel of the new one comes from, in pixels from the middle
    x_W = torch.arange(width, dtype=x_KNCHW.dtype, device=x_KNCHW.device) - (width - 1) / 2
    y_H = torch.arange(height, dtype=x_KNCHW.dtype, device=x_KNCHW.device) - (height - 1) / 2
    cos_KN11, sin_KN11 = (
        (turn(angle_KN) / zoom_KN).reshape(rows, examples, 1, 1) for turn in (torch.cos, torch.sin)
    )
    x_KN1W = x_W - pixels_KN2[..., :1].unsqueeze(-1)
    y_KNH1 = (y_H - pixels_KN2[..., 1:]).unsqueeze(-1)
    from_x = cos_KN11 * x_KN1W - sin_KN11 * y_KNH1
    from_y = sin_KN11 * x_KN1W + cos_KN11 * y_KNH1
    from_x = torch.where(flips_KN.reshape(rows, examples, 1, 1), -from_x, from_x)
    grid = torch.stack([from_x * (2 / width), from_y * (2 / height)], dim=-1)
    out = grid_sample(x_KNCHW.flatten(0, 1), grid.flatten(0, 1), padding_mode="border", align_corners=False)
    return out.view(x_KNCHW.shape)


def grown(progress: float, start: int, full: int) -> int:
    """Training images that grow: pixels a side, even, from `image_start` to their full size at mid-run.

    (Howard 2018, fast.ai's progressive resizing; Tan & Le 2021, EfficientNetV2).
    Early epochs then cost less, in the square of the size. For nets that take any size: a pooled head. Evaluation
    has the full size throughout. Structural, and so are the epochs beside it: the rows of a pack grow together.
    """
    size = start + (full - start) * min(2 * progress, 1.0)
    return full if 2 * progress >= 1 or start >= full else min(2 * round(size / 2), full)


def erased(x_KNCHW: Tensor, erasing_K: Tensor, u_KN5: Tensor) -> Tensor:
    """Random erasing: with this probability a rectangle of 2 to 33 % of an image is set to the mean.

    (Zhong et al. 2020, arXiv 1708.04896; DeVries & Taylor 2017, Cutout.) Usual are 0.25 to 0.5. Costs little.
    """
    height, width = x_KNCHW.shape[-2:]
    happens_KN, area_KN, aspect_KN = (u_KN5[..., i] for i in range(3))
    share_KN = _SMALLEST + (_LARGEST - _SMALLEST) * area_KN
    aspect_KN = torch.exp((2 * aspect_KN - 1) * math.log(_LONGEST))
    high_KN = (torch.sqrt(share_KN * aspect_KN) * height).round().clamp(1, height)
    wide_KN = (torch.sqrt(share_KN / aspect_KN) * width).round().clamp(1, width)
    top_KN = torch.floor(u_KN5[..., 3] * (height - high_KN + 1))
    left_KN = torch.floor(u_KN5[..., 4] * (width - wide_KN + 1))
    gone_KNHW = box((height, width), top_KN, left_KN, high_KN, wide_KN)
    gone_KNHW &= (happens_KN < erasing_K.unsqueeze(1))[..., None, None]
    return x_KNCHW.masked_fill(gone_KNHW.unsqueeze(2), 0)


def box(size: tuple[int, int], top_KN: Tensor, left_KN: Tensor, high_KN: Tensor, wide_KN: Tensor) -> Tensor:
    """True in a rectangle of each image, [K, N, H, W]."""
    y_H1 = torch.arange(size[0], device=top_KN.device).unsqueeze(1)
    x_W = torch.arange(size[1], device=top_KN.device)
    top, left, high, wide = (v[..., None, None] for v in (top_KN, left_KN, high_KN, wide_KN))
    return (y_H1 >= top) & (y_H1 < top + high) & (x_W >= left) & (x_W < left + wide)


def lit(x_KNCHW: Tensor, brightness_K: Tensor, contrast_K: Tensor, u_KN2: Tensor) -> Tensor:
    """Brightness: plus up to this many standard deviations, either way; contrast: times up to 1 + this, or its
    inverse, about the image's own mean.

    Usual are 0.1 to 0.5 (Krizhevsky et al. 2012; Howard 2013). Costs little.
    """
    gain_KN = torch.exp((2 * u_KN2[..., 1] - 1) * torch.log1p(contrast_K).unsqueeze(1))[..., None, None, None]
    plus_KN = ((2 * u_KN2[..., 0] - 1) * brightness_K.unsqueeze(1))[..., None, None, None]
    middle = x_KNCHW.mean((-3, -2, -1), keepdim=True)
    return torch.where(gain_KN == 1, x_KNCHW, (x_KNCHW - middle) * gain_KN + middle) + plus_KN


def noisy(x_KN: Tensor, noise_K: Tensor, normal_KN: Tensor) -> Tensor:
    """Gaussian noise of this many standard deviations on every number of an input (Bishop 1995).

    Usual are 0.01 to 0.3. Columns of categories and flags stay. Costs a normal number for each number.
    """
    strength = noise_K.view(-1, *(1,) * (x_KN.dim() - 1))
    return torch.addcmul(x_KN, normal_KN, strength)


def swapped(x_KND: Tensor, swap_noise_K: Tensor, feature_D: Tensor, u_KN2F: Tensor) -> Tensor:
    """Swap noise: with this probability a feature is that of another example of the batch.

    Keeps each feature's own distribution (Porto Seguro's winning autoencoder, Jahrer 2017; Bahri et al. 2022,
    SCARF). Usual are 0.05 to 0.3. A category moves as a whole.
    """
    examples = x_KND.shape[1]
    swaps_KNF = u_KN2F[:, :, 0] < swap_noise_K.view(-1, 1, 1)
    other_KNF = (u_KN2F[:, :, 1] * (examples - 1)).long() + 1  # places further on, never its own
    place_KNF = (torch.arange(examples, device=x_KND.device).view(1, -1, 1) + other_KNF) % examples
    there_KND = x_KND.gather(1, place_KNF[..., feature_D])
    return torch.where(swaps_KNF[..., feature_D], there_KND, x_KND)
