"""What a saved model's weights say is what the model itself says."""

import io
import zipfile

import pytest
import torch
from siftrl.agents import SAC, TD3
from siftrl.agents.networks import layer_table
from siftrl.reports.saved_model import saved_layers, saved_versions


@pytest.fixture(scope="module", params=[SAC, TD3])
def saved(request, tmp_path_factory):
    """A sparse model and where it was saved."""
    kwargs = {"recipe": "set", "density": 0.2, "net_arch": [16, 16]}
    model = request.param("SparseMlpPolicy", "Pendulum-v1", policy_kwargs=kwargs, buffer_size=10, seed=0)
    path = tmp_path_factory.mktemp("model") / "model.zip"
    model.save(path)
    return model, path


def test_layers_are_those_of_the_model(saved):
    model, path = saved
    layers = [layer for layer in saved_layers(path) if not layer.is_target]
    rows = layer_table(model)
    assert [(layer.network, layer.name, layer.shape, layer.links) for layer in layers] == [row[:4] for row in rows]
    assert [layer.links / layer.places for layer in layers] == [row.density for row in rows]


def test_bytes_are_those_of_the_weights(saved):
    model, path = saved
    layers = saved_layers(path)
    assert sum(layer.nbytes for layer in layers) == sum(tensor.nbytes for tensor in _weights(model).values())
    targets = {layer.network for layer in layers if layer.is_target}
    assert targets == ({"qf0", "qf1"} if isinstance(model, SAC) else {"actor", "qf0", "qf1"})
    assert layers[0].dense_nbytes == 4 * (16 * 3 + 16)


def _weights(model):
    names = ("weight", "bias", "indptr", "neurons")
    return {name: tensor for name, tensor in model.policy.state_dict().items() if name.rpartition(".")[2] in names}


def test_versions_are_those_of_the_saving(saved):
    assert saved_versions(saved[1])["PyTorch"] == torch.__version__


def _archive(path, weights):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("policy.pth", weights)
    return path


def _saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot read the weights"),
        (b"no weights", "cannot read the weights"),
        (_saved([1, 2]), "cannot read the weights"),
        (_saved({"actor.mu.weight": torch.ones(3, 3)}), "not those of linear layers"),
        (_saved({"actor.mu.weight": 3, "actor.mu.bias": 3}), "not those of linear layers"),
        (_saved({"actor.mu.weight": torch.ones(3), "actor.mu.bias": torch.ones(3)}), "not those of linear layers"),
        (_saved({"actor.mu.weight": torch.ones(0, 3), "actor.mu.bias": torch.ones(0)}), "not those of an actor"),
        (_saved({"q_net.0.weight": torch.ones(3, 3), "q_net.0.bias": torch.ones(3)}), "not those of an actor"),
    ],
)
def test_foreign_weights_are_refused_in_one_sentence(tmp_path, content, words):
    path = _archive(tmp_path / "model.zip", content)
    with pytest.raises(ValueError, match=words) as refused:
        saved_layers(path)
    assert "\n" not in str(refused.value)


def test_a_model_without_versions_says_nothing(tmp_path):
    assert saved_versions(_archive(tmp_path / "model.zip", b"")) == {}
