"""A convolutional network with attention over the positions of the two folded views, whole in one file.

Two branches of plain convolutions (after Shallue & Vanderburg 2018, arXiv:1712.05044), each summed up by additive
attention (Bahdanau et al. 2015, arXiv:1409.0473): a few learnt questions are put to every position, and the answer is
the mean of the positions, weighted by how well they fit. Beside the views it is told how far the light moves in
transit. It tells six classes apart; those of which it was shown no example are ``absent`` and get no share. Imports
only torch: it runs where astropy is not installed.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = ("planet", "eclipsing_binary", "blend", "variable", "systematic", "wrong_period")


@dataclass(frozen=True, slots=True)
class Architecture:
    """Everything needed to build the network again; kept in the card."""

    scalars: int  # length of the scalar input, values and missing bits; of these it reads only its own
    centroid: int = 0  # column of the centroid offset in it; its missing bit stands half the input further on
    global_length: int = 2048
    local_length: int = 256
    width: int = 16  # channels of the first block
    global_blocks: int = 5  # each halves the view; after the first the channels double, up to 64
    local_blocks: int = 3
    heads: int = 4  # questions of the attention
    head: int = 64
    dropout: float = 0.2
    absent: tuple[str, ...] = ()  # classes without an example
    name: str = "cnn-attention"

    def __post_init__(self) -> None:
        unknown = sorted(set(self.absent) - set(CLASSES))
        if unknown or "planet" in self.absent or len(self.absent) > len(CLASSES) - 2:
            raise ValueError(f"absent classes {list(self.absent)}: planets and one other class of {CLASSES} are needed")
        if not 0 <= self.centroid < self.scalars // 2:
            raise ValueError(f"column {self.centroid} is no value of {self.scalars} scalars and missing bits")


class Block(nn.Module):
    """Two convolutions of 5, the second of which halves the length."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(channels_in, channels_out, 5, padding=2, bias=False)
        self.first_norm = nn.BatchNorm1d(channels_out)
        self.second = nn.Conv1d(channels_out, channels_out, 5, stride=2, padding=2, bias=False)
        self.second_norm = nn.BatchNorm1d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(x)))


class Attention(nn.Module):
    """Means over the positions, each weighted by how well the positions answer a learnt question."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.key = nn.Conv1d(channels, channels, 1)
        self.question = nn.Conv1d(channels, heads, 1)
        self.out = channels * heads

    def weights(self, x: Tensor) -> Tensor:
        """(n, heads, positions), summing to 1 over the positions."""
        return torch.softmax(self.question(torch.tanh(self.key(x))), dim=2)

    def forward(self, x: Tensor) -> Tensor:  # (n, channels, positions)
        return torch.einsum("nhp,ncp->nhc", self.weights(x), x).flatten(1)  # (n, heads * channels)


class Branch(nn.Module):
    """A strided stem and blocks over one view and its mask, summed up by attention."""

    def __init__(self, width: int, blocks: int, heads: int, stem_stride: int) -> None:
        super().__init__()
        self.stem = nn.Conv1d(2, width, 7, stem_stride, padding=3, bias=False)
        self.norm = nn.BatchNorm1d(width)
        widths = [min(width * 2**number, 64) for number in range(blocks)]
        pairs = zip([width, *widths], widths, strict=False)
        self.blocks = nn.Sequential(*(Block(before, after) for before, after in pairs))
        self.attention = Attention(widths[-1], heads)
        self.out = self.attention.out

    def forward(self, x: Tensor) -> Tensor:  # (n, 2, length)
        return self.attention(self.blocks(functional.relu(self.norm(self.stem(x)))))


class CNNAttention(nn.Module):
    """Logit of planet against all other classes, and the logits of the six classes."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        self.whole = Branch(a.width, a.global_blocks, a.heads, 4)
        self.close = Branch(a.width, a.local_blocks, a.heads, 2)
        self.numbers = nn.Sequential(nn.Linear(2, 8), nn.ReLU())
        self.head = nn.Sequential(
            nn.Dropout(a.dropout),
            nn.Linear(self.whole.out + self.close.out + 8, a.head),
            nn.ReLU(),
            nn.Dropout(a.dropout),
        )
        self.classes = nn.Linear(a.head, len(CLASSES))
        self._columns = [a.centroid, a.centroid + a.scalars // 2]
        self._absent = [CLASSES.index(name) for name in a.absent]

    def forward(self, whole: Tensor, close: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        """Score a batch.

        Parameters
        ----------
        whole : (n, 2, 2048) global view and mask
        close : (n, 8, 256) of which only the local view and its mask are read
        scalars : (n, architecture.scalars) of which only the centroid offset and its missing bit are read

        Returns
        -------
        planet : (n,) logit; classes : (n, 6) logits in the order of CLASSES, -inf for absent ones
        """
        seen = [self.whole(whole), self.close(close[:, :2]), self.numbers(scalars[:, self._columns])]
        classes = self.classes(self.head(torch.cat(seen, dim=1)))  # (n, 6)
        if self._absent:
            hidden = torch.zeros(len(CLASSES), dtype=torch.bool, device=classes.device)
            hidden[self._absent] = True
            classes = classes.masked_fill(hidden, float("-inf"))
        return classes[:, 0] - torch.logsumexp(classes[:, 1:], dim=1), classes
