"""What a model server would choke on, found in a SavedModel's graph."""

import pathlib

from tensorflow.core.protobuf import saved_model_pb2

# Random operations whose state is the process's; a stateless one's name begins
# otherwise.
_RANDOM = (
    "Random",
    "Multinomial",
    "ParameterizedTruncatedNormal",
    "TruncatedNormal",
    "StatefulRandom",
    "StatefulStandardNormal",
    "StatefulTruncatedNormal",
    "StatefulUniform",
    "NonDeterministicInts",
    "RngReadAndSkip",
)
# Of the signature that initialises a model, which no client calls.
_INITIALIZER = "__saved_model_init_op"


def lint_saved_model(path, xla=()):
    """Looks for what TensorFlow Serving, or its batching, can't run.

    That is: functions that XLA has to compile (servers refuse to run them),
    random operations with a state of their own (which no request can seed),
    operations that call Python, and inputs and outputs whose first dimension is
    not the batch.

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
    findings = []
    for meta_graph in saved.meta_graphs:
        for name, signature in sorted(meta_graph.signature_def.items()):
            if name != _INITIALIZER:
                findings += _batch_findings(f"signature {name}", signature)
        graph = meta_graph.graph_def
        compiled = _functions_of(meta_graph, xla)
        findings += _node_findings("graph", graph.node, allow_xla=False)
        for function in graph.library.function:
            name = function.signature.name
            where, allowed = f"function {name}", name in compiled
            if function.attr["_XlaMustCompile"].b and not allowed:
                findings.append(f"{where} has to be compiled by XLA")
            findings += _node_findings(where, function.node_def, allowed)
    return findings


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


def _node_findings(where, nodes, allow_xla):
    for node in nodes:
        if node.op.startswith(_RANDOM):
            yield f"{where}: {node.op} draws from a state of its own"
        if "PyFunc" in node.op:
            yield f"{where}: {node.op} calls Python"
        if node.attr["_XlaMustCompile"].b and not allow_xla:
            yield f"{where}: {node.op} has to be compiled by XLA"


def _functions_of(meta_graph, signatures):
    """Names of all functions that some signatures call."""
    graph = meta_graph.graph_def
    nodes = {node.name: node for node in graph.node}
    bodies = {f.signature.name: f.node_def for f in graph.library.function}
    outputs = [
        info.name.split(":")[0]
        for name in signatures
        for info in meta_graph.signature_def[name].outputs.values()
    ]
    found, waiting = set(), [nodes[name] for name in outputs]
    while waiting:
        for name in _called(waiting.pop()) - found:
            found.add(name)
            waiting += bodies.get(name, ())
    return found


def _called(node):
    return {
        function.name
        for value in node.attr.values()
        for function in (value.func, *value.list.func)
        if function.name
    }
