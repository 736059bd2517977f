import doctest
import importlib
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import clel_tf
import clel_tf.export
import clel_tf.trainers

# The last two lie in directories of their own, where a walk does not go.
PACKAGES = (clel_tf, clel_tf.export, clel_tf.trainers)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules_with_examples():
    for package in PACKAGES:
        prefix = f"{package.__name__}."
        for info in pkgutil.walk_packages(package.__path__, prefix):
            # Binaries have none, and their flags exclude each other.
            if ">>> " in info.module_finder.find_spec(
                info.name
            ).loader.get_source(info.name):
                yield info.name


MODULES = sorted(set(modules_with_examples()))


def test_examples_are_found():
    assert "clel_tf.models.clel" in MODULES
    assert "clel_tf.samplers.langevin" in MODULES


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    names = {"clel_tf": clel_tf, "np": np, "tf": tf, "keras": keras}
    module = importlib.import_module(name)
    runner, report = doctest.DocTestRunner(optionflags=FLAGS), []
    for test in doctest.DocTestFinder().find(module, extraglobs=names):
        runner.run(test, out=report.append)
    assert runner.tries > 0
    assert not runner.failures, "".join(report)
