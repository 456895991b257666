"""What pytest reads of this folder: the pages, not what Sphinx makes or runs."""

collect_ignore = [
    "_build",
    "api",
    "conf.py",
    "failures.py",
    "fields.py",
    "pictures.py",
    "mathml.py",
    "check_docstrings.py",
    "check_links.py",
    "tutorial_pictures.py",
    "tutorial_pages",
]
collect_ignore_glob = ["tutorials/*.py"]  # these run when they are imported
