import contextlib
import importlib
import importlib.util
import pathlib
import sys
import types
from unittest import mock

import pytest

# The modules that the tests share stand beside them.
sys.path.append(str(pathlib.Path(__file__).parent))


@pytest.fixture(scope="module")
def fidelity():
    """Imports a module of torch-fidelity, without those that need torchvision,
    which load and transform images."""
    with _bare("torch_fidelity") as (load, patch):
        patch.setitem(sys.modules, "torch_fidelity.utils", mock.Mock())
        yield load


@pytest.fixture(scope="module")
def pytorch_ood():
    """Imports a module of pytorch-ood, without the rest of it."""
    with _bare("pytorch_ood", "pytorch_ood.utils") as (load, _):
        yield load


@contextlib.contextmanager
def _bare(package, *subpackages):
    """Gives an importer of a package's modules that skips its `__init__`s."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        pytest.skip(f"parity needs pip install --no-deps {package}")
    root = pathlib.Path(spec.origin).parents[1]
    with pytest.MonkeyPatch.context() as patch:
        for name in (package, *subpackages):
            module = types.ModuleType(name)
            module.__path__ = [str(root.joinpath(*name.split(".")))]
            patch.setitem(sys.modules, name, module)
        yield lambda name: importlib.import_module(f"{package}.{name}"), patch
