"""The commands, run as a user runs them, on real files."""

import json
import re
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from astropy.table import Table
from click.testing import CliRunner
from PIL import Image

from gmc_astro import GalaxyMorphologyClassifier, __bibtex__
from gmc_astro.cli import COMMANDS, main
from gmc_astro.cli.pretrain import _calibrate, _labels, _with_shapes
from gmc_astro.learning import TrainingSet, World, read_table
from gmc_astro.surveys import SURVEYS


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def folder(pictures, labels, tmp_path):
    """Pictures with a table of labels, as a user would have them."""
    files = [f"{i:02d}.png" for i in range(40)]
    for file, picture in zip(files, pictures, strict=True):
        Image.fromarray(picture).save(tmp_path / file)
    table = Table({"id": np.arange(40).astype(str), "file": files, "label": labels})
    table.write(tmp_path / "labels.csv")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command):
    text = run(command, "--help").output
    assert "Examples:" in text
    assert f"gmc-astro {command}" in text


def test_version():
    assert "gmc-astro, version" in run("--version").output


def test_an_unknown_command_is_bad_usage():
    assert "No such command" in run("paint", code=2).output


def test_classify_prints_a_table(folder, tiny_folder):
    result = run("classify", folder, "--model", tiny_folder, "--classes", "round,elongated")
    assert result.stdout.count(".png") == 40
    assert "40 of 40 images classified." in result.stderr


def test_measured_numbers_are_printed_short(cube, tiny_folder):
    text = run("classify", cube, "--model", tiny_folder, "--classes", "round,elongated").stdout
    assert "petro_r90" in text
    assert not re.search(r"\d\.\d{4}", text)


@pytest.mark.parametrize("suffix", [".ecsv", ".fits", ".h5", ".parquet"])
def test_classify_writes_a_table(folder, tiny_folder, suffix):
    out = folder / f"out{suffix}"
    result = run(
        *("classify", folder / "*.png", "--model", tiny_folder),
        *("--classes", "GALAXY_MNIST", "-o", out),
    )
    table = read_table(out)
    assert len(table) == 40
    assert table.meta["class_names"][0] == "smooth_round"
    assert str(out) in result.stdout
    assert (
        "exists"
        in run(
            *("classify", folder, "--model", tiny_folder, "--classes", "a,b", "-o", out), code=2
        ).stderr
    )


def test_classify_writes_csv_for_other_programs(folder, tiny_folder):
    out = folder / "out.CSV"
    command = ("classify", folder / "*.png", "--model", tiny_folder, "--classes", "2,5", "-o", out)
    said = run(*command).stdout
    table = Table.read(out, format="ascii.csv")
    np.testing.assert_allclose(table["p_2"] + table["p_5"], 1)
    for name in (2, 5):
        assert re.search(rf"^  {name} +{(table['label'] == name).sum()} ", said, flags=re.M)


def test_each_class_is_counted_once_whatever_the_shards(folder, tiny_folder):
    out = folder / "out.ecsv"
    command = ("classify", folder / "*.png", "--model", tiny_folder, "--classes", "2,5", "-o", out)
    said = run(*command, "--rows-per-shard", 8).stdout.splitlines()
    assert [line.split()[0] for line in said] == ["2", "5", "Table:"]
    assert sum(int(line.split()[1]) for line in said[:2]) == 40


def test_classify_counts_what_failed(folder, tiny_folder):
    (folder / "07.png").write_bytes((folder / "07.png").read_bytes()[:200])
    result = run(
        "classify",
        folder,
        "--model",
        tiny_folder,
        "--classes",
        "a,b",
        "-o",
        folder / "o.ecsv",
        code=1,
    )
    assert "39 of 40 images classified." in result.stderr
    assert "1 failed:" in result.stderr
    table = read_table(folder / "o.ecsv")
    assert table["label"].mask.tolist() == [i == 7 for i in range(40)]


def test_classes_from_a_file(folder, tiny_folder):
    (folder / "classes.json").write_text(json.dumps({"a": ["a ring"], "b": ["a bar"]}))
    (folder / "classes.toml").write_text('a = ["a ring"]\nb = ["a bar"]\n')
    outputs = [
        run(
            "classify", folder / "00.png", "--model", tiny_folder, "--classes", folder / name
        ).stdout
        for name in ("classes.json", "classes.toml")
    ]
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["classify"], "Missing argument"),
        (["classify", "nowhere/", "--classes", "a,b"], "nowhere"),
        (["classify", "{folder}", "--classes", "one"], "names fewer than two classes"),
        (["classify", "{folder}", "--classes", "none.json"], "none.json is not a file"),
        (["classify", "{folder}", "--model", "compct"], "did you mean compact"),
        (["classify", "{folder}", "-o", "out.docx"], "suffix '.docx'"),
        (["fit", "{folder}/labels.csv", "--label", "bar", "-o", "x"], "no column 'bar'"),
        (["fit", "{folder}/labels.csv"], "Missing option '-o'"),
        (["pretrain", "-o", "x"], "give tables of images"),
        (["info", "nowhere"], "a checkpoint is a folder"),
    ],
)
def test_bad_usage_is_one_sentence_and_code_2(folder, tiny_folder, args, says):
    args = [arg.format(folder=folder) for arg in args]
    if args[0] in ("classify", "fit") and "--model" not in args:
        args += ["--model", str(tiny_folder)]
    result = run(*args, code=2)
    assert says in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("bad.json", b'{"a": ["a ring"],\n "b" ["a bar"]}', "as JSON, mend it: .*line 2"),
        ("bad.toml", b'a = ["a ring"]\nb = a bar\n', "as TOML, mend it: .*line 2"),
        ("bad.toml", b'a = ["a ring"]\nb = "\xff"\n', "as TOML, mend it: .*utf-8"),
    ],
    ids=["json", "toml", "no text"],
)
def test_a_settings_file_that_cannot_be_read(folder, tiny_folder, name, content, says):
    (folder / name).write_bytes(content)
    commands = [("classify", folder / "00.png", "--model", tiny_folder, "--classes")]
    if name.endswith(".toml"):
        commands.append(("pretrain", "-o", folder / "x", "--config"))
    for command in commands:
        result = run(*command, folder / name, code=2)
        assert re.search(f"^Error: .*{name} cannot be read {says}.*\n$", result.output)


def test_fit_then_classify(folder, tiny_folder, labels):
    model = folder / "model"
    result = run("fit", folder / "labels.csv", "--model", tiny_folder, "-o", model)
    assert str(model) in result.output
    run("classify", folder, "--model", model, "-o", folder / "out.ecsv")
    assert np.mean(read_table(folder / "out.ecsv")["label"] == labels) > 0.9
    assert (
        "exists"
        in run("fit", folder / "labels.csv", "--model", tiny_folder, "-o", model, code=2).stderr
    )


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (".", "is not overwritten, for it holds '00.png'"),
        ("labels.csv", "labels.csv is a file; give a folder"),
        ("labels.csv/model", "model cannot be written: .* a part of this path is a file"),
    ],
)
def test_fit_refuses_its_output_before_it_trains(folder, tiny_folder, output, says):
    """The label that is missing is found later, and never told of."""
    before = sorted(path.name for path in folder.iterdir())
    given = ("--label", "no such", "--model", tiny_folder, "--overwrite")
    result = run("fit", folder / "labels.csv", *given, "-o", folder / output, code=2)
    assert re.search(says, result.stderr)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_fit_on_a_stack_with_labels(folder, tiny_folder, pictures, labels):
    with h5py.File(folder / "stack.h5", "w") as file:
        file["images"] = pictures
        file["ans"] = (labels == "round").astype(np.uint8)
    run(
        *("fit", folder / "stack.h5", "--classes", "elongated,round"),
        *("--model", tiny_folder, "-o", folder / "model"),
    )
    out = folder / "out.h5"
    run("classify", folder / "stack.h5", "--model", folder / "model", "-o", out)
    assert np.mean(read_table(out)["label"] == labels) > 0.9


def test_fit_on_the_labels_of_a_stack_that_are_named(folder, tiny_folder, pictures, labels):
    with h5py.File(folder / "stack.h5", "w") as file:
        file["images"] = pictures
        file["ans"] = np.arange(40) % 4
        file["shape"] = labels.tolist()
    command = ("fit", folder / "stack.h5", "--model", tiny_folder, "-o", folder / "model")
    said = run(*command, "--label", "shap", code=2).stderr
    assert "has no data set 'shap' of one value a row; it has ['ans', 'shape']" in said
    assert "Classes: elongated, round" in run(*command, "--label", "shape").stdout


CONFIG = """
[model]
architecture = "compact"
weights = "random"
classes = "GZ2_FIVE_CLASS"
dtype = "float16"
[images]
size = 40
holdout = 0.3
[contract]
recipe = "SDSS_LUPTON"
framing = "petrosian"
span = 6.4
[training]
epochs = {epochs}
batch_size = 8
augmentation = {{ flip = 0.5, zoom = [0.9, 1.1] }}
"""


@pytest.fixture
def training_table(folder, labels):
    table = Table.read(folder / "labels.csv")
    table["label"] = np.where(labels == "round", "elliptical", "edge_on")
    table.write(folder / "train.csv")
    return folder / "train.csv"


def test_pretrain_then_info_then_classify(folder, training_table):
    (folder / "config.toml").write_text(CONFIG.format(epochs=1))
    model = folder / "mine"
    result = run("pretrain", training_table, "--config", folder / "config.toml", "-o", model)
    assert "held out" in result.output
    log = (folder / "mine.run" / "training_log.jsonl").read_text().splitlines()
    assert json.loads(log[1])["epoch"] == 1
    text = run("info", model).output
    assert "petrosian" in text
    assert "GZ2_FIVE_CLASS" in text
    run("classify", folder / "00.png", "--model", model)
    assert "exists" in run("pretrain", training_table, "-o", model, code=2).output


PARTS = """
[images.holdouts]
"train.csv" = 0.5
[images.repeats]
"train.csv" = 2
[images.simulated]
SDSS_LUPTON = 3
[words]
epochs = 1
caption_style = "varied"
[larger]
size = 128
pixels = 140
epochs = 1
[teachers]
towers = ["test_resnet", "test_convnext"]
epochs = 1
[taught]
itself = true
start_share = 0.5
epochs = 2
[shifted]
itself = true
epochs = 1
augmentation = { shift = 0.1 }
[asked]
epochs = 2
start_share = 0.5
"""


def test_pretrain_in_all_stages_with_simulated_galaxies(folder, training_table):
    (folder / "config.toml").write_text(CONFIG.format(epochs=1) + PARTS)
    model = folder / "mine"
    command = ("pretrain", training_table, "--config", folder / "config.toml", "-o", model)
    said = run(*command).output
    rows = [TrainingSet.read([training_table]).split(0.5), (range(3), ())]
    kept = 2 * len(rows[0][0]) + sum(hash_is_kept(f"simulated-0-{i:06d}", 0.3) for i in range(3))
    assert f"{kept} to train on" in said
    teachers = [f"teachers/{name}" for name in ("test_resnet", "test_convnext")]
    parts = ["", "words", "larger", *teachers, "taught", "shifted", "asked"]
    logs = [folder / "mine.run" / part / "training_log.jsonl" for part in parts]
    headers, epochs = [], []
    for log in logs:
        header, *entries = map(json.loads, log.read_text().splitlines())
        headers.append(header["settings"])
        epochs.append(len(entries))
    locked = [(header["locked_images"], header["locked_texts"]) for header in headers]
    assert locked == [(False, False), (True, False), *[(False, True)] * 6]
    assert [header["batch_size"] for header in headers] == [8] * 8
    assert epochs == [1, 1, 1, 1, 1, 2, 1, 2]
    assert headers[-2]["augmentation"]["shift"] == 0.1
    assert [header["loss"] for header in headers] == ["soft"] * 7 + ["answers"]
    encoder = GalaxyMorphologyClassifier(model).encoder
    assert encoder.contract.size == 128
    known = encoder.unknown_words(["a spherical ball"])
    assert "spherical" not in known or "ball" not in known


def test_marks_beside_a_configuration_and_the_repeats_of_a_stage(folder, training_table, labels):
    """Files of the marks are below the root; only the last stage shows them three times."""
    config = CONFIG.format(epochs=1) + "[asked]\nepochs = 1\nrepeats = { 'marks.csv' = 3 }\n"
    images = f"[images]\nroot = '{folder}'\ntables = ['train.csv']\nmarked = ['marks.csv']\n"
    (folder / "of").mkdir()
    (folder / "of" / "config.toml").write_text(config.replace("[images]\n", images))
    table = Table.read(training_table)[["file"]]
    table["bar"], table["ring"] = np.arange(len(table)) % 2, 0
    table.write(folder / "of" / "marks.csv")
    model = folder / "mine"
    said = run("pretrain", "--config", folder / "of" / "config.toml", "-o", model).output
    names = [str(name) for name in table["file"]]
    ids = TrainingSet.read([training_table]).votes.ids.tolist()
    held_out = sum(not hash_is_kept(name, 0.3) for name in ids)
    once = 2 * len(names) - held_out
    assert f"{once} to train on, {held_out} held out" in said
    assert f"{once + 2 * len(names)} to train on, with the repeats of this stage" in said
    log = (folder / "mine.run" / "asked" / "training_log.jsonl").read_text().splitlines()
    left_out = json.loads(log[0])["excluded"]  # marks of galaxies that are held out
    assert len(left_out) >= 3 * held_out
    assert set(left_out) & set(names)
    copied = TrainingSet.read([folder / "mine.run" / "marks.csv"])
    assert list(copied.paths) == [str(folder / name) for name in names]
    barred = copied.votes.fraction("bar", "bar")
    np.testing.assert_array_equal(np.nan_to_num(barred), np.arange(len(names)) % 2)


def test_measured_outlines_are_asked_for_where_wanted(folder, training_table):
    inputs = []
    for wanted in ("false", "true"):
        config = CONFIG.format(epochs=1) + f"[asked]\nepochs = 1\noutlines = {wanted}\n"
        (folder / "config.toml").write_text(config)
        model = folder / f"outlines_{wanted}"
        run("pretrain", training_table, "--config", folder / "config.toml", "-o", model)
        state = torch.load(Path(f"{model}.run", "asked", "training_state.pt"), weights_only=True)
        inputs.append(state["inputs"])
    assert inputs[0]["images"] == inputs[1]["images"]
    assert inputs[0]["answers"] != inputs[1]["answers"]


def test_measured_bulges_of_spirals_are_asked_for_in_the_folders_that_are_named(folder, labels):
    table = Table.read(folder / "labels.csv")
    table["label"] = np.where(labels == "round", "spiral", "elliptical")
    table.write(folder / "spirals.csv")
    answers = []
    for bulges in ("[]", f"['{folder.name}']"):
        config = CONFIG.format(epochs=1) + f"[measured]\nepochs = 1\nbulges = {bulges}\n"
        (folder / "config.toml").write_text(config)
        model = folder / f"bulges_{len(answers)}"
        run("pretrain", folder / "spirals.csv", "--config", folder / "config.toml", "-o", model)
        path = Path(f"{model}.run", "measured", "training_state.pt")
        answers.append(torch.load(path, weights_only=True)["inputs"]["answers"])
    assert answers[0] != answers[1]

    config = CONFIG.format(epochs=1) + "[measured]\nepochs = 1\nbulges = ['sdss_poll']\n"
    (folder / "config.toml").write_text(config)
    options = ("--config", folder / "config.toml", "-o", folder / "mine")
    said = run("pretrain", folder / "spirals.csv", *options, code=2).output
    assert "no image lies in a folder named sdss_poll" in said


def test_words_of_a_pretrained_model_are_asked_for_and_calibrated(folder, labels):
    table = Table.read(folder / "labels.csv")
    table["label"] = np.where(labels == "round", "smooth_completely_round", "edge_on")
    table.write(folder / "five.csv")
    asked = CONFIG.format(epochs=1).replace("[model]", f'[model]\ncalibrate = "{folder}/five.csv"')
    (folder / "config.toml").write_text(asked + "[asked]\nepochs = 2\n")
    options = ("--config", folder / "config.toml", "-o", folder / "mine")
    said = run("pretrain", folder / "five.csv", *options).output
    assert "words divided by temperature" in said


def test_calibration_is_on_rows_that_were_trained_on(tiny_folder, folder, training_table, labels):
    """Not on rows that were held out, and not on those that show a galaxy held out elsewhere."""
    training, _ = TrainingSet.read([folder / "train.csv"]).split(0.4)
    known = _labels(str(folder / "train.csv"))
    assert list(known.values()) == np.where(labels == "round", "elliptical", "edge_on").tolist()
    options = {"classes": ["elliptical", "edge_on"], "device": "cpu"}
    found, expected = (GalaxyMorphologyClassifier(tiny_folder, **options) for _ in range(2))
    found.excluded_ = np.asarray(training.images(48).ids)[:3].astype(str)
    _calibrate(found, training, known)
    paths = list(training.paths[3:])
    expected.calibrate_words(paths, [known[path] for path in paths])
    assert found.temperature_ == expected.temperature_
    assert found.temperature_ != pytest.approx(1, abs=1e-3)


def test_calibration_wants_a_table_with_labels(folder, training_table):
    (folder / "config.toml").write_text(
        CONFIG.format(epochs=1).replace("[model]", f'[model]\ncalibrate = "{folder}/bare.csv"')
    )
    table = Table.read(training_table)
    table.remove_column("label")
    table.write(folder / "bare.csv")
    options = ("--config", folder / "config.toml", "-o", folder / "mine")
    assert (
        "bare.csv has no column label" in run("pretrain", training_table, *options, code=2).output
    )


def test_outlines_that_were_kept_are_of_the_files_at_hand(training_table, tmp_path):
    """As many other files, or the same in another order, do not get each other's outlines."""
    parts, kept = TrainingSet.read([training_table]).split(0.5), tmp_path / "shapes.npz"
    first = _with_shapes(parts, kept, World())
    other = _with_shapes(parts[::-1], kept, World())
    assert np.isfinite(first[0].votes.fractions).sum() > np.isfinite(parts[0].votes.fractions).sum()
    for part, same in zip(first, other[::-1], strict=True):
        np.testing.assert_array_equal(part.votes.fractions, same.votes.fractions)


def hash_is_kept(name, share):
    return zlib.crc32(name.encode()) >= share * 2**32


def test_pretrain_refuses_a_setting_that_means_nothing(folder, training_table):
    (folder / "config.toml").write_text("[training]\nepoch = 3\n")
    result = run(
        "pretrain", training_table, "--config", folder / "config.toml", "-o", folder / "m", code=2
    )
    assert "epoch is not a setting of [training]" in result.output


def test_info_of_the_bundled_model():
    text = run("info").output
    for word in ("torch", "compact", "SHA-256", "smooth_cigar", "@article"):
        assert word in text
    card = re.search(r"^Card.*\n  (.*README\.md)$", text, flags=re.M)[1]
    assert Path(card).read_text().startswith("# compact")


def test_info_says_how_to_cite_and_whom_to_thank(tiny_folder):
    text = run("info", tiny_folder).output
    for line in __bibtex__.strip().splitlines():
        assert line in text
    flat = " ".join(text.split())
    for survey in SURVEYS.values():
        assert f"{survey.name}: {survey.title} {survey.credit or 'none given'}" in flat


@pytest.mark.parametrize("command", ["demo", "pretrain {folder}/labels.csv"])
def test_an_output_below_a_file(folder, command):
    words = command.format(folder=folder).split()
    result = run(*words, "-o", folder / "00.png" / "out", code=2)
    assert re.search(r"^Error: .*00\.png/out.* cannot be written: Not a directory", result.stderr)


def test_demo(tmp_path):
    result = run("demo", "-o", tmp_path / "demo", "--views", "1")
    table = read_table(tmp_path / "demo" / "hubble_galaxies.ecsv")
    assert len(table) >= 60
    assert all(table["status"] == "ok")
    for name in ("hubble_field.png", "hubble_examples.png"):
        assert str(tmp_path / "demo" / name) in result.output
        with Image.open(tmp_path / "demo" / name) as picture:
            assert min(picture.size) > 500
            assert np.asarray(picture.convert("L")).std() > 5


def test_real_fits_files(data_folder, tmp_path):
    out = tmp_path / "out.ecsv"
    files = sorted((data_folder / "fits").glob("*.fits*"))
    result = run("classify", data_folder / "fits", "-o", out, "--views", "1", code=1)
    table = read_table(out)
    names = {str(name).rsplit("/", 1)[-1] for name in table["id"]}
    assert {file.name for file in files} <= names
    failed = {
        str(row["id"]).rsplit("/", 1)[-1]: row["status"] for row in table[table["label"].mask]
    }
    assert len(failed) == 1
    ((name, reason),) = failed.items()
    assert "trunc" in name.lower() or "trunc" in reason.lower()
    assert reason in result.stderr


@pytest.mark.parametrize(
    "command", [("classify", "labels.csv"), ("classify", "00.png"), ("captions", "labels.csv")]
)
def test_no_output_takes_the_place_of_its_input(folder, tiny_folder, command):
    name, given = command
    before = (folder / given).read_bytes()
    model = ["--model", tiny_folder, "--classes", "a,b"] if name == "classify" else []
    (folder / "link.csv").symlink_to(given)
    for output in (given, "link.csv"):
        args = (name, folder / given, "-o", folder / output, "--overwrite", *model)
        assert "is read from: give another name" in run(*args, code=2).stderr
    assert (folder / given).read_bytes() == before


def test_a_fit_says_which_images_it_lacked(folder, tiny_folder):
    (folder / "07.png").write_bytes(b"broken")
    with pytest.warns(UserWarning, match="1 of 40 labelled images cannot be had and teach nothing"):
        result = run(
            *("fit", folder / "labels.csv", "--model", tiny_folder, "-o", folder / "model"), code=1
        )
    assert "Labelled images: 39" in result.stdout
    assert (folder / "model" / "head.safetensors").exists()


def test_a_file_of_classes_with_something_else_in_it(folder, tiny_folder):
    (folder / "c.toml").write_text('yes = ["a ring galaxy"]\nno = 3\n')
    args = ("classify", folder / "00.png", "--model", tiny_folder, "--classes", folder / "c.toml")
    assert "class 'no' has prompts 3: give a sentence" in run(*args, code=2).stderr
