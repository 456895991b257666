"""Tell what a galaxy looks like, in classes named in words.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

import lazy_loader

from gmc_astro._version import __version__

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "catalogs",
        "cli",
        "evaluation",
        "imaging",
        "learning",
        "models",
        "morphology",
        "plots",
        "search",
        "sources",
        "surveys",
        "testing",
    ],
    submod_attrs={
        "catalogs": ["classify_catalog"],
        "classifier": ["GalaxyMorphologyClassifier"],
        "morphology": ["ClassScheme"],
        "sources": ["open_images"],
        "surveys": ["fetch_cutouts"],
    },
)

__bibtex__ = __citation__ = r"""@article{Cai2026,
  author = {Cai and others},
  title = {CLIP-GMC: contrastive image-text pretraining for galaxy morphology classification},
  year = {2026},
}
@article{Willett2013,
  author = {{Willett}, K. W. and {Lintott}, C. J. and {Bamford}, S. P. and others},
  title = {Galaxy Zoo 2: detailed morphological classifications for 304,122 galaxies from the
           Sloan Digital Sky Survey},
  journal = {Monthly Notices of the Royal Astronomical Society},
  volume = {435},
  pages = {2835},
  year = {2013},
  doi = {10.1093/mnras/stt1458},
}
"""
__all__ = [*__all__, "__bibtex__", "__citation__", "__version__"]
