"""What pytest reads of this folder: the pages, not what Sphinx makes or runs."""

collect_ignore = [
    "_build",
    "api",
    "conf.py",
    "failures.py",
    "pictures.py",
    "mathml.py",
    "check_docstrings.py",
    "check_links.py",
]
