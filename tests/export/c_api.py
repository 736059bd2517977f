"""Runs signatures of a SavedModel by TensorFlow's C API, as a server does.

    python c_api.py LIBRARIES MODEL < requests.json > replies.json

There is no Python TensorFlow in this process, and XLA is disabled as TensorFlow
Serving has it. Requests are a list of [signature, inputs]; replies are of
outputs or of {"code", "message"}. Arrays are [dtype, shape, base64 of the
bytes], or of strings [dtype, shape, [base64, ...]].
"""

import base64
import ctypes
import json
import math
import pathlib
import sys

import numpy as np
import numpy.random  # noqa: F401, can't be loaded after TensorFlow's libraries

FLOAT, STRING, INT64, BOOL = 1, 7, 9, 10
DTYPES = {FLOAT: "float32", INT64: "int64", BOOL: "bool"}
TSTRING_BYTES = 24
OK = 0


class Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


def load_library(folder):
    framework = str(folder / "libtensorflow_framework.so.2")
    ctypes.CDLL(framework, ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(folder / "libtensorflow_cc.so.2"))
    for name in (
        "NewStatus",
        "NewGraph",
        "NewSessionOptions",
        "LoadSessionFromSavedModel",
        "GraphOperationByName",
        "AllocateTensor",
        "TensorData",
        "StringGetDataPointer",
    ):
        getattr(library, f"TF_{name}").restype = ctypes.c_void_p
    library.TF_Message.restype = ctypes.c_char_p
    library.TF_Dim.restype = ctypes.c_int64
    library.TF_StringGetSize.restype = ctypes.c_size_t
    library._ZN10tensorflow21DisableXlaCompilationEv()
    return library


class Model:
    def __init__(self, library, path):
        self.library = library
        self.status = ctypes.c_void_p(library.TF_NewStatus())
        self.graph = ctypes.c_void_p(library.TF_NewGraph())
        self.session = ctypes.c_void_p(
            library.TF_LoadSessionFromSavedModel(
                ctypes.c_void_p(library.TF_NewSessionOptions()),
                None,
                str(path).encode(),
                (ctypes.c_char_p * 1)(b"serve"),
                1,
                self.graph,
                None,
                self.status,
            )
        )
        assert library.TF_GetCode(self.status) == OK, self.message()
        facts = json.loads((path / "signatures.json").read_text())
        self.signatures = facts["signatures"]

    def message(self):
        return self.library.TF_Message(self.status).decode(errors="replace")

    def run(self, signature, inputs):
        sides = self.signatures[signature]
        assert sorted(inputs) == sorted(sides["inputs"])
        names = list(sides["outputs"])
        fed = (Output * len(inputs))(
            *(self.output(sides["inputs"][name]) for name in inputs)
        )
        values = (ctypes.c_void_p * len(inputs))(
            *(self.tensor(*array) for array in inputs.values())
        )
        fetched = (Output * len(names))(
            *(self.output(sides["outputs"][name]) for name in names)
        )
        results = (ctypes.c_void_p * len(names))()
        self.library.TF_SessionRun(
            self.session,
            None,
            *(fed, values, len(inputs)),
            *(fetched, results, len(names)),
            *(None, 0, None),
            self.status,
        )
        for value in values:
            self.library.TF_DeleteTensor(ctypes.c_void_p(value))
        code = self.library.TF_GetCode(self.status)
        if code != OK:
            return {"code": code, "message": self.message()}
        return {
            name: self.array(ctypes.c_void_p(result))
            for name, result in zip(names, results)
        }

    def output(self, info):
        name, index = info["tensor"].split(":")
        operation = self.library.TF_GraphOperationByName(
            self.graph, name.encode()
        )
        return Output(operation, int(index))

    def tensor(self, dtype, shape, data):
        dims = (ctypes.c_int64 * max(len(shape), 1))(*shape)
        if dtype == "string":
            number, size = STRING, len(data) * TSTRING_BYTES
        else:
            data = base64.b64decode(data)
            number = {v: k for k, v in DTYPES.items()}[dtype]
            size = len(data)
        tensor = ctypes.c_void_p(
            self.library.TF_AllocateTensor(
                number, dims, len(shape), ctypes.c_size_t(size)
            )
        )
        start = self.library.TF_TensorData(tensor)
        if dtype != "string":
            ctypes.memmove(start, data, len(data))
            return tensor.value
        for i, text in enumerate(map(base64.b64decode, data)):
            where = ctypes.c_void_p(start + i * TSTRING_BYTES)
            self.library.TF_StringInit(where)
            self.library.TF_StringCopy(where, text, ctypes.c_size_t(len(text)))
        return tensor.value

    def array(self, tensor):
        rank = self.library.TF_NumDims(tensor)
        shape = [self.library.TF_Dim(tensor, i) for i in range(rank)]
        number = self.library.TF_TensorType(tensor)
        start = self.library.TF_TensorData(tensor)
        if number != STRING:
            size = math.prod(shape) * np.dtype(DTYPES[number]).itemsize
            data = base64.b64encode(ctypes.string_at(start, size)).decode()
            return [DTYPES[number], shape, data]
        texts = []
        for i in range(math.prod(shape)):
            where = ctypes.c_void_p(start + i * TSTRING_BYTES)
            text = ctypes.string_at(
                self.library.TF_StringGetDataPointer(where),
                self.library.TF_StringGetSize(where),
            )
            texts.append(base64.b64encode(text).decode())
        return ["string", shape, texts]


def main():
    folder, path = map(pathlib.Path, sys.argv[1:])
    model = Model(load_library(folder), path)
    assert "tensorflow" not in sys.modules
    requests = json.load(sys.stdin)
    json.dump([model.run(*request) for request in requests], sys.stdout)


if __name__ == "__main__":
    main()
