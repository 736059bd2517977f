from keras import ops


def masked_reconstruction(images, reconstructions, mask):
    """Mean squared error of reconstructed pixels where they were hidden.

        loss = sum m (x - y)**2 / sum m

    over all images, pixels and channels; 0 where nothing is hidden.

    Args:
        images: float tensor `x` of shape `(n, height, width, channels)`.
        reconstructions: float tensor `y` of the same shape.
        mask: float tensor `m`, 1 for hidden pixels and 0 for others, of shape
            `(n, height, width, 1)`.

    Returns:
        float32 scalar.

    Example:

    >>> x, y = np.zeros((1, 2, 2, 1)), np.full((1, 2, 2, 1), 0.5)
    >>> mask = np.array([1.0, 1.0, 0.0, 0.0]).reshape(1, 2, 2, 1)
    >>> float(clel_tf.losses.masked_reconstruction(x, y, mask))
    0.25

    Reference:
        [He et al.: Masked Autoencoders Are Scalable Vision Learners, CVPR
        2022](https://arxiv.org/abs/2111.06377)
    """
    images, reconstructions, mask = (
        ops.cast(x, "float32") for x in (images, reconstructions, mask)
    )
    mask = mask * ops.ones_like(images)
    errors = mask * ops.square(images - reconstructions)
    return ops.sum(errors) / ops.maximum(ops.sum(mask), 1.0)
