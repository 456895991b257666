"""Links are checked for real: against a server on this machine, and where nobody answers."""

import runpy
import socket
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="needs gmc_astro[docs]")
SCRIPT = Path(__file__).parents[2] / "docs" / "check_links.py"


@pytest.fixture(scope="module")
def main():
    return runpy.run_path(str(SCRIPT))["main"]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    """Address of a server that has one page."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "page.html").write_text("<html><body>here</body></html>")
    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


@pytest.fixture(scope="module")
def silent():
    """Address of a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def check(main, tmp_path, capfd):
    """The function that checks a page with some links: its exit code and what was said."""

    def run(*links):
        source = tmp_path / "source"
        source.mkdir()
        (source / "conf.py").write_text("")
        lines = ["Page", "====", "", *(f"`{i} <{link}>`__\n" for i, link in enumerate(links))]
        (source / "index.rst").write_text("\n".join(lines))
        code = main(str(source), str(tmp_path / "output"))
        return code, capfd.readouterr().out

    return run


def test_all_is_well(check, server):
    assert check(f"{server}/page.html") == (0, "")


def test_a_missing_page_is_broken(check, server):
    code, said = check(f"{server}/page.html", f"{server}/lost.html")
    assert code == 1
    assert f"index.rst:6: {server}/lost.html" in said
    assert "404" in said
    assert "page.html" not in said


def test_a_silent_host_is_broken_where_others_answer(check, server, silent):
    code, said = check(f"{server}/page.html", f"{silent}/page.html")
    assert code == 1
    assert f"{silent}/page.html" in said


def test_without_network_nothing_is_broken(check, silent):
    code, said = check(f"{silent}/page.html", f"{silent}/other.html")
    assert code == 0
    assert said == "no network: 2 links to other hosts were not checked\n"


def test_a_link_to_a_file_that_is_not_there_is_broken_without_network_too(check, silent):
    code, said = check(f"{silent}/page.html", "lost/file.html")
    assert code == 1
    assert "lost/file.html" in said
