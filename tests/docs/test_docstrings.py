"""Docstrings of all public names have numpydoc's sections; the script that says so can say no."""

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "check_docstrings.py"

MODULE = '''
from typing import Protocol

__all__ = ["Oven", "OvenError", "Recipe", "Stove", "bake", "eggs", "whole"]


class OvenError(Exception):
    """The oven is cold."""


class Recipe(Protocol):
    """What to bake.

    Examples
    --------
    >>> recipe: Recipe
    """

    def bake(self, flour):
        """Bake it.

        Parameters
        ----------
        flour : float
            Grams.

        Returns
        -------
        cake : str
            The cake.
        """


class Oven:
    """Bakes.

    Parameters
    ----------
    heat : float
        Kelvin.

    Examples
    --------
    >>> Oven(450.0)
    """

    def __init__(self, heat):
        if heat < 400:
            raise OvenError(heat)
        self.heat = heat

    @property
    def warm(self):
        """Whether it is warm."""
        return self.heat > 300

    def bake(self, flour):
        """Bake."""
        return flour

    def _clean(self):
        return 1


class Stove(Oven):
    """Bakes as well.

    Parameters
    ----------
    heat : float
        Kelvin.

    Examples
    --------
    >>> Stove(450.0)
    """

    def bake(self, flour):
        return flour


def bake(flour, *, sugar=0.0):
    """Bake without an oven.

    Parameters
    ----------
    flour : float
        Grams.

    Raises
    ------
    ValueError
        If there is none.
    """
    if sugar:
        raise TypeError("no sugar")

    def later():
        raise KeyError("not ours")

    try:
        return later
    except OSError:
        raise


def eggs(n):
    """Lay eggs.

    Parameters
    ----------
    n : int
        Number.

    Examples
    --------
    In words alone.
    """
    yield from range(n)


def whole(n):
    """Return a number.

    Parameters
    ----------
    n : int
        Number.

    Returns
    -------
    n : int
        Number.

    Raises
    ------
    ValueError
        If it is negative.

    Examples
    --------
    >>> whole(2)
    2
    """
    if n < 0:
        raise ValueError(n)
    return n
'''
LACKS = [
    "Oven: RS01 Raises says nothing of OvenError",
    "Oven.bake: PR01 Parameters {'flour'} not documented",
    "Oven.bake: RT01 No Returns section found",
    "bake: PR01 Parameters {'sugar'} not documented",
    "bake: RT01 No Returns section found",
    "bake: EX01 No example found",
    "bake: RS01 Raises says nothing of TypeError",
    "eggs: YD01 No Yields section found",
    "eggs: EX01 No example found",
]


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SCRIPT))


def test_no_docstring_lacks_a_section(script):
    assert script["lacks"]() == []


def test_every_lack_is_found(script, tmp_path, monkeypatch):
    name = "gmc_astro_of_this_test"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    assert script["lacks"]([name]) == [f"{name}.{lack}" for lack in LACKS]


def test_the_list_of_packages_is_whole(script):
    """Each module or folder with an ``__all__`` is one, but for the classifier and the commands.

    The classifier is reached by the package itself; the command line has no Python names.
    """
    import gmc_astro

    folder = Path(gmc_astro.__file__).parent
    modules = [*folder.glob("[!_]*.py"), *(path.parent for path in folder.glob("*/__init__.py"))]
    packages = {
        f"gmc_astro.{path.stem}"
        for path in modules
        if "__all__" in (path / "__init__.py" if path.is_dir() else path).read_text()
    }
    apart = {"gmc_astro.classifier", "gmc_astro.cli"}
    assert packages - apart == set(script["PACKAGES"]) - {"gmc_astro"}
