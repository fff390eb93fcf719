"""A residual network over the two folded views and the scalars of a signal, whole in one file.

After AstroNet's two branches (Shallue & Vanderburg 2018, arXiv:1712.05044) with residual blocks
(He et al. 2016, arXiv:1512.03385). Imports only torch: it runs where astropy is not installed.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

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


def parameters(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(p.numel() for p in network.parameters())
