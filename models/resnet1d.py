"""A residual network over the two folded views and the scalars of a signal, whole in one file.

After AstroNet's two branches (Shallue & Vanderburg 2018, arXiv:1712.05044) with residual blocks
(He et al. 2016, arXiv:1512.03385). Imports only torch: it runs where astropy is not installed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_Convolution = tuple[Tensor, Tensor, int]  # weight, bias, stride
_Block = tuple[_Convolution, _Convolution, Tensor]  # first, second, kernel of the shortcut

# what the second output tells apart; "junk" is what people called neither planet nor binary without saying more
REASONS = ("planet", "eclipsing_binary", "wrong_period", "blend", "variable", "systematic", "junk")


@dataclass(frozen=True, slots=True)
class Architecture:
    """Everything needed to build the network again; kept in the card."""

    scalars: int  # length of the scalar input, values and missing bits
    global_length: int = 201  # the resolution to which a hunt's 2048 bins are brought: nothing finer is in them
    local_length: int = 61
    width: int = 8  # channels of the first stage
    global_stages: int = 3
    local_stages: int = 3
    global_stem_stride: int = 4  # 201 to 51
    local_stem_stride: int = 2  # 61 to 31: bins overlap 2.5 times
    head: int = 64
    dropout: float = 0.2
    numbers: int = 64  # units of the scalar branch
    absent: tuple[str, ...] = ()  # of REASONS: it was shown no example, and gives them no share
    name: str = "resnet1d"


class Residual(nn.Module):
    """Two convolutions of 5 around a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(channels_in, channels_out, 5, stride, padding=2, bias=False)
        self.first_norm = nn.BatchNorm1d(channels_out)
        self.second = nn.Conv1d(channels_out, channels_out, 5, padding=2, bias=False)
        self.second_norm = nn.BatchNorm1d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Conv1d(channels_in, channels_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.shortcut(x) + self.second_norm(self.second(inner)))


class Branch(nn.Module):
    """A stem and residual stages over one view, ending in the mean and the maximum of every channel."""

    def __init__(self, channels: int, width: int, stages: int, stem_stride: int) -> None:
        super().__init__()
        self.stem = nn.Conv1d(channels, width, 7, stem_stride, padding=3, bias=False)
        self.norm = nn.BatchNorm1d(width)
        widths = [min(width * 2**stage, 128) for stage in range(stages)]
        self.stages = nn.Sequential(
            *(Residual(before, after, 2) for before, after in zip([width, *widths], widths, strict=False))
        )
        self.out = 2 * widths[-1]

    def forward(self, x: Tensor) -> Tensor:  # (n, channels, length)
        x = functional.relu(self.norm(self.stem(x)))  # (n, width, length / stem_stride)
        x = self.stages(x)  # (n, widths[-1], 4 or 7)
        return torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)  # (n, 2 * widths[-1])


class ResNet1D(nn.Module):
    """Logit of planet, and logits of the reasons."""

    known: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        self.whole = Branch(2, a.width, a.global_stages, a.global_stem_stride)  # global view, mask
        self.close = Branch(8, a.width, a.local_stages, a.local_stem_stride)  # four views, four masks
        self.numbers = nn.Sequential(
            nn.Linear(a.scalars, a.numbers), nn.ReLU(), nn.Linear(a.numbers, a.numbers), nn.ReLU()
        )
        self.head = nn.Sequential(
            nn.Dropout(a.dropout),
            nn.Linear(self.whole.out + self.close.out + a.numbers, a.head),
            nn.ReLU(),
            nn.Dropout(a.dropout),
        )
        self.planet = nn.Linear(a.head, 1)
        self.reason = nn.Linear(a.head, len(REASONS))
        known = torch.tensor([0.0 if name not in a.absent else float("-inf") for name in REASONS])
        self.register_buffer("known", known, persistent=False)

    def forward(self, whole: Tensor, close: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        """Score a batch.

        Parameters
        ----------
        whole : (n, 2, 201), close : (n, 8, 61), scalars : (n, architecture.scalars)

        Returns
        -------
        planet : (n,) logit; reasons : (n, 7) logits in the order of REASONS, -inf for those that are absent
        """
        seen = [self.whole(whole), self.close(close), self.numbers(scalars)]  # (n, 64), (n, 64), (n, 64)
        hidden = self.head(torch.cat(seen, dim=1))  # (n, 64)
        return self.planet(hidden).squeeze(1), self.reason(hidden) + self.known


class Together:
    """Networks of one architecture asked at once: batch-norms folded into kernels, all their channels side by side.

    Several times faster than one after the other, and the same to the last bits of 32: each convolution runs once, in
    as many groups as there are networks. For use only; nothing can be learnt through it.
    """

    def __init__(self, networks: Sequence[ResNet1D]) -> None:
        self.members = len(networks)
        with torch.no_grad():
            self.whole = self._branch([network.whole for network in networks])
            self.close = self._branch([network.close for network in networks])
            rows = [[network.numbers[0], network.numbers[2], network.head[1], network.planet] for network in networks]
            self.numbers, self.numbers_more, self.head, self.planet = (
                _linear(layers) for layers in zip(*rows, strict=True)
            )
            self.reason = _linear([network.reason for network in networks])
        self.known = networks[0].known

    def _branch(self, branches: Sequence[Branch]) -> tuple[_Convolution, list[_Block]]:
        stem = _joined([(branch.stem, branch.norm) for branch in branches])
        blocks = []
        for stage in zip(*(branch.stages for branch in branches), strict=True):
            shortcut = torch.cat([block.shortcut.weight for block in stage])
            blocks.append(
                (
                    _joined([(block.first, block.first_norm) for block in stage]),
                    _joined([(block.second, block.second_norm) for block in stage]),
                    shortcut,
                )
            )
        return stem, blocks

    def _pooled(self, x: Tensor, branch: tuple[_Convolution, list[_Block]]) -> list[Tensor]:
        """Mean and maximum of every channel, (members, n, channels) each."""
        (weight, bias, stride), blocks = branch
        x = functional.conv1d(x, weight, bias, stride, 3).relu_()
        for (first, first_bias, step), (second, second_bias, _), shortcut in blocks:
            inner = functional.conv1d(x, first, first_bias, step, 2, 1, self.members).relu_()
            inner = functional.conv1d(inner, second, second_bias, 1, 2, 1, self.members)
            x = inner.add_(functional.conv1d(x, shortcut, None, step, 0, 1, self.members)).relu_()
        return [pooled.unflatten(1, (self.members, -1)).transpose(0, 1) for pooled in (x.mean(dim=2), x.amax(dim=2))]

    def __call__(self, whole: Tensor, close: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        """As ``ResNet1D`` has it, of each network: planet (members, n); reasons (members, n, 7)."""
        numbers = _apply(self.numbers, scalars.expand(self.members, -1, -1)).relu_()
        numbers = _apply(self.numbers_more, numbers).relu_()
        seen = torch.cat([*self._pooled(whole, self.whole), *self._pooled(close, self.close), numbers], dim=2)
        hidden = _apply(self.head, seen).relu_()
        return _apply(self.planet, hidden).squeeze(2), _apply(self.reason, hidden) + self.known


def _joined(layers: Sequence[tuple[nn.Conv1d, nn.BatchNorm1d]]) -> _Convolution:
    """Convolutions with the batch-norm after each folded in, output channels in a row."""
    folded = [_folded(layer, norm) for layer, norm in layers]
    return torch.cat([weight for weight, _ in folded]), torch.cat([bias for _, bias in folded]), layers[0][0].stride[0]


def _folded(layer: nn.Conv1d, norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does what it and the batch-norm after it do in use."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return layer.weight * gain[:, None, None], norm.bias - norm.running_mean * gain


def _linear(layers: Sequence[nn.Linear]) -> tuple[Tensor, Tensor]:
    """Weights (members, in, out) and biases (members, 1, out)."""
    weight = torch.stack([layer.weight.T for layer in layers])
    return weight.contiguous(), torch.stack([layer.bias for layer in layers])[:, None]


def _apply(layer: tuple[Tensor, Tensor], x: Tensor) -> Tensor:
    return torch.baddbmm(layer[1], x, layer[0])


def parameters(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(p.numel() for p in network.parameters())
