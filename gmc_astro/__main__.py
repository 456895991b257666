"""Run the command line with ``python -m gmc_astro``."""

from gmc_astro.cli import main

if __name__ == "__main__":
    main()
