"""What a model server would choke on, found in a SavedModel's graph."""

import os
import pathlib
from collections.abc import Sequence

from tensorflow.core.protobuf import saved_model_pb2

# Random operations with a state of the process's; a stateless one's name begins
# otherwise.
_RANDOM = (
    "Fractional",  # pooling
    "Multinomial",
    "NonDeterministicInts",
    "ParameterizedTruncatedNormal",
    "Random",
    "RngReadAndSkip",
    "RngSkip",
    "SampleDistortedBoundingBox",
    "Stateful",
    "TruncatedNormal",
)
_NOT_RANDOM = ("RandomGammaGrad", "StatefulPartitionedCall")
# Of the signature that initialises a model, which no client calls.
_INITIALIZER = "__saved_model_init_op"


def lint_saved_model(
    path: os.PathLike[str] | str, xla: Sequence[str] = ()
) -> list[str]:
    """Looks for what TensorFlow Serving, or its batching, can't run.

    That is, in all that a signature calls: functions that XLA has to compile
    (servers refuse to run them), random operations with a state of their own
    and assignments of variables (one request would change the next one's
    answer; Keras's random numbers count in a variable), and operations that
    call Python; and inputs and outputs whose first dimension is not the batch.

    Args:
        path: str or path. Directory of a SavedModel.
        xla: names of signatures that XLA may compile.

    Returns:
        List of str, a finding each; empty for a model that is fit to be served.

    Raises:
        FileNotFoundError: if there is no SavedModel.

    Example:

    >>> import tempfile
    >>> from clel_tf.export import lint_saved_model
    >>> module = tf.Module()
    >>> module.noise = tf.function(
    ...     lambda n: tf.random.normal([4]), [tf.TensorSpec([], tf.int32)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tf.saved_model.save(module, folder, {"noise": module.noise})
    ...     findings = lint_saved_model(folder)
    >>> for finding in findings:
    ...     print(finding)
    signature noise: input n is a scalar
    signature noise: output output_0 has 4 rows, whatever the batch
    ...: RandomStandardNormal draws from a state of its own
    """
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((pathlib.Path(path) / "saved_model.pb").read_bytes())
    findings = {}  # ordered, and each but once
    for meta_graph in saved.meta_graphs:
        for name, signature in sorted(meta_graph.signature_def.items()):
            if name != _INITIALIZER:
                found = _batch_findings(f"signature {name}", signature)
                findings.update(dict.fromkeys(found))
                found = _graph_findings(meta_graph, signature, name in xla)
                findings.update(dict.fromkeys(found))
    return list(findings)


def _batch_findings(where, signature):
    sides = ("input", signature.inputs), ("output", signature.outputs)
    for side, tensors in sides:
        for name, info in sorted(tensors.items()):
            shape = info.tensor_shape
            if shape.unknown_rank:
                yield f"{where}: {side} {name} is of unknown rank"
            elif not shape.dim:
                yield f"{where}: {side} {name} is a scalar"
            elif shape.dim[0].size != -1:
                yield (
                    f"{where}: {side} {name} has {shape.dim[0].size} rows, "
                    "whatever the batch"
                )


def _graph_findings(meta_graph, signature, allow_xla):
    """Of the nodes that a signature's outputs need, and all they call."""
    graph = meta_graph.graph_def
    functions = {f.signature.name: f for f in graph.library.function}
    nodes = _needed(graph, [info.name for info in signature.outputs.values()])
    yield from _node_findings("graph", nodes)
    waiting = _called(nodes)
    seen = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        function = functions[name]
        if function.attr["_XlaMustCompile"].b and not allow_xla:
            yield f"function {name} has to be compiled by XLA"
        yield from _node_findings(f"function {name}", function.node_def)
        waiting |= _called(function.node_def)


def _needed(graph, tensors):
    nodes = {node.name: node for node in graph.node}
    found, waiting = {}, list(tensors)
    while waiting:
        name = waiting.pop().removeprefix("^").split(":")[0]
        if name not in found:
            found[name] = nodes[name]
            waiting += nodes[name].input
    return list(found.values())


def _called(nodes):
    return {
        function.name
        for node in nodes
        for value in node.attr.values()
        for function in (value.func, *value.list.func)
        if function.name
    }


def _node_findings(where, nodes):
    for node in nodes:
        random = node.op.startswith(_RANDOM) or "CandidateSampler" in node.op
        if random and node.op not in _NOT_RANDOM:
            yield f"{where}: {node.op} draws from a state of its own"
        if node.op.startswith("Assign") and "Variable" in node.op:
            yield f"{where}: {node.op} changes a variable"
        if "PyFunc" in node.op:
            yield f"{where}: {node.op} calls Python"
