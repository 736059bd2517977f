"""Optimizers: PyTorch's Adam, and those of a recipe."""

from clel_tf.optimizers.adam import Adam
from clel_tf.optimizers.recipe import from_recipe

__all__ = ["Adam", "from_recipe"]
