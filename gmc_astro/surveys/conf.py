"""Settings of the survey services, in astropy's manner: change them in code or in a file."""

from __future__ import annotations

from astropy import config

__all__ = ["Conf", "conf"]


class Conf(config.ConfigNamespace):
    """Settings of `gmc_astro.surveys`.

    Examples
    --------
    >>> from gmc_astro.surveys import conf
    >>> with conf.set_temp("timeout", 5):
    ...     conf.timeout
    5.0
    """

    rootname = "gmc_astro"

    viewer = config.ConfigItem(
        "https://www.legacysurvey.org/viewer", "Address of the Legacy Surveys viewer."
    )
    hips2fits = config.ConfigItem(
        "https://alasky.cds.unistra.fr/hips-image-services/hips2fits", "Address of hips2fits."
    )
    timeout = config.ConfigItem(30.0, "Seconds to wait for a connection and between two bytes.")
    tries = config.ConfigItem(5, "Times to ask before a row fails.")
    pause = config.ConfigItem(0.5, "Seconds before the second try; doubled for each further one.")
    longest_pause = config.ConfigItem(120.0, "Seconds that a server may ask us to wait at most.")
    cache_gigabytes = config.ConfigItem(20.0, "Size of the cache on disk; the oldest go first.")


conf = Conf()
