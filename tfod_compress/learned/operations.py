"""The operations that a published model may have: arithmetic, shapes, control flow and the range coder.

Whatever reads or writes files, prints, opens connections, keeps state beyond a call, draws random numbers or runs
Python is missing on purpose. A published model that is refused for an operation which only computes is a reason to add
it.
"""

# These call functions of the graph.
CALLS = frozenset(["Case", "If", "PartitionedCall", "StatefulPartitionedCall", "StatelessCase", "StatelessIf",
                   "StatelessWhile", "While"])
# These check their tables and indexes where their attribute debug_level is 1.
CHECKED = frozenset(["RangeDecode", "RangeEncode", "UnboundedIndexRangeDecode", "UnboundedIndexRangeEncode"])

_CONTROL_FLOW = """
    Assert Enter Exit Identity IdentityN LoopCond Merge NextIteration NoOp Placeholder PlaceholderWithDefault
    PreventGradient StopGradient Switch
    TensorArrayCloseV3 TensorArrayConcatV3 TensorArrayGatherV3 TensorArrayReadV3 TensorArrayScatterV3 TensorArraySizeV3
    TensorArraySplitV3 TensorArrayV3 TensorArrayWriteV3
    EmptyTensorList TensorListConcatV2 TensorListElementShape TensorListFromTensor TensorListGather TensorListGetItem
    TensorListLength TensorListPopBack TensorListPushBack TensorListReserve TensorListResize TensorListScatterV2
    TensorListSetItem TensorListSplit TensorListStack
"""
_ARITHMETIC = """
    Abs Add AddN AddV2 All Any ArgMax ArgMin BiasAdd BitwiseAnd BitwiseOr Cast Ceil ClipByValue Complex ComplexAbs Conj
    Cos Cumprod Cumsum Div DivNoNan Elu Equal Erf Erfc Exp Expm1 Floor FloorDiv FloorMod Greater GreaterEqual Imag Inv
    IsFinite IsInf IsNan LeakyRelu LeftShift Less LessEqual Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr Max
    Maximum Mean Min Minimum Mod Mul MulNoNan Ndtri Neg NotEqual Pow Prod Real RealDiv Reciprocal Relu Relu6 RightShift
    Rint Round Rsqrt Select SelectV2 Selu Sigmoid Sign Sin Softmax Softplus Softsign Sqrt Square SquaredDifference Sub
    Sum Tan Tanh TruncateDiv TruncateMod Xdivy Xlogy
"""
_SHAPES = """
    BatchToSpaceND BroadcastArgs BroadcastTo Concat ConcatV2 Const DepthToSpace DynamicPartition DynamicStitch
    EnsureShape ExpandDims Fill Gather GatherNd GatherV2 InvertPermutation LinSpace MirrorPad OneHot OnesLike Pack Pad
    PadV2 Range Rank Reshape Reverse ReverseV2 Roll ScatterNd Shape ShapeN Size Slice SpaceToBatchND
    SpaceToDepth Split SplitV Squeeze StridedSlice TensorScatterUpdate Tile TopKV2 Transpose Unpack Where ZerosLike
"""
_NETWORKS = """
    AvgPool BatchMatMul BatchMatMulV2 Conv2D Conv2DBackpropInput Conv3D Conv3DBackpropInputV2 DepthwiseConv2dNative
    DepthwiseConv2dNativeBackpropInput Einsum FFT FFT2D FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 IFFT IFFT2D
    IRFFT IRFFT2D LRN MatMul MaxPool RFFT RFFT2D ResizeBicubic ResizeBilinear ResizeNearestNeighbor
"""
_RANGE_CODER = """
    CreateRangeDecoder CreateRangeEncoder EntropyDecodeChannel EntropyDecodeFinalize EntropyDecodeIndex
    EntropyEncodeChannel EntropyEncodeFinalize EntropyEncodeIndex PmfToQuantizedCdf RunLengthDecode RunLengthEncode
    RunLengthGammaDecode RunLengthGammaEncode
"""
OPERATIONS = CALLS | CHECKED | frozenset(
    f"{_CONTROL_FLOW} {_ARITHMETIC} {_SHAPES} {_NETWORKS} {_RANGE_CODER}".split())
