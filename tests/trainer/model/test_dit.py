"""The network: what it returns untrained, what it must not see, and that its positions are relative."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from trainer.frozen.text import Prompts
from trainer.model.dit import FusionDiT
from trainer.model.inputs import Inputs, Term, Whole, added

FORMS: dict[str, dict[str, Any]] = {
    "flat": {},
    "hourglass": {"fine": 1},
    "joint": {"text": "joint"},
    "experts": {"experts": 4},
    "tone": {"tone": True, "fine": 1},
    "tone of experts, joint": {"tone": True, "experts": 4, "text": "joint"},
    "detail": {"detail": {"width": 8, "blocks": 1}},
    "effects, in an hourglass": {"effects": ("haze", "exposure.dark"), "fine": 1},
    "bare": {
        **{"patches": False, "naf": False, "absolute": False, "rotary": False, "value_residual": False},
        "qk_norm": False,
    },
}
LEFT_OUT = {
    "patches": "embed_pixels",
    "naf": "naf.",
    "absolute": "position.",
    "value_residual": ".eta",
    "qk_norm": "norm_q",
}


def build(time: bool = False, trained: bool = True, **network: Any) -> FusionDiT:
    torch.manual_seed(0)
    small = {"width": 32, "depth": 2, "heads": 2, "lora_rank": 8}
    model = FusionDiT(latent_channels=4, factor=2, text_dim=16, network=small | network, time=time)
    if trained:  # as if: nothing is zero any more
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def blank(z: torch.Tensor) -> torch.Tensor:
    """In place of a decoder: grey pictures of what `build` and `inputs` are made for."""
    return z.new_zeros(len(z), 3, 2 * z.shape[-2], 2 * z.shape[-1])


def inputs(height: int = 6, width: int = 5, batch: int = 2) -> Inputs:
    generator = torch.Generator().manual_seed(1)
    z = (torch.randn(batch, 4, height, width, generator=generator) for _ in range(3))
    mask = torch.arange(7) < torch.tensor([[3], [5]])[:batch]
    tokens, pooled = torch.randn(batch, 7, 16, generator=generator), torch.randn(batch, 16, generator=generator)
    pixels = torch.randn(batch, 3, 3, 2 * height, 2 * width, generator=generator)
    return Inputs(*z, Prompts(tokens, mask, pooled), pixels, Whole.of(pixels))


@pytest.mark.parametrize("form", FORMS)
def test_the_untrained_network_returns_exactly_the_base(form: str) -> None:
    assert torch.equal(build(trained=False, **FORMS[form])(inputs()).z, inputs().base)


@pytest.mark.parametrize("ingredient", LEFT_OUT)
def test_what_the_config_leaves_out_is_not_there(ingredient: str) -> None:
    sign = LEFT_OUT[ingredient]
    assert any(sign in name for name in build().state_dict())
    assert not any(sign in name for name in build(**{ingredient: False}).state_dict())


def test_the_output_is_the_base_plus_gains_on_the_inputs_and_a_shift() -> None:
    model, given = build(trained=False), inputs()
    z_a, z_b, base, *_ = given
    with torch.no_grad():
        model.out.bias.copy_(torch.tensor([2.0, 3.0, 5.0, 7.0]).repeat_interleave(4))
    torch.testing.assert_close(model(given).z, base + 2 * z_a + 3 * z_b + 5 * base + 7)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [(1, 1), (3, 8), (16, 9)])
def test_any_latent_size_goes_through(size: tuple[int, int], form: str) -> None:
    assert build(**FORMS[form])(inputs(*size)).z.shape == (2, 4, *size)


@pytest.mark.parametrize("text", ["cross", "joint"])
def test_masked_tokens_do_not_influence_the_output_and_others_do(text: str) -> None:
    model, given = build(text=text), inputs()
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
    assert given.pixels is not None
    changes: list[dict[str, Any]] = [{name: getattr(given, name) + 0.5} for name in ("z_a", "z_b", "base")]
    changes += [{"prompts": pooled}, {"pixels": given.pixels.flip(1)}]
    for change in changes:
        changed = given._replace(**change)
        assert not torch.allclose(model(changed).z - changed.base, expected)


def test_an_instruction_of_no_words_is_one_too() -> None:
    model, given = build(), inputs()
    silent = given._replace(prompts=given.prompts._replace(mask=torch.zeros_like(given.prompts.mask)))
    assert model(silent).z.isfinite().all()
    assert not torch.allclose(model(silent).z, model(given).z)


@pytest.mark.parametrize("form", FORMS)
def test_samples_of_a_batch_do_not_see_each_other(form: str) -> None:
    model, given = build(**FORMS[form]), inputs()
    assert given.pixels is not None
    prompts = Prompts(*(part[:1] for part in given.prompts))
    pixels = given.pixels[:1]
    first = Inputs(given.z_a[:1], given.z_b[:1], given.base[:1], prompts, pixels, Whole.of(pixels))
    torch.testing.assert_close(model(given).z[:1], model(first).z, atol=1e-5, rtol=1e-4)


def test_a_network_with_time_takes_a_state_and_one_without_refuses_it() -> None:
    given, state, t = inputs(), torch.randn(2, 4, 6, 5), torch.tensor([0.2, 0.7])
    model = build(time=True)
    assert not torch.allclose(model(given, state, t).z, model(given, state, t / 2).z)
    assert not torch.allclose(model(given, state, t).z, model(given, state / 2, t).z)
    for network, extra in ((build(), (state, t)), (model, ()), (model, (state, None))):
        with pytest.raises(ValueError, match="time=True"):
            network(given, *extra)


@pytest.mark.parametrize("form", FORMS)
def test_save_and_load_are_bit_equal(tmp_path: Path, form: str) -> None:
    model = build(**FORMS[form])
    model.save_pretrained(tmp_path)
    again = FusionDiT.from_pretrained(tmp_path, low_cpu_mem_usage=False).eval()
    assert torch.equal(again(inputs()).z, model(inputs()).z)
    assert again.config["base"] == model.config["base"]


def test_terms_of_several_blocks_are_one_by_name_summed_where_they_count() -> None:
    one, two = torch.tensor(1.0), torch.tensor([2.0, 3.0])
    shown = Term(one, 0.0)
    total = added([{"load": Term(one, 0.1), "drift": shown}, {}, {"load": Term(two, 0.1), "drift": Term(two, 0.0)}])
    torch.testing.assert_close(total["load"].value, torch.tensor([3.0, 4.0]))
    torch.testing.assert_close(total["drift"].value, torch.tensor([1.5, 2.0]))
    assert (total["load"].weight, total["drift"].weight) == (0.1, 0.0)
