"""The network: what it returns untrained, what it must not see, and that its positions are relative."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trainer.frozen.text import Prompts
from trainer.model.attention import SelfAttention
from trainer.model.dit import FusionDiT
from trainer.model.inputs import Inputs, Term, added
from trainer.model.positions import rotary_2d, rotate


def build(time: bool = False, trained: bool = True) -> FusionDiT:
    torch.manual_seed(0)
    model = FusionDiT(latent_channels=4, width=32, depth=2, heads=2, text_dim=16, time=time)
    if trained:  # as if: nothing is zero any more
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def inputs(height: int = 6, width: int = 5, batch: int = 2) -> Inputs:
    generator = torch.Generator().manual_seed(1)
    z = (torch.randn(batch, 4, height, width, generator=generator) for _ in range(3))
    mask = torch.arange(7) < torch.tensor([[3], [5]])[:batch]
    tokens, pooled = torch.randn(batch, 7, 16, generator=generator), torch.randn(batch, 16, generator=generator)
    return Inputs(*z, Prompts(tokens, mask, pooled))


def test_the_untrained_network_returns_exactly_the_base() -> None:
    estimate = build(trained=False)(inputs())
    assert torch.equal(estimate.z, inputs().base)
    assert not estimate.terms


def test_the_output_is_the_base_plus_gains_on_the_inputs_and_a_shift() -> None:
    model, given = build(trained=False), inputs()
    z_a, z_b, base, _ = given
    with torch.no_grad():
        model.out.bias.copy_(torch.tensor([2.0, 3.0, 5.0, 7.0]).repeat_interleave(4))
    torch.testing.assert_close(model(given).z, base + 2 * z_a + 3 * z_b + 5 * base + 7)


@pytest.mark.parametrize("size", [(1, 1), (3, 8), (16, 9)])
def test_any_latent_size_goes_through(size: tuple[int, int]) -> None:
    assert build()(inputs(*size)).z.shape == (2, 4, *size)


def test_masked_tokens_do_not_influence_the_output_and_others_do() -> None:
    model, given = build(), inputs()
    tokens, mask, _ = given.prompts
    expected = model(given).z
    garbage = torch.where(mask[..., None], tokens, 1e3 * torch.randn_like(tokens))
    assert torch.equal(model(given._replace(prompts=given.prompts._replace(tokens=garbage))).z, expected)
    tokens[:, 0] += 1
    assert not torch.allclose(model(given).z, expected)


def test_every_input_matters() -> None:
    model, given = build(), inputs()
    expected = model(given).z - given.base
    pooled = given.prompts._replace(pooled=given.prompts.pooled + 0.5)
    changes = [{name: getattr(given, name) + 0.5} for name in ("z_a", "z_b", "base")] + [{"prompts": pooled}]
    for change in changes:
        changed = given._replace(**change)
        assert not torch.allclose(model(changed).z - changed.base, expected)


def test_samples_of_a_batch_do_not_see_each_other() -> None:
    model, given = build(), inputs()
    first = Inputs(*(z[:1] for z in given[:3]), Prompts(*(part[:1] for part in given.prompts)))
    torch.testing.assert_close(model(given).z[:1], model(first).z, atol=1e-5, rtol=1e-4)


def test_rotary_products_depend_on_the_offset_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(16, generator=generator).expand(1, 1, 8 * 9, 16) for _ in range(2))
    rotary = rotary_2d(8, 9, 16, torch.device("cpu"))
    products = (rotate(q, rotary) @ rotate(k, rotary).mT).view(8, 9, 8, 9)
    torch.testing.assert_close(products[1, 2, 4, 3], products[3, 5, 6, 6])  # (+3, +1) from two places
    assert (products[1, 2, 4, 3] - products[1, 2, 3, 4]).abs() > 1e-2, "rows and columns differ"
    torch.testing.assert_close(rotate(q, rotary).norm(dim=-1), q.norm(dim=-1))


def test_attention_is_softmax_attention_with_positions() -> None:
    torch.manual_seed(0)
    layer, x = SelfAttention(16, 1), torch.randn(1, 6, 16)
    rotary = rotary_2d(2, 3, 16, torch.device("cpu"))
    q, k, v = layer.qkv(x).chunk(3, dim=-1)
    q, k = rotate(layer.norm_q(q)[None], rotary)[0], rotate(layer.norm_k(k)[None], rotary)[0]
    expected = layer.out(torch.softmax(q @ k.mT / 16**0.5, dim=-1) @ v)
    torch.testing.assert_close(layer(x, rotary), expected)
    shuffled = layer(x[:, [1, 0, 2, 3, 4, 5]], rotary)[:, [1, 0, 2, 3, 4, 5]]
    assert not torch.allclose(shuffled, expected), "without positions attention would not notice"


def test_a_network_with_time_takes_a_state_and_one_without_refuses_it() -> None:
    given, state, t = inputs(), torch.randn(2, 4, 6, 5), torch.tensor([0.2, 0.7])
    model = build(time=True)
    assert not torch.allclose(model(given, state, t).z, model(given, state, t / 2).z)
    assert not torch.allclose(model(given, state, t).z, model(given, state / 2, t).z)
    for network, extra in ((build(), (state, t)), (model, ()), (model, (state, None))):
        with pytest.raises(ValueError, match="time=True"):
            network(given, *extra)


def test_save_and_load_are_bit_equal(tmp_path: Path) -> None:
    model = build()
    model.save_pretrained(tmp_path)
    again = FusionDiT.from_pretrained(tmp_path, low_cpu_mem_usage=False).eval()
    assert torch.equal(again(inputs()).z, model(inputs()).z)
    assert again.config["base"] == model.config["base"]


def test_terms_of_several_blocks_are_summed_by_name() -> None:
    one, two = torch.tensor(1.0), torch.tensor([2.0, 3.0])
    total = added([{"load": Term(one, 0.1)}, {}, {"load": Term(two, 0.1), "drift": Term(two, 0.0)}])
    torch.testing.assert_close(total["load"].value, torch.tensor([3.0, 4.0]))
    assert (total["load"].weight, total["drift"].weight) == (0.1, 0.0)
