"""SavedModels of samplers, for TensorFlow Serving, and its client."""

from clel_tf.export.export_sampler import export_sampler
from clel_tf.export.sampler_client import SamplerClient
from clel_tf.export.sampler_module import SamplerModule
from clel_tf.export.saved_model_lint import lint_saved_model

__all__ = [
    "SamplerClient",
    "SamplerModule",
    "export_sampler",
    "lint_saved_model",
]
