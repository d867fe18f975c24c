"""What a graph of somebody else's may do before it is run here: compute a detector's outputs, and nothing else.

A graph can read and write files, call Python and parse messages. So its operations must all stand on a list: the
arithmetic, the shapes, the loops and the variables that detectors are made of. Nothing of the graph is run to find out.
"""

import pathlib

from google.protobuf.message import DecodeError

from tfod_compress.support.errors import InputError

MAX_GRAPH_BYTES = 2 << 30  # no message of protobuf is larger
_OF_DETECTORS = """
    Abs Acos Add AddN AddV2 All Any ApproximateEqual ArgMax ArgMin Asin Assert Atan Atan2 BiasAdd BiasAddV1 BroadcastTo
    BroadcastArgs Cast Ceil CheckNumerics ClipByValue ComplexAbs Concat ConcatV2 Const Cos Cosh Cumprod Cumsum Div
    DivNoNan Einsum EnsureShape Equal Erf Erfc Exp ExpandDims Expm1 Fill Floor FloorDiv FloorMod Greater GreaterEqual
    Identity IdentityN InvertPermutation IsFinite IsInf IsNan L2Loss Less LessEqual Lgamma LinSpace Log Log1p LogSoftmax
    LogicalAnd LogicalNot LogicalOr MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Max Maximum Mean Min Minimum Mod Mul
    MulNoNan Neg NoOp NotEqual OneHot OnesLike Pow Prod Range Rank RealDiv Reciprocal Rint Round Rsqrt Select SelectV2
    Sigmoid Sign Sin Sinh Size Softmax Softplus Softsign Sqrt Square SquaredDifference StopGradient Sub Sum Tan Tanh
    TruncateDiv TruncateMod Xdivy ZerosLike SegmentMax SegmentMean SegmentMin SegmentSum UnsortedSegmentMax
    UnsortedSegmentMin UnsortedSegmentSum Bincount DenseBincount PreventGradient Inv ConcatOffset LogicalXor

    BatchToSpaceND BroadcastGradientArgs DepthToSpace Gather GatherNd GatherV2 ListDiff MirrorPad Pack PadV2 Pad
    ParallelConcat ParallelDynamicStitch DynamicPartition DynamicStitch Reshape Reverse ReverseV2 Roll ScatterNd
    TensorScatterAdd TensorScatterUpdate Shape ShapeN Slice SpaceToBatchND SpaceToDepth SparseToDense Split SplitV
    Squeeze StridedSlice Tile TopK TopKV2 Transpose Unique UniqueV2 UniqueWithCounts Unpack Unstack Where

    AvgPool BatchNormWithGlobalNormalization Conv2D Conv2DBackpropInput CropAndResize DepthwiseConv2dNative Elu
    FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 FusedPadConv2D FusedResizeAndPadConv2D LRN LeakyRelu MaxPool
    MaxPoolV2 Relu Relu6 Selu QuantizeAndDequantizeV2 FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars
    FakeQuantWithMinMaxVarsPerChannel NonMaxSuppression NonMaxSuppressionV2 NonMaxSuppressionV3 NonMaxSuppressionV4
    NonMaxSuppressionV5 CombinedNonMaxSuppression ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor
    ScaleAndTranslate AdjustContrastv2

    ControlTrigger Enter Exit LoopCond Merge NextIteration RefEnter RefExit RefIdentity RefMerge RefNextIteration
    RefSwitch Switch Case StatelessCase If StatelessIf While StatelessWhile PartitionedCall StatefulPartitionedCall
    Placeholder PlaceholderV2 PlaceholderWithDefault _Arg _Retval DisableCopyOnRead
    TensorArray TensorArrayV2 TensorArrayV3 TensorArrayClose TensorArrayCloseV2 TensorArrayCloseV3 TensorArrayConcat
    TensorArrayConcatV2 TensorArrayConcatV3 TensorArrayGather TensorArrayGatherV2 TensorArrayGatherV3 TensorArrayRead
    TensorArrayReadV2 TensorArrayReadV3 TensorArrayScatter TensorArrayScatterV2 TensorArrayScatterV3 TensorArraySize
    TensorArraySizeV2 TensorArraySizeV3 TensorArraySplit TensorArraySplitV2 TensorArraySplitV3 TensorArrayUnpack
    TensorArrayWrite TensorArrayWriteV2 TensorArrayWriteV3 EmptyTensorList TensorListConcat TensorListConcatV2
    TensorListElementShape TensorListFromTensor TensorListGather TensorListGetItem TensorListLength TensorListPopBack
    TensorListPushBack TensorListReserve TensorListResize TensorListScatter TensorListScatterIntoExistingList
    TensorListScatterV2 TensorListSetItem TensorListSplit TensorListStack

    ReadVariableOp ResourceGather ResourceGatherNd VarHandleOp VariableShape
"""
ALLOWED = frozenset(_OF_DETECTORS.split())
# What a SavedModel's own objects do besides, when the weights are read into them.
_RESTORING = ALLOWED | {"AssignVariableOp"}
# Objects of a SavedModel that loading it only makes; of the others (tables, files) some are run.
_OBJECTS = {"user_object", "function", "variable", "bare_concrete_function", "constant", "captured_tensor"}


def check_frozen_graph(path):
    """Reads a frozen graph, without running any of it.

    Args:
      path: a GraphDef file.

    Returns:
      The GraphDef.

    Raises:
      InputError: it is none, or has an operation outside the list.
    """
    from tensorflow.core.framework import graph_pb2

    graph = _parse(path, graph_pb2.GraphDef())
    functions = {function.signature.name: function for function in graph.library.function}
    _check(pathlib.Path(path).name, functions, graph.node, functions, ALLOWED)
    return graph


def check_saved_model(folder):
    """Checks all that loading and running a SavedModel's signatures would run.

    Args:
      folder: the one with saved_model.pb.

    Raises:
      InputError: it is no SavedModel of TensorFlow 2, has an operation outside the list, or something that loading
        it would start.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    path = pathlib.Path(folder) / "saved_model.pb"
    model = _parse(path, saved_model_pb2.SavedModel())
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].object_graph_def.nodes:
        raise InputError(f"{path.name}: not a SavedModel of TensorFlow 2 with one graph")
    meta_graph, = model.meta_graphs
    nodes = meta_graph.object_graph_def.nodes
    other = sorted({node.WhichOneof("kind") or "nothing" for node in nodes} - _OBJECTS)
    custom = sorted({node.registered_saver for node in nodes if node.registered_saver})
    if other or custom:
        raise InputError(f"{path.name}: holds objects that no detector has: {', '.join(other + custom)}")
    functions = {function.signature.name: function for function in meta_graph.graph_def.library.function}
    try:
        restoring = {name for node in nodes for saveable in node.saveable_objects.values()
                     for index in (saveable.save_function, saveable.restore_function)
                     for name in _concrete(nodes[index])}
        serving = {name for index in _below_signatures(nodes) for name in _concrete(nodes[index])}
    except IndexError as error:
        raise InputError(f"{path.name}: refers to objects that it does not have") from error
    if not serving:
        raise InputError(f"{path.name}: has no signature; not a detector")
    _check(path.name, functions, (), serving, ALLOWED)
    _check(path.name, functions, (), restoring, _RESTORING)


def _parse(path, message):
    path = pathlib.Path(path)
    if path.stat().st_size > MAX_GRAPH_BYTES:
        raise InputError(f"{path.name}: has {path.stat().st_size} bytes, more than any graph")
    try:
        message.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise InputError(f"{path.name}: not a graph: {error}") from error
    return message


def _check(name, functions, nodes, entries, allowed):
    """Raises where an operation of the nodes, or of functions that the entries reach, is not allowed."""
    reached, todo = set(), list(entries)
    bad = {}

    def look(node, place):
        called = [node.op] if node.op in functions else []
        for value in node.attr.values():
            called += [value.func.name] if value.WhichOneof("value") == "func" else []
            called += [function.name for function in value.list.func]
        todo.extend(called)
        if node.op not in allowed and node.op not in functions:
            bad.setdefault(node.op, f"{node.name} of {place}" if place else node.name)

    for node in nodes:
        look(node, None)
    while todo:
        function = todo.pop()
        if function in reached:
            continue
        reached.add(function)
        if function not in functions:
            raise InputError(f"{name}: calls a function that it does not have: {function[:100]}")
        for node in functions[function].node_def:
            look(node, function)
    if bad:
        places = ", ".join(f"{op[:100]} ({place[:100]})" for op, place in sorted(bad.items()))
        raise InputError(f"{name}: is not run, as it has operations that no detector needs: {places}; --noverify "
                         "takes its weights unverified")


def _concrete(node):
    """The names of the functions in the library that an object stands for."""
    kind = node.WhichOneof("kind")
    if kind == "function":
        return list(node.function.concrete_functions)
    return [node.bare_concrete_function.concrete_function_name] if kind == "bare_concrete_function" else []


def _below_signatures(nodes):
    """Indices of all objects that a model's `signatures` holds."""
    todo = [child.node_id for child in nodes[0].children if child.local_name == "signatures"]
    reached = set()
    while todo:
        index = todo.pop()
        if index not in reached:
            reached.add(index)
            todo += [child.node_id for child in nodes[index].children]
    return reached
