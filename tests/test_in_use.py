"""Networks as they are asked: quicker than as they learn, and saying the same."""

import pytest
import torch

from models import networks
from models.cnn_attention import Architecture as OfAttention
from models.resnet1d import Architecture as OfResnet

torch.set_num_threads(1)


@pytest.mark.parametrize("architecture", [OfResnet(scalars=20, width=4), OfAttention(scalars=20, centroid=3, width=4)])
def test_a_network_in_use_says_what_it_said_when_it_learnt_and_leaves_that_one_alone(architecture):
    torch.manual_seed(0)
    network = networks.build(architecture).train()
    batch = (
        torch.randn(16, 2, architecture.global_length),
        torch.randn(16, 8, architecture.local_length),
        torch.randn(16, 20),
    )
    for _ in range(4):  # batch-norms that have seen something
        network(*batch)
    network.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    quick = networks.in_use(network)
    with torch.inference_mode():
        for one, other in zip(network(*batch), quick(*batch), strict=True):
            assert torch.allclose(one, other, atol=1e-5)
    assert not any(isinstance(part, torch.nn.BatchNorm1d) for part in quick.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
