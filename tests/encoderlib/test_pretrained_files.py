"""encoderlib.pretrained.files: damaged, missing and dangerous files, the hub, atomic writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from encoderlib import pretrained
from encoderlib.config import EncoderConfig
from encoderlib.encoder import Encoder
from encoderlib.inputs import TextEmbedding
from encoderlib.pretrained import files

CONFIG = EncoderConfig(15, 5, 23, 2)
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


@pytest.fixture
def made(tmp_path, randomise):
    """An encoder and the directory where it is saved."""
    encoder = randomise(Encoder(CONFIG, TextEmbedding(37, 15, 19))).eval()
    encoder.save_pretrained(tmp_path / "model")
    return encoder, tmp_path / "model"


def same(one, other):
    states = one.state_dict(), other.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][name], states[1][name]) for name in states[0]
    )


def shard(directory, n=3):
    """Split model.safetensors into n files and an index, as transformers does with large models."""
    tensors = load_file(directory / WEIGHTS)
    index = {}
    for i in range(n):
        file = f"model-{i + 1:05}-of-{n:05}.safetensors"
        part = {name: tensors[name].clone() for name in sorted(tensors)[i::n]}
        save_file(part, directory / file)
        index |= dict.fromkeys(part, file)
    (directory / WEIGHTS).unlink()
    (directory / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return index


def test_shards_are_read_as_one_file(made):
    encoder, directory = made
    index = shard(directory)
    assert len(set(index.values())) == 3
    assert same(Encoder.from_pretrained(directory), encoder)


def test_transformers_shards_are_read(tmp_path, randomise):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    sizes = {"hidden_size": 15, "num_attention_heads": 5, "intermediate_size": 23}
    config = transformers.BertConfig(vocab_size=37, num_hidden_layers=2, **sizes)
    model = randomise(transformers.BertForMaskedLM(config)).eval()
    model.save_pretrained(tmp_path / "one")
    model.save_pretrained(tmp_path / "many", max_shard_size="9KB")
    assert (tmp_path / "many" / INDEX).exists()
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 2
    one, many = (Encoder.from_pretrained(tmp_path / name) for name in ("one", "many"))
    assert same(one, many)


def test_one_file_goes_before_an_index(made):
    """So that saving into a directory that has shards is not in vain."""
    encoder, directory = made
    shard(directory)
    with torch.no_grad():
        encoder.norm.bias.add_(1)
    encoder.save_pretrained(directory)
    assert (directory / INDEX).exists()
    assert same(Encoder.from_pretrained(directory), encoder)


def test_a_shard_that_is_not_there_is_named(made):
    _, directory = made
    shard(directory)
    (directory / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=f"has no model-00002-of-00003.*which {INDEX} na"):
        Encoder.from_pretrained(directory)


def test_a_tensor_that_its_shard_does_not_have_is_named(made):
    _, directory = made
    index = shard(directory)
    index["ghost"] = "model-00001-of-00003.safetensors"
    (directory / INDEX).write_text(json.dumps({"weight_map": index}))
    with pytest.raises(
        ValueError, match=r"model-00001-of-00003.safetensors does not .*\['ghost'\]"
    ):
        Encoder.from_pretrained(directory)


@pytest.mark.parametrize("file", ["../model.safetensors", "/etc/passwd", "sub/x.safetensors"])
def test_an_index_cannot_point_out_of_its_directory(file, made):
    _, directory = made
    index = shard(directory)
    index["norm.bias"] = file
    (directory / INDEX).write_text(json.dumps({"weight_map": index}))
    with pytest.raises(ValueError, match=f"names '{file}', which is not a file beside it"):
        Encoder.from_pretrained(directory)


@pytest.mark.parametrize("index", [{}, {"weight_map": 3}, {"weight_map": {"norm.bias": 3}}])
def test_an_index_without_a_map_is_refused(index, made):
    _, directory = made
    shard(directory)
    (directory / INDEX).write_text(json.dumps(index))
    with pytest.raises(ValueError, match="has no weight_map from tensor names to files"):
        Encoder.from_pretrained(directory)


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file_is_named(keep, sharded, made):
    _, directory = made
    if sharded:
        shard(directory)
    path = directory / ("model-00003-of-00003.safetensors" if sharded else WEIGHTS)
    path.write_bytes(path.read_bytes()[:keep])
    size = path.stat().st_size
    with pytest.raises(ValueError, match=rf"{path.name} \({size} bytes\) is truncated or not a sa"):
        Encoder.from_pretrained(directory)


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "model.pt", "last.ckpt"]
)
def test_pickles_are_refused_and_not_opened(name, made):
    _, directory = made
    (directory / WEIGHTS).unlink()

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(directory / "exploded"),)

    torch.save({"x": Bomb()}, directory / name)
    with pytest.raises(FileNotFoundError) as error:
        Encoder.from_pretrained(directory)
    assert not (directory / "exploded").exists()
    text = str(error.value)
    assert f"has no model.safetensors (other weights here: {name})" in text
    assert "pickles, which can run any code when they are read" in text
    assert f"AutoModel.from_pretrained({str(directory)!r}, use_safetensors=False)" in text
    assert text.endswith(".save_pretrained(directory)")


def test_a_directory_without_weights_is_refused(made):
    _, directory = made
    (directory / WEIGHTS).unlink()
    with pytest.raises(FileNotFoundError, match=r"no model.safetensors \(other weights here: none"):
        Encoder.from_pretrained(directory)


def test_a_directory_without_config_is_refused(made):
    _, directory = made
    (directory / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"model has no config\.json$"):
        Encoder.from_pretrained(directory)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "config.json is not valid JSON: "),
        ("[1]", "config.json must hold a JSON object, got list"),
        (b"\xff\xfe", "config.json is not valid JSON: "),
    ],
)
def test_a_config_that_is_no_json_object_is_refused(text, message, made):
    _, directory = made
    path = directory / "config.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message):
        Encoder.from_pretrained(directory)


def test_a_path_may_be_text_or_a_path(made):
    encoder, directory = made
    assert same(Encoder.from_pretrained(str(directory)), encoder)
    assert same(Encoder.from_pretrained(directory), encoder)


@pytest.mark.parametrize("path", ["./nowhere", "/no/where", "a/b/c", "~/model", "a b", "../x"])
def test_a_path_that_is_no_hub_id_is_not_asked_for(path):
    with pytest.raises(FileNotFoundError, match=r"^there is no directory .*, and it is no hub id$"):
        pretrained.read(path)


def test_a_file_instead_of_its_directory_is_refused(made):
    _, directory = made
    with pytest.raises(NotADirectoryError, match="is a file; give the directory that holds"):
        Encoder.from_pretrained(directory / WEIGHTS)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub whose one model is a directory here; it notes what it is asked for."""
    huggingface_hub = pytest.importorskip("huggingface_hub", reason="no huggingface_hub")
    asked = []

    def snapshot_download(repo_id, *, allow_patterns):
        asked.append((repo_id, allow_patterns))
        return str(tmp_path / "model")

    monkeypatch.chdir(tmp_path / "..")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


@pytest.mark.parametrize("name", ["bert-base-uncased", "nghuyong/ernie-3.0-base-zh", "a/b_c.d"])
def test_a_hub_id_is_downloaded(name, made, hub):
    encoder, _ = made
    assert same(Encoder.from_pretrained(name), encoder)
    assert [asked for asked, _ in hub] == [name]


def test_only_config_and_safetensors_are_fetched(made, hub):
    from huggingface_hub.utils import filter_repo_objects

    Encoder.from_pretrained("some/model")
    there = [
        "config.json",
        "model.safetensors",
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "pytorch_model.bin",
        "tf_model.h5",
        "flax_model.msgpack",
        "modeling_custom.py",
        "tokenizer.json",
        "README.md",
        "onnx/model.onnx",
        "adapter/model.safetensors",
        "adapter_model.safetensors",
    ]
    assert list(filter_repo_objects(there, allow_patterns=hub[0][1])) == there[:4]


def test_a_directory_of_that_name_goes_before_the_hub(made, hub, monkeypatch):
    encoder, directory = made
    monkeypatch.chdir(directory.parent)
    assert same(Encoder.from_pretrained("model"), encoder)
    assert hub == []


def test_a_hub_that_does_not_answer_gives_a_clear_message(monkeypatch, tmp_path):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def snapshot_download(*_, **__):
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(OSError, match="no directory some/model, and the hub did not") as error:
        pretrained.read("some/model")
    assert "LocalEntryNotFoundError: no network" in str(error.value)
    assert "give their directory" in str(error.value)
    assert isinstance(error.value.__cause__, LocalEntryNotFoundError)


def test_offline_mode_gives_the_same_message(tmp_path):
    """The real download function, which must not touch the network when it is told so."""
    pytest.importorskip("huggingface_hub", reason="no huggingface_hub")
    code = "from encoderlib import pretrained; pretrained.read('some/model')"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert answer.returncode == 1
    assert "OSError: there is no directory some/model, and the hub did not give" in answer.stderr


def test_a_hub_id_without_huggingface_hub_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match="pip install huggingface_hub"):
        pretrained.read("some/model")


def test_saving_again_replaces_both_files(made):
    _, directory = made
    other = Encoder(EncoderConfig(12, 2, 7, 1))
    other.save_pretrained(directory)
    assert sorted(file.name for file in directory.iterdir()) == ["config.json", WEIGHTS]
    assert same(Encoder.from_pretrained(directory), other)


def test_saving_over_a_model_while_its_tensors_are_in_use(made):
    encoder, directory = made
    config, embedding, state, layout = pretrained.read(directory)
    pretrained.write(state, config, embedding, layout, directory)
    assert same(Encoder.from_pretrained(directory), encoder)


def test_saving_that_fails_leaves_the_old_model_whole(made, monkeypatch):
    encoder, directory = made
    before = {file.name: file.read_bytes() for file in directory.iterdir()}

    def full(self, data):
        with open(self, "wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        Encoder(CONFIG).save_pretrained(directory)
    assert {file.name: file.read_bytes() for file in directory.iterdir()} == before
    assert same(Encoder.from_pretrained(directory), encoder)


def test_config_is_written_last(tmp_path, monkeypatch):
    """A new directory with a config.json is complete."""
    order, replace = [], os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append(Path(b).name), replace(a, b)))
    Encoder(CONFIG).save_pretrained(tmp_path / "new")
    assert order == [WEIGHTS, "config.json"]


def test_saved_files_can_be_read_by_whoever_may_read_the_directory(made, tmp_path):
    (tmp_path / "plain").touch()
    for name in ("config.json", WEIGHTS):
        assert (made[1] / name).stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_the_file_says_that_it_is_for_torch(made):
    """Transformers before version 5 refuses a file that does not."""
    with safe_open(made[1] / WEIGHTS, framework="pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_only_the_named_tensors_are_read(made):
    _, directory = made
    found = files.tensor_files(directory)
    assert set(files.load_tensors(found, ["norm.bias"])) == {"norm.bias"}


def test_neither_safetensors_nor_the_hub_is_imported_before_it_is_needed():
    code = "import sys, encoderlib.pretrained; print(*sorted(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(answer.stdout.split())
    assert "encoderlib.pretrained.files" in loaded
    assert loaded & {"safetensors", "huggingface_hub", "transformers", "httpx"} == set()
