import tensorflow as tf


def resolve_jit_compile(jit_compile):
    """Decides whether XLA compiles chains.

    Args:
        jit_compile: bool, or "auto": True where TensorFlow sees a GPU or TPU.
            On CPUs the plain graph's oneDNN convolutions are three to five
            times faster than XLA's, so "auto" is False there.

    Returns:
        bool.
    """
    if jit_compile == "auto":
        kinds = {
            device.device_type for device in tf.config.list_logical_devices()
        }
        return bool(kinds & {"GPU", "TPU"})
    if isinstance(jit_compile, bool):
        return jit_compile
    raise ValueError(
        'Expected `jit_compile` to be True, False or "auto"; received: '
        f"{jit_compile!r}."
    )
