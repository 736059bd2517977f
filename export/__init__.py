"""SavedModels of samplers, for TensorFlow Serving and `tf.saved_model`."""

from clel_tf.export.sampler_module import SamplerModule
from clel_tf.export.sampler_module import export_sampler

__all__ = ["SamplerModule", "export_sampler"]
