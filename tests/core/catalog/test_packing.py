"""How MLX has packed weights, told by their headers."""

from __future__ import annotations

from typing import Any

import pytest

from core.catalog.packing import mended_quantisation
from core.catalog.safetensors import BrokenWeights, Tensor

CONFIG = {"hidden_size": 256, "intermediate_size": 1024, "num_attention_heads": 4, "head_dim": 128}
WIDTHS = {"q_proj": 256, "o_proj": 512, "down_proj": 1024}


def tensor(dtype: str, *shape: int) -> Tensor:
    return Tensor(dtype, shape, 0)


def packed(bits: int, group: int, scales: str = "F16", **bits_of: int) -> dict[str, Tensor]:
    """Headers of three modules; `bits_of` are those of modules that have others."""
    found = {"norm.weight": tensor("F16", 256)}
    for module, width in WIDTHS.items():
        found[f"{module}.weight"] = tensor("U32", 64, width * bits_of.get(module, bits) // 32)
        found[f"{module}.scales"] = tensor(scales, 64, width // group)
    return found


def test_what_config_says_as_loaders_ask_is_left_as_it_is() -> None:
    assert mended_quantisation({"quantization": {"bits": 8, "group_size": 32}}, packed(4, 64)) is None
    assert mended_quantisation({}, {"a.weight": tensor("F16", 4, 4)}) is None


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("group", [32, 64, 128])
@pytest.mark.parametrize("stated", [{}, {"bits": 4}, {"bits": 8, "group_size": 32}])
def test_widths_tell_bits_and_group_size_whatever_is_stated(bits: int, group: int, stated: dict[str, Any]) -> None:
    told = mended_quantisation({**CONFIG, "quantization_config": stated}, packed(bits, group))
    assert told == {"bits": bits, "group_size": group}


def test_where_no_width_is_known_what_is_stated_decides() -> None:
    for stated in ({"bits": 4}, {"group_size": 64}, {"bits": 8, "group_size": 64}):
        told = mended_quantisation({"quantization_config": stated}, packed(4, 64))
        assert told == {"bits": 4, "group_size": 64}


def test_where_nothing_tells_it_is_said() -> None:
    with pytest.raises(BrokenWeights, match="neither config.json nor their shapes tell how"):
        mended_quantisation({}, packed(4, 64))
    odd = {"a.weight": tensor("U32", 4, 7), "a.scales": tensor("F16", 4, 3)}
    with pytest.raises(BrokenWeights, match="do not fit their scales"):
        mended_quantisation(CONFIG, odd)


@pytest.mark.parametrize(("bits", "group", "mode"), [(4, 16, "nvfp4"), (4, 32, "mxfp4"), (8, 32, "mxfp8")])
def test_scales_of_a_byte_tell_the_mode(bits: int, group: int, mode: str) -> None:
    told = mended_quantisation({}, packed(bits, group, scales="U8"))
    assert told == {"bits": bits, "group_size": group, "mode": mode}


def test_modules_that_differ_are_named() -> None:
    told = mended_quantisation(CONFIG, packed(4, 64, down_proj=8))
    assert told == {"bits": 4, "group_size": 64, "down_proj": {"bits": 8, "group_size": 64}}


def test_what_is_stated_of_modules_is_kept() -> None:
    stated = {"bits": 4, "group_size": 64, "quant_method": "mlx", "down_proj": {"bits": 8, "group_size": 64}}
    told = mended_quantisation({**CONFIG, "quantization_config": stated}, packed(4, 64, down_proj=8))
    assert told == {name: value for name, value in stated.items() if name != "quant_method"}


def test_weights_that_are_not_packed_need_no_word() -> None:
    plain = {"a.weight": tensor("BF16", 4, 4)}
    for config in (
        {"quantization_config": {"bits": 4}},
        {"quantization": None},
        {"quantization_config": ["awq"]},
        {"text_config": {"quantization": {"a": 1}}},
    ):
        assert mended_quantisation(config, plain) == {}


def test_what_others_have_packed_is_the_libraries() -> None:
    theirs = {"a.qweight": tensor("I32", 4, 4), "a.scales": tensor("F16", 4, 4)}
    assert mended_quantisation({"quantization_config": {"quant_method": "awq", "bits": 4}}, theirs) is None
    with pytest.raises(BrokenWeights, match="as AWQ and GPTQ do it, and config.json does not name one of them"):
        mended_quantisation({"quantization_config": {"bits": 4}}, theirs)
