"""Claims: one process at a time, and those of the dead are passed over."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from gmc_astro.catalogs.claims import Claims


def test_one_at_a_time(tmp_path):
    with Claims(tmp_path) as mine, Claims(tmp_path) as yours:
        assert mine.take("a")
        assert not yours.take("a")
        assert not mine.take("a")
        assert yours.take("b")
        mine.release("a")
        assert yours.take("a")
    assert list(tmp_path.iterdir()) == []


def claim_of(folder, host, pid, started, age=0):
    path = folder / "a.0"
    path.write_text(json.dumps({"host": host, "pid": pid, "started": started}))
    then = time.time() - age
    os.utime(path, (then, then))
    return path


@pytest.mark.parametrize(
    ("owner", "mine"),
    [
        (("elsewhere", 1, "x", 0), False),
        (("elsewhere", 1, "x", 300), True),
        ((socket.gethostname(), os.getpid(), "before the machine was started", 0), True),
        ((socket.gethostname(), 2**22 + 1, "x", 0), True),
    ],
    ids=["alive elsewhere", "silent elsewhere", "number given anew", "no such process"],
)
def test_claims_of_others(tmp_path, owner, mine):
    claim_of(tmp_path, *owner)
    with Claims(tmp_path) as claims:
        assert claims.take("a") == mine
        assert (tmp_path / "a.1").exists() == mine


def test_a_process_that_died(tmp_path):
    """A real one, which did not say goodbye."""
    code = (
        "import os, sys; from pathlib import Path; from gmc_astro.catalogs.claims import Claims\n"
    )
    code += "claims = Claims(Path(sys.argv[1])).__enter__(); print(claims.take('a'), flush=True)\n"
    code += "sys.stdin.read(); os._exit(9)"
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "True\n"
        with Claims(tmp_path) as claims:
            assert not claims.take("a")
            process.stdin.close()
            process.wait()
            assert claims.take("a")
            claims.release("a")
            assert not list(tmp_path.glob("a.*"))


def test_a_claim_that_was_not_written_to_the_end(tmp_path):
    """Its owner may be about to; its date decides."""
    (tmp_path / "a.0").write_text("")
    with Claims(tmp_path, stale=0.2) as claims:
        assert not claims.take("a")
        time.sleep(0.3)
        assert claims.take("a")


def test_others(tmp_path):
    with Claims(tmp_path) as mine, Claims(tmp_path) as yours:
        mine.take("process.1")
        assert not mine.others("process.")
        assert yours.others("process.")
        yours.take("process.2")
        assert mine.others("process.")
        yours.release("process.2")
        assert not mine.others("process.")
