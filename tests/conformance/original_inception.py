"""The frozen graph of the FID Inception, written anew with random weights."""

import numpy as np
import tensorflow as tf

AttrValue = tf.compat.v1.AttrValue
ATTRIBUTES = {
    bool: lambda value: AttrValue(b=value),
    float: lambda value: AttrValue(f=value),
    bytes: lambda value: AttrValue(s=value),
    list: lambda value: AttrValue(list=AttrValue.ListValue(i=value)),
    tf.DType: lambda value: AttrValue(type=value.as_datatype_enum),
    np.ndarray: lambda value: AttrValue(tensor=tf.make_tensor_proto(value)),
}


class OriginalGraph:
    """Writes the frozen graph: its names, operations and attributes."""

    def __init__(self):
        self.rng = np.random.default_rng(0)
        self.definition = tf.compat.v1.GraphDef()
        # Later ones have no BatchNormWithGlobalNormalization.
        self.definition.versions.producer = 8
        x = self.add("Placeholder", "ExpandDims", dtype=tf.float32)
        size = self.constant("ResizeBilinear/size", np.int32([299, 299]))
        x = self.add(
            "ResizeBilinear", "ResizeBilinear", x, size, align_corners=False
        )
        x = self.add("Sub", "Sub", x, self.constant("Sub/y", np.float32(128)))
        scale = self.constant("Mul/y", np.float32(0.0078125))
        x = self.add("Mul", "Mul", x, scale)
        x = self.body(x)
        x = self.pool("AvgPool", x, "pool_3", 8, 1, "VALID")
        shape = self.constant("pool_3/_reshape/shape", np.int32([-1, 2048]))
        x = self.add("Reshape", "pool_3/_reshape", x, shape)
        weights = self.normal("softmax/weights", (2048, 1008), 0.02)
        self.normal("softmax/biases", (1008,), 1.0)
        self.add("MatMul", "softmax/logits/MatMul", x, weights)

    def add(self, operation, name, *inputs, **attributes):
        node = self.definition.node.add(name=name, op=operation, input=inputs)
        if operation not in ("Const", "Placeholder"):
            node.attr["T"].type = tf.float32.as_datatype_enum
        for key, value in attributes.items():
            node.attr[key].CopyFrom(ATTRIBUTES[type(value)](value))
        return name

    def constant(self, name, value):
        value = np.asarray(value)
        dtype = tf.as_dtype(value.dtype)
        return self.add("Const", name, dtype=dtype, value=value)

    def normal(self, name, shape, deviation):
        draws = self.rng.standard_normal(shape, np.float32)
        return self.constant(name, draws * np.float32(deviation))

    def positive(self, name, shape):
        draws = self.rng.uniform(0.5, 1.5, shape)
        return self.constant(name, draws.astype(np.float32))

    def pool(self, operation, x, name, size, stride, padding):
        return self.add(
            operation,
            name,
            x,
            ksize=[1, size, size, 1],
            strides=[1, stride, stride, 1],
            padding=padding.encode(),
        )

    def join(self, name, *parts):
        axis = self.constant(f"{name}/concat_dim", np.int32(3))
        x = self.add("Concat", name, axis, *parts)
        self.definition.node[-1].attr["N"].i = len(parts)
        self.channels[x] = sum(self.channels[part] for part in parts)
        return x

    def conv(self, x, name, filters, size, stride=1, padding="SAME"):
        height, width = size if isinstance(size, tuple) else (size, size)
        fan_in = height * width * self.channels[x]
        shape = (height, width, self.channels[x], filters)
        kernel = self.normal(
            f"{name}/conv2d_params", shape, (2 / fan_in) ** 0.5
        )
        y = self.add(
            "Conv2D",
            f"{name}/Conv2D",
            x,
            kernel,
            strides=[1, stride, stride, 1],
            padding=padding.encode(),
        )
        scope = f"{name}/batchnorm"
        y = self.add(
            "BatchNormWithGlobalNormalization",
            scope,
            y,
            self.normal(f"{scope}/moving_mean", filters, 0.2),
            self.positive(f"{scope}/moving_variance", filters),
            self.normal(f"{scope}/beta", filters, 0.2),
            self.positive(f"{scope}/gamma", filters),
            variance_epsilon=0.001,
            scale_after_normalization=self.scaled,
        )
        y = self.add("Relu", name, y)
        self.channels[y] = filters
        return y

    def chain(self, x, scope, *steps):
        for index, step in enumerate(steps):
            name = f"{scope}/conv_{index}" if index else f"{scope}/conv"
            x = self.conv(x, name, *step)
        return x

    def pooled(self, x, scope, filters, operation="AvgPool"):
        y = self.pool(operation, x, f"{scope}/pool", 3, 1, "SAME")
        self.channels[y] = self.channels[x]
        return self.conv(y, f"{scope}/conv", filters, 1)

    def halved(self, x, name):
        y = self.pool("MaxPool", x, name, 3, 2, "VALID")
        self.channels[y] = self.channels[x]
        return y

    def body(self, x):
        self.channels, self.scaled = {x: 3}, False
        x = self.conv(x, "conv", 32, 3, 2, "VALID")
        x = self.conv(x, "conv_1", 32, 3, 1, "VALID")
        x = self.conv(x, "conv_2", 64, 3)
        x = self.halved(x, "pool")
        x = self.conv(x, "conv_3", 80, 1, 1, "VALID")
        x = self.conv(x, "conv_4", 192, 3, 1, "VALID")
        x = self.halved(x, "pool_1")
        for name, filters in (("mixed", 32), ("mixed_1", 64), ("mixed_2", 64)):
            x = self.block_35(x, name, filters)
        x = self.join(
            "mixed_3/join",
            self.conv(x, "mixed_3/conv", 384, 3, 2, "VALID"),
            self.chain(
                x, "mixed_3/tower", (64, 1), (96, 3), (96, 3, 2, "VALID")
            ),
            self.halved(x, "mixed_3/pool"),
        )
        self.scaled = True  # both kinds of normalisation are read
        for index, filters in ((4, 128), (5, 160), (6, 160), (7, 192)):
            x = self.block_17(x, f"mixed_{index}", filters)
        self.scaled = False
        x = self.join(
            "mixed_8/join",
            self.chain(x, "mixed_8/tower", (192, 1), (320, 3, 2, "VALID")),
            self.chain(
                x,
                "mixed_8/tower_1",
                *((192, 1), (192, (1, 7)), (192, (7, 1))),
                (192, 3, 2, "VALID"),
            ),
            self.halved(x, "mixed_8/pool"),
        )
        x = self.block_8(x, "mixed_9", "AvgPool")
        return self.block_8(x, "mixed_10", "MaxPool")

    def block_35(self, x, name, filters):
        return self.join(
            f"{name}/join",
            self.conv(x, f"{name}/conv", 64, 1),
            self.chain(x, f"{name}/tower", (48, 1), (64, 5)),
            self.chain(x, f"{name}/tower_1", (64, 1), (96, 3), (96, 3)),
            self.pooled(x, f"{name}/tower_2", filters),
        )

    def block_17(self, x, name, filters):
        row, column = (filters, (1, 7)), (filters, (7, 1))
        return self.join(
            f"{name}/join",
            self.conv(x, f"{name}/conv", 192, 1),
            self.chain(x, f"{name}/tower", (filters, 1), row, (192, (7, 1))),
            self.chain(
                x,
                f"{name}/tower_1",
                *((filters, 1), column, row, column, (192, (1, 7))),
            ),
            self.pooled(x, f"{name}/tower_2", 192),
        )

    def block_8(self, x, name, operation):
        return self.join(
            f"{name}/join",
            self.conv(x, f"{name}/conv", 320, 1),
            self.split(x, f"{name}/tower", (384, 1)),
            self.split(x, f"{name}/tower_1", (448, 1), (384, 3)),
            self.pooled(x, f"{name}/tower_2", 192, operation),
        )

    def split(self, x, scope, *steps):
        x = self.chain(x, scope, *steps)
        return self.join(
            f"{scope}/mixed",
            self.conv(x, f"{scope}/mixed/conv", 384, (1, 3)),
            self.conv(x, f"{scope}/mixed/conv_1", 384, (3, 1)),
        )

    def run(self, images):
        with tf.Graph().as_default():
            tf.import_graph_def(self.definition, name="")
            with tf.compat.v1.Session() as session:
                return session.run(
                    ["pool_3/_reshape:0", "softmax/logits/MatMul:0"],
                    {"ExpandDims:0": images.astype(np.float32)},
                )
