"""`offload` sends exactly the blocks' own inputs away, brings them back, and changes no number."""

from __future__ import annotations

from typing import Any

import torch

from rushes.families.recompute import apply_recompute


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.linear(x) * positions)


class Blocks(torch.nn.Module):
    """As a diffusers transformer lets its blocks be recomputed."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList([Block() for _ in range(3)])
        self.call: Any = lambda module, *inputs: module(*inputs)

    def enable_gradient_checkpointing(self, call: Any) -> None:
        self.call = call

    def disable_gradient_checkpointing(self) -> None:
        self.call = lambda module, *inputs: module(*inputs)

    def forward(self, x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = self.call(block, x, positions)
        return x


def test_inputs_of_blocks_leave_and_come_back_with_the_same_gradients() -> None:
    torch.manual_seed(0)
    model, x, positions = Blocks(), torch.randn(2, 4, requires_grad=True), torch.randn(2, 4)

    def gradients() -> list[torch.Tensor]:
        model.zero_grad()
        model(x, positions).square().sum().backward()
        return [value.grad.clone() for value in model.parameters() if value.grad is not None]

    expected = gradients()
    sent: list[torch.Tensor] = []
    brought: list[int] = []

    def send(value: torch.Tensor) -> int:
        sent.append(value.detach().clone())
        return len(sent) - 1

    def bring(place: int) -> torch.Tensor:
        brought.append(place)
        return sent[place]

    apply_recompute(model, "offload", (send, bring))
    found = gradients()
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True)) and len(found) == 6
    assert len(sent) == 3 and not any(torch.equal(each, positions) for each in sent)
    assert torch.equal(sent[0], x) and sorted(brought) == [0, 1, 2]
    apply_recompute(model, "offload")  # on a CPU everything stays where it is
    assert all(torch.equal(a, b) for a, b in zip(expected, gradients(), strict=True))
