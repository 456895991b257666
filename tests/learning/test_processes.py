"""Real processes: killed in the middle of an epoch, and several that train as one."""

import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from astropy.table import Table
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file

from gmc_astro.cli import main

CONFIG = """
[model]
architecture = "{model}"
[images]
size = 40
outlines = false
holdout = 0
[training]
epochs = {epochs}
batch_size = 8
ema = 0.9
loss = "{loss}"
precision = "{precision}"
learning_rate = {rate}
"""


@pytest.fixture
def training(tmp_path, pictures, tiny_folder):
    """The command's arguments but for the output, in a folder with images and a configuration."""
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{i:02}.png")
    labels = ["elliptical", "edge_on"] * 20
    files = [f"{i:02}.png" for i in range(40)]
    Table({"file": files, "label": labels}).write(tmp_path / "train.csv")

    def arguments(output, *, rate=1e-3, loss="relation", precision="fp32", epochs=2, **options):
        config = tmp_path / "config.toml"
        values = {"epochs": epochs, "loss": loss, "precision": precision, "rate": rate}
        config.write_text(CONFIG.format(model=tiny_folder, **values))
        extra = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
        return [
            *("pretrain", str(tmp_path / "train.csv"), "--config", str(config)),
            *("-o", str(tmp_path / output), "--device", "cpu", *extra),
        ]

    return arguments


def run(arguments):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output


def entries(folder):
    lines = (folder / "training_log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines[1:]]


def test_a_killed_run_ends_as_an_undisturbed_one(training, tmp_path):
    """SIGKILL after a random step, mostly within an epoch; then the same command again."""
    epochs, steps = 30, 150
    run(training("whole", epochs=epochs))
    wanted = random.randrange(3, steps // 3)
    arguments = training("killed", epochs=epochs, save_every=1)
    process = subprocess.Popen(
        [sys.executable, "-m", "gmc_astro", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    log = tmp_path / "killed.run" / "training_log.jsonl"
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if log.is_file() and log.read_text().count('"step"') >= wanted:
            break
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    message = process.communicate()[1].decode()
    assert process.returncode == -signal.SIGKILL, message
    state = torch.load(tmp_path / "killed.run" / "training_state.pt", weights_only=True)
    reached = state["epoch"] * 5 + len(state["losses"])
    assert wanted <= reached < steps

    run(arguments)
    whole, killed = (
        load_file(tmp_path / name / "open_clip_model.safetensors") for name in ("whole", "killed")
    )
    different = [name for name in whole if not torch.equal(whole[name], killed[name])]
    assert different == [], f"killed after step {reached}"


@pytest.mark.parametrize(("loss", "rate"), [("relation", 1e-4), ("infonce", 2e-5)])
def test_two_processes_train_as_one(training, tmp_path, loss, rate):
    # Adam divides by the size of a gradient, and so magnifies rounding: a small rate keeps it small
    options = {"loss": loss, "save_every": 1, "rate": rate}
    run(training("one", **options))
    arguments = training("two", **options)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    finished = subprocess.run(
        [*torchrun, "--master-port", "0", "--standalone", "-m", "gmc_astro", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    one, two = (entries(tmp_path / f"{name}.run") for name in ("one", "two"))
    assert len(one) == len(two) == 12
    np.testing.assert_allclose(
        [entry["loss"] for entry in two], [entry["loss"] for entry in one], rtol=0, atol=1e-4
    )
    assert finished.stdout.count("Checkpoint:") == 1


DIFFERENT_STARTS = """
import sys
import numpy as np, torch
from gmc_astro import open_images
from gmc_astro.learning import FixedCaptions, PretrainSettings, joined_processes, pretrain
from gmc_astro.models import load_encoder

pictures = np.load(sys.argv[1])
captions = FixedCaptions(["a round galaxy", "an elongated galaxy"] * (len(pictures) // 2))
settings = PretrainSettings(epochs=2, batch_size=8, locked_texts=True, precision="fp32")
with joined_processes("cpu") as (world, device):
    torch.manual_seed(world.rank)
    encoder = load_encoder(sys.argv[2], device=device)
    larger = encoder.with_image_tower("test_convnext")
    own = larger.weights_sha256
    for learner, teachers in ((larger, ()), (encoder, (larger,))):
        pretrain(
            learner, open_images(pictures), captions, settings=settings, teachers=teachers,
            progress=False,
        )
    print("\\n", own, larger.weights_sha256, encoder.weights_sha256, flush=True)
"""


def test_random_weights_of_two_processes_become_the_same(tiny_folder, pictures, tmp_path):
    """A teacher with other random weights in each, and then what it taught."""
    np.save(tmp_path / "pictures.npy", pictures[:16])
    (tmp_path / "script.py").write_text(DIFFERENT_STARTS)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    files = [tmp_path / name for name in ("script.py", "pictures.npy")]
    finished = subprocess.run(
        [*torchrun, "--master-port", "0", "--standalone", *map(str, files), str(tiny_folder)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    hashes = [line.split() for line in finished.stdout.splitlines() if len(line.split()) == 3]
    (start, teacher, taught), other = hashes
    assert other[0] != start
    assert other[1:] == [teacher, taught]


def test_a_batch_that_cannot_be_shared():
    from gmc_astro.exceptions import InputError
    from gmc_astro.learning import PretrainSettings
    from gmc_astro.learning.distributed import World
    from gmc_astro.learning.pretraining import _check_batch

    with pytest.raises(InputError, match="batch_size=9 cannot be shared evenly by 2 processes"):
        _check_batch(PretrainSettings(batch_size=9), World(0, 2))
