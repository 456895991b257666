import numpy as np

from gmc_astro.morphology.draws import Draws, keys_of


def test_known_values():
    """SplitMix64 from state 0 (Vigna's splitmix64.c); BLAKE2b's first bytes."""
    draws = Draws.__new__(Draws)
    draws._state = np.zeros(1, np.uint64)
    assert [int(draws.bits(i)[0]) for i in range(3)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]
    assert int(keys_of(np.array(["abc"]))[0]) == int.from_bytes(
        bytes.fromhex("d8bb14d833d59559"), "little"
    )


def test_a_draw_depends_on_id_epoch_seed_and_counter():
    keys = keys_of(np.array(["1", "2"]))
    values = {
        tuple(Draws(keys, epoch, seed).bits(counter).tolist())
        for epoch in (0, 1, 2**40, -1)
        for seed in (0, 1, 2**63)
        for counter in range(5)
    }
    assert len(values) == 60
    assert len({v for pair in values for v in pair}) == 120


def test_draws_are_even():
    keys = keys_of(np.arange(30000).astype(str))
    counts = np.bincount(Draws(keys, 1, 2).below(3, 6), minlength=6)
    assert np.abs(counts - 5000).max() < 300  # 4.6 standard deviations
