"""Choices that depend on an id, an epoch and a seed alone: the same on every machine.

A counter-based generator: a galaxy's id is hashed once, and its n-th draw is the n-th output
of SplitMix64 from there, computed for all galaxies at once.
"""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["Draws", "keys_of"]

_MASK = 2**64 - 1
_STEP = 0x9E3779B97F4A7C15


def keys_of(ids: np.ndarray) -> np.ndarray:
    """Hash ids.

    Parameters
    ----------
    ids : `~numpy.ndarray` of str, shape (N,)
        Any texts.

    Returns
    -------
    keys : `~numpy.ndarray`, shape (N,), dtype uint64
        The first 8 bytes of each text's BLAKE2b hash.
    """
    digests = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in ids.tolist()]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


class Draws:
    """Random numbers of many galaxies, each a function of its key, the epoch and the seed.

    Parameters
    ----------
    keys : `~numpy.ndarray`, shape (N,), dtype uint64
        As `keys_of` gives them.
    epoch, seed : int
        Any integers.

    References
    ----------
    .. [1] Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators",
       OOPSLA '14, https://doi.org/10.1145/2660193.2660195
    """

    def __init__(self, keys: np.ndarray, epoch: int, seed: int) -> None:
        turn = np.array([epoch & _MASK, seed & _MASK], np.uint64)
        first, second = _mix(turn + np.array([_STEP, 2 * _STEP & _MASK], np.uint64))
        self._state = _mix(_mix(keys ^ first) ^ second)

    def bits(self, counter: int) -> np.ndarray:
        """Draw 64 bits for each galaxy.

        Parameters
        ----------
        counter : int
            Which draw.

        Returns
        -------
        bits : `~numpy.ndarray`, shape (N,), dtype uint64
            The same for the same counter.
        """
        return _mix(self._state + np.uint64((counter + 1) * _STEP & _MASK))

    def below(self, counter: int, n: int | np.ndarray) -> np.ndarray:
        """Draw a number from 0 to ``n`` - 1 for each galaxy.

        Parameters
        ----------
        counter : int
            Which draw.
        n : int or `~numpy.ndarray` of int, shape (N,)
            How many numbers there are to draw from.

        Returns
        -------
        numbers : `~numpy.ndarray`, shape (N,), dtype int64
            Even to 1 part in 2**64 / n.
        """
        return (self.bits(counter) % np.asarray(n, np.uint64)).astype(np.int64)


def _mix(values: np.ndarray) -> np.ndarray:
    """SplitMix64's output function; uint64 arrays wrap around silently."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
