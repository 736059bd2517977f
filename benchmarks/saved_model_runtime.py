"""MLServer's side: one signature of a SavedModel is a model.

Loaded by the server's own Python, which has neither Keras nor clel_tf to spare
for it: the SavedModel is all there is.
"""

import asyncio
import threading

import numpy as np
import tensorflow as tf
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceResponse

DTYPES = {"FP32": "float32", "INT64": "int64"}
# A chain keeps all cores busy; two at a time would only wait for each other.
_ONE_AT_A_TIME = threading.Lock()


class SavedModelRuntime(MLModel):
    async def load(self):
        parameters = self.settings.parameters
        self._loaded = tf.saved_model.load(parameters.uri)
        name = parameters.extra["signature"]
        self._signature = self._loaded.signatures[name]
        return True

    async def predict(self, payload):
        inputs = {
            x.name: tf.constant(_array(x), DTYPES[x.datatype])
            for x in payload.inputs
        }
        try:
            outputs = await asyncio.to_thread(self._run, inputs)
        except tf.errors.InvalidArgumentError as error:
            raise InferenceError(error.message) from error
        rows = len(next(iter(outputs.values())))
        # What a client could not know else: how many rows ran together.
        outputs["batch_rows"] = np.full([rows, 1], rows, "int64")
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            outputs=[
                NumpyCodec.encode_output(name, values)
                for name, values in outputs.items()
            ],
        )

    def _run(self, inputs):
        with _ONE_AT_A_TIME:
            outputs = self._signature(**inputs)
        return {name: values.numpy() for name, values in outputs.items()}


def _array(tensor):
    data = np.array(tensor.data.root, DTYPES[tensor.datatype])
    return data.reshape(tensor.shape)
