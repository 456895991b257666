"""The ways in which survey services fail, as seen on the real ones, to be served on request."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

__all__ = ["HIPS_FAULTS", "VIEWER_FAULTS", "Fault", "Faults"]


@dataclass(frozen=True)
class Fault:
    """One way to fail.

    Parameters
    ----------
    name : str
        What to call it.
    reason : str
        Beginning of the status that a row gets by it.
    passing : bool, optional
        True where another try may help.

    Examples
    --------
    >>> from gmc_astro.testing import HIPS_FAULTS, Fault
    >>> Fault("refused", "refused (400)", passing=False) in HIPS_FAULTS
    True
    """

    name: str
    reason: str
    passing: bool = True


_COMMON = (
    Fault("overloaded", "server error (503)"),
    Fault("too many requests", "server error (429)"),
    Fault("refused", "refused (400)", passing=False),
    Fault("page", "not an image"),
    Fault("slow", "timed out"),
    Fault("cut off", "connection lost"),
    Fault("hung up", "connection lost"),
    Fault("half a file", "not an image"),
    Fault("other shape", "not an image"),
    Fault("empty", "not an image"),
)
#: Faults of hips2fits.
HIPS_FAULTS = (*_COMMON, Fault("no data", "no data in band", passing=False))
#: Faults of the Legacy Surveys viewer.
VIEWER_FAULTS = (
    *_COMMON,
    Fault("no such layer", "not an image: 'no such layer", passing=False),
    Fault("off the footprint", "outside footprint", passing=False),
    Fault("no data in one band", "no data in band g", passing=False),
    Fault("constant", "outside footprint", passing=False),
)


@dataclass
class Faults:
    """Which requests fail, and how: drawn from the request itself, so that it can be told after.

    Parameters
    ----------
    kinds : tuple of `Fault`
        What may happen.
    share : float, optional
        Share of the requests that fail each time that they are sent.
    passing : float, optional
        Share of the requests whose first answer alone fails.
    seed : int, optional
        Of the draw.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from gmc_astro import fetch_cutouts
    >>> from gmc_astro.testing import Fault, Faults, serve_surveys
    >>> faults = Faults((Fault("refused", "refused (400)", passing=False),), share=1.0)
    >>> position = SkyCoord(184.85, 5.79, unit="deg")
    >>> with serve_surveys(faults):
    ...     batch = fetch_cutouts(position, survey="decals", cache=False, progress=False).read()
    >>> print(batch.status[0])
    refused (400): Bad Request: Parameter fov is wrong
    """

    kinds: tuple[Fault, ...] = ()
    share: float = 0.0
    passing: float = 0.0
    seed: int = 0

    def lasting(self, key: str) -> Fault | None:
        """The fault of each answer to a request, if there is one.

        Parameters
        ----------
        key : str
            The request, as its address says it.

        Returns
        -------
        fault : `Fault` or None
            None where the request is answered well.
        """
        draw = self._draw(key, "lasting")
        if not self.kinds or draw >= self.share:
            return None
        return self.kinds[int(self._draw(key, "kind") * len(self.kinds))]

    def of(self, key: str, answered: int) -> Fault | None:
        """The fault of one answer, after so many answers to the same request.

        Parameters
        ----------
        key : str
            The request, as its address says it.
        answered : int
            How often it was answered before.

        Returns
        -------
        fault : `Fault` or None
            None where it is answered well this time.
        """
        fault = self.lasting(key)
        may_pass = [kind for kind in self.kinds if kind.passing]
        if fault is None and may_pass and not answered and self._draw(key, "pass") < self.passing:
            return may_pass[int(self._draw(key, "kind") * len(may_pass))]
        return fault

    def _draw(self, key: str, what: str) -> float:
        digest = hashlib.blake2b(f"{self.seed} {what} {key}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64
