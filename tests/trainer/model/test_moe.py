"""The mixture of experts: grouped as in a loop, balanced, counted once, and nothing read on the host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils.checkpoint import checkpoint

from trainer.model import moe as under_test
from trainer.model.moe import (
    RATE,
    WEIGHT,
    Balance,
    MoE,
    Router,
    Routing,
    SwiGLU,
    balancing_loss,
    can_group,
    grouped,
    looped,
)
from trainer.training.ema import EMA

WIDTH, HIDDEN, EXPERTS = 16, 24, 4
LOGITS = (2.0, 1.0, -1.0, -2.0)
"""What the skewed router adds to the logit of each expert."""
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def build(balance: Balance = "bias", active: int = 2) -> MoE:
    torch.manual_seed(0)
    return MoE(WIDTH, HIDDEN, EXPERTS, active, balance)


def tokens(batch: int = 2, positions: int = 9, seed: int = 1) -> Tensor:
    """(B, N, D); the first channel is 1."""
    x = torch.randn(batch, positions, WIDTH, generator=torch.Generator().manual_seed(seed))
    x[..., 0] = 1
    return x


def skewed(balance: Balance = "bias") -> MoE:
    """Scores of .88, .73, .27 and .12 on the average, and what an untrained router adds by token."""
    model = build(balance)
    with torch.no_grad():
        model.router.linear.weight[:, 0] = torch.tensor(LOGITS)
    return model


def to_experts(*choice: tuple[int, ...]) -> Routing:
    """Every token as it is said, in turn, 18 of them, with gates of its own."""
    chosen = torch.tensor([choice[token % len(choice)] for token in range(18)])
    gate = torch.rand(chosen.shape, generator=torch.Generator().manual_seed(2)) + 0.1
    load = torch.bincount(chosen.flatten(), minlength=EXPERTS)
    return Routing(chosen, (gate / gate.sum(-1, keepdim=True)).requires_grad_(), torch.full((18, EXPERTS), 0.5), load)


def passes(mix: Callable[..., Tensor], routing: Routing, dtype: torch.dtype, device: str = "cpu") -> list[Tensor]:
    """The value, and the gradients of x, of the gates and of both stacks."""
    experts = build().experts.to(device, dtype)
    routing = Routing(*(part.detach().to(device) for part in routing))
    leaves = [tokens().flatten(0, 1).to(device, dtype).requires_grad_(), routing.gate.requires_grad_()]
    leaves += [experts.rise, experts.fall]
    y = mix(leaves[0], experts.rise, experts.fall, routing)
    assert y.dtype == torch.float32
    weight = torch.randn(y.shape, generator=torch.Generator().manual_seed(3)).to(device)
    return [y, *torch.autograd.grad((y * weight).sum(), leaves)]


SPREADS = {
    "all": ((0, 1), (3, 2), (1, 3), (2, 0), (3, 1)),
    "two empty": ((2, 0),),
    "one of each": ((1,), (3,), (3,)),
    "every expert for every token": ((3, 0, 2, 1),),
}


@pytest.mark.parametrize("spread", SPREADS)
def test_grouped_experts_equal_the_loop_in_values_and_gradients(spread: str) -> None:
    routing = to_experts(*SPREADS[spread])
    ours, theirs = passes(grouped, routing, torch.float32), passes(looped, routing, torch.float32)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    for gradient in ours[3:]:
        assert torch.equal(gradient.abs().sum((1, 2)) > 0, routing.load > 0), "an empty expert has no gradient"


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=on_gpu)])
@pytest.mark.parametrize("spread", SPREADS)
def test_in_bf16_both_are_the_fp32_result_within_its_rounding(spread: str, device: str) -> None:
    routing = to_experts(*SPREADS[spread])
    for mix in (grouped, looped):
        rounded, exact = passes(mix, routing, torch.bfloat16, device), passes(looped, routing, torch.float32, device)
        for one, other in zip(rounded, exact, strict=True):
            assert (one - other).norm() <= 0.02 * other.norm()  # bf16 has steps of 2^-8 = .004


def test_an_expert_is_a_swiglu_and_begins_as_one() -> None:
    model, x = build(), tokens()
    routing = to_experts((1,))._replace(gate=torch.ones(18, 1))
    alone = SwiGLU(WIDTH, HIDDEN)
    with torch.no_grad():
        alone.rise.weight.copy_(model.experts.rise[1].T)
        alone.fall.weight.copy_(model.experts.fall[1].T)
    torch.testing.assert_close(model.experts(x, routing), alone(x))
    first, second = F.linear(x, alone.rise.weight[:HIDDEN]), F.linear(x, alone.rise.weight[HIDDEN:])
    torch.testing.assert_close(alone(x), F.linear(F.silu(first) * second, alone.fall.weight))
    large = MoE(64, 256, EXPERTS)
    for stacked, linear in ((large.experts.rise, large.shared.rise), (large.experts.fall, large.shared.fall)):
        assert linear.bias is None
        assert stacked[0].numel() == linear.weight.numel()
        for expert in stacked:
            torch.testing.assert_close(expert.std(), linear.weight.std(), rtol=0.03, atol=0)
            torch.testing.assert_close(expert.abs().max(), linear.weight.abs().max(), rtol=0.01, atol=0)


@pytest.mark.parametrize("active", [1, 2, 3, 4])
def test_gates_sum_to_one_and_rank_as_scores_do(active: int) -> None:
    router, x = skewed().router, tokens()
    router.active = active
    routing = router(x)
    torch.testing.assert_close(routing.gate.sum(-1), torch.ones(18))
    assert torch.equal(routing.choice, routing.score.topk(active).indices), "without a bias"
    assert routing.load.sum() == 18 * active
    router.bias.copy_(torch.tensor([-9.0, -9.0, 9.0, 9.0]))
    moved = router(x)
    assert torch.equal(moved.score, routing.score), "the bias is in the choice alone"
    assert set(moved.choice[:, :2].flatten().tolist()) <= {2, 3}
    for found in (routing, moved):
        torch.testing.assert_close(found.gate, F.normalize(found.score.gather(1, found.choice), p=1, dim=-1))


def test_only_chosen_experts_get_a_gradient() -> None:
    model = build()
    model.router.bias.copy_(torch.tensor([9.0, -9.0, 9.0, -9.0]))
    model(tokens()).x.square().sum().backward()
    for weight in (model.experts.rise, model.experts.fall, model.router.linear.weight):
        assert weight.grad is not None
        assert (weight.grad.flatten(1).abs().sum(1) > 0).tolist() == [True, False, True, False]


def test_all_of_it_is_the_shared_expert_plus_the_gated_ones() -> None:
    model, x = build().eval(), tokens()
    y, terms, _ = model(x)
    routing = model.router(x)
    expected = model.shared(x) + looped(x.flatten(0, 1), model.experts.rise, model.experts.fall, routing).view_as(x)
    torch.testing.assert_close(y, expected)
    assert terms["imbalance"].weight == 0
    assert float(terms["imbalance"].value) == pytest.approx(int(routing.load.max()) / (18 * 2 / EXPERTS))
    one, two = model(x[:1]).x, model(x[1:]).x
    torch.testing.assert_close(torch.cat([one, two]), y)


def test_a_plain_sum_can_be_differentiated() -> None:
    model, x = build(), tokens().requires_grad_()
    model(x).x.sum().backward()  # whose gradient has strides of 0
    assert x.grad is not None


def test_the_bias_balances_a_skewed_router_and_no_gradient_touches_it() -> None:
    model = skewed()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    optimizer.register_step_post_hook(lambda *_: model.router.rebalance())
    assert "router.bias" not in dict(model.named_parameters())
    imbalance = []
    for step in range(200):
        y, terms, _ = model(tokens(8, 256, seed=step))
        imbalance.append(float(terms["imbalance"].value))
        optimizer.zero_grad()
        y.square().mean().backward()
        load, bias = model.router.load.float(), model.router.bias.clone()
        optimizer.step()
        moved = bias + RATE * (load.mean() - load).sign()
        assert torch.equal(model.router.bias, moved - moved.mean()), "by the load alone"
        assert model.router.load.sum() == 0
    assert not model.router.bias.requires_grad
    assert min(imbalance[:20]) > 1.9, "all tokens go to two experts"
    assert max(imbalance[-50:]) < 1.2


def test_loads_of_two_half_batches_are_those_of_the_whole() -> None:
    halves, whole, x = skewed(), skewed(), tokens(4)
    halves(x[:2])
    halves(x[2:])
    whole(x)
    assert torch.equal(halves.router.load, whole.router.load)
    assert halves.router.load.sum() == 4 * 9 * 2
    for model in (halves, whole):
        model.router.rebalance()
    assert torch.equal(halves.router.bias, whole.router.bias)
    assert halves.router.bias.abs().sum() > 0


def test_evaluation_neither_counts_nor_rebalances() -> None:
    model = skewed()
    model(tokens())
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.eval()(tokens())
    model.router.rebalance()
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, before[name]), name


def test_with_the_balancing_loss_the_bias_rests() -> None:
    model = skewed("loss")
    terms = model(tokens()).terms
    model.router.rebalance()
    assert model.router.bias.abs().sum() == 0
    assert model.router.load.sum() == 0
    assert terms["balance"].weight == WEIGHT
    assert terms["balance"].value.shape == ()
    assert set(build()(tokens()).terms) == {"imbalance"}


def test_the_balancing_loss_is_one_where_all_is_even_and_its_gradient_lowers_it() -> None:
    even = Routing(torch.empty(0), torch.empty(0), torch.full((8, EXPERTS), 0.3), torch.full((EXPERTS,), 4))
    assert float(balancing_loss(even)) == pytest.approx(1)
    model = skewed("loss")
    optimizer, x = torch.optim.SGD(model.router.parameters(), lr=1.0), tokens(8, 64)
    values = []
    for _ in range(100):
        value = model(x).terms["balance"].value
        values.append(float(value.detach()))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert values[0] > 1.3
    assert values[1] < values[0]
    assert min(values) < 1.03


def test_the_routing_is_kept_under_checkpointing_and_gradients_are_equal() -> None:
    gradients, calls, loads = [], [], []
    for kept in (False, True):
        model, x = skewed(), tokens().requires_grad_()
        model.router.register_forward_pre_hook(lambda *_: calls.append("router"))
        model.experts.register_forward_pre_hook(lambda *_: calls.append("experts"))
        routing = model.router(x)
        y = checkpoint(model.mixed, x, routing, use_reentrant=False) if kept else model.mixed(x, routing)
        y.square().sum().backward()
        gradients.append([x.grad, *(parameter.grad for parameter in model.parameters())])
        loads.append(model.router.load)
    assert calls == ["router", "experts", "router", "experts", "experts"], "the experts alone are run again"
    assert torch.equal(*loads)
    for one, other in zip(*gradients, strict=True):
        assert one is not None
        assert torch.equal(one, other)


def test_the_same_step_gives_the_same_bits() -> None:
    runs = []
    for _ in range(2):
        model, x = build(), tokens().requires_grad_()
        model(x).x.square().sum().backward()
        runs.append([x.grad, *(parameter.grad for parameter in model.parameters())])
    assert all(map(torch.equal, *runs))


def test_a_state_dict_keeps_bias_and_load_and_the_average_has_them() -> None:
    model, other = skewed(), build()
    average = EMA(other, half_life=20)
    model(tokens())
    model.router.rebalance()
    model(tokens())
    other.load_state_dict(model.state_dict())
    average.update(other, 1000, 8)
    for name in ("router.bias", "router.load"):
        assert model.get_buffer(name).abs().sum() > 0
        assert torch.equal(other.get_buffer(name), model.get_buffer(name))
        assert torch.equal(average.model.get_buffer(name), model.get_buffer(name))


def test_under_autocast_experts_are_bf16_and_the_router_is_fp32() -> None:
    model, x, seen = build().eval(), tokens(), {}
    model.shared.register_forward_hook(lambda _, __, y: seen.update(shared=y.dtype))
    expected, routing = model(x).x, model.router(x)
    with torch.autocast("cpu", torch.bfloat16), pytest.MonkeyPatch.context() as patch:
        patch.setattr(under_test, "grouped", lambda x, *rest: seen.update(grouped=x.dtype) or grouped(x, *rest))
        y, same = model(x).x, model.router(x)
        y.sum().backward()
    assert seen == {"shared": torch.bfloat16, "grouped": torch.bfloat16}
    assert y.dtype == torch.bfloat16
    exact = (x.double() @ model.router.linear.weight.double().T).sigmoid().flatten(0, 1)
    torch.testing.assert_close(routing.score.double(), exact, atol=1e-6, rtol=0)
    assert torch.equal(same.score, routing.score)
    assert torch.equal(same.gate, routing.gate)
    assert all(parameter.grad is not None and parameter.grad.dtype == torch.float32 for parameter in model.parameters())
    assert (y - expected).norm() <= 0.02 * expected.norm()


def test_no_value_is_read_on_the_host() -> None:
    """Fake tensors have shapes and no values: whatever asks for one raises. (How the kernel reads sizes they cannot
    show: can_group leaves out the types and GPUs where it does so on the host.)"""
    with FakeTensorMode(), torch.autocast("cpu", torch.bfloat16):
        with pytest.raises(DataDependentOutputException):
            torch.ones(3).sum().item()
        for balance in ("bias", "loss"):
            model = MoE(WIDTH, HIDDEN, EXPERTS, balance=balance)
            x = torch.randn(2, 9, WIDTH)
            y, terms, _ = model(x)
            (y.float().sum() + sum(term.weight * term.value for term in terms.values())).backward()
            model.router.rebalance()
            assert y.shape == x.shape
            assert can_group(x.bfloat16().flatten(0, 1), model.experts.rise.bfloat16(), model.experts.fall.bfloat16())


@pytest.mark.parametrize("bf16", [False, True])
def test_it_compiles_whole_and_once_for_all_sizes(bf16: bool) -> None:
    counter = CompileCounterWithBackend("aot_eager")
    model = build()
    compiled = torch.compile(model, fullgraph=True, backend=counter)
    for positions in (9, 20, 33):
        x = tokens(2, positions)
        torch._dynamo.mark_dynamic(x, 1)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            y, expected = compiled(x).x, model(x).x
        torch.testing.assert_close(y, expected, atol=2e-2 if bf16 else 1e-5, rtol=1e-2 if bf16 else 1e-5)
        y.float().sum().backward()
    assert counter.frame_count == 1


def test_the_loop_stands_in_where_grouped_mm_is_missing_or_rows_are_not_aligned() -> None:
    model, x = build().eval(), tokens()
    expected = model(x).x
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(F, "grouped_mm")
        torch.testing.assert_close(model(x).x, expected, atol=1e-5, rtol=1e-5)
    for width, hidden in ((6, 8), (8, 6)):
        model = MoE(width, hidden, EXPERTS)
        model(torch.randn(1, 5, width)).x.sum().backward()


def test_what_cannot_be_is_refused() -> None:
    for active in (0, 5):
        with pytest.raises(ValueError, match="of 4 experts"):
            Router(WIDTH, EXPERTS, active, "bias")
    with pytest.raises(ValueError, match="bias, loss"):
        Router(WIDTH, EXPERTS, 2, "Loss")  # type: ignore[arg-type]


def _steps(samples: slice) -> Tensor:
    """The bias after three steps on these of four samples."""
    model = build()
    for step in range(3):
        model(tokens(4, seed=step)[samples])
        model.router.rebalance()
    return model.router.bias


def _rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.save(_steps(slice(rank, None, 2)), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_ranks_have_one_bias_that_of_the_whole_batch(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_rank, (str(tmp_path),), nprocs=2)
    whole = _steps(slice(None))
    for rank in range(2):
        assert torch.equal(torch.load(tmp_path / f"{rank}.pt"), whole)
        assert not torch.equal(_steps(slice(rank, None, 2)), whole), "alone they would differ"
