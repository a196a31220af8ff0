"""Which operations a served graph may hold: stock ones that TF Serving links, and no others."""

import os
from pathlib import Path

from tensorflow.core.protobuf import saved_model_pb2

from tfrs_gru4rec.checks import require

# All kernels here are part of core TensorFlow. A new one is added by hand, after a look at whether it keeps
# state, calls Python, or reads files.
_NAMES = """
    AddV2 All Any ArgMax Assert AssignVariableOp BatchMatMulV2 BatchMatMulV3 BroadcastTo Cast ConcatV2 Const
    DestroyResourceOp DivNoNan DisableCopyOnRead Empty EnsureShape Equal Fill FloorDiv FloorMod GatherV2 Greater
    GreaterEqual HashTableV2 Identity If IsFinite Less LessEqual Log Log1p LogicalAnd LogicalNot LogicalOr
    LookupTableFindV2 LookupTableImportV2 MatMul Max Maximum MergeV2Checkpoints Min Minimum Mul Neg NoOp NotEqual
    OnesLike Pack Pad PadV2 PartitionedCall Placeholder RaggedGather Range Rank ReadVariableOp Reshape
    ResourceAccumulatorApplyGradient ResourceAccumulatorTakeGradient ResourceConditionalAccumulator ResourceGather
    ResourceGatherNd ResourceScatterNdUpdate RestoreV2 SaveV2 ScatterNd Select SelectV2 Shape ShardedFilename
    Sigmoid Size SparseTensorDenseAdd Split SplitV StatefulPartitionedCall StatelessIf StaticRegexFullMatch
    StridedSlice StringJoin StringLength StringToHashBucketStrong Sqrt Sub Sum Tanh TensorListConcatV2
    TensorListReserve TensorListSetItem TensorScatterMin TensorScatterUpdate Timestamp TopKV2 Unique Unpack
    UnsortedSegmentMax UnsortedSegmentSum VarHandleOp Where While ZerosLike
"""
ALLOWED = frozenset(_NAMES.split())


def require_stock_operations(saved_model_dir: str | os.PathLike[str]) -> None:
    """Raises ValueError unless a SavedModel can be served without anything of ours in the server.

    Args:
      saved_model_dir: folder that holds saved_model.pb.
    """
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((Path(saved_model_dir) / "saved_model.pb").read_bytes())
    types: set[str] = set()
    for meta_graph in saved_model.meta_graphs:
        library = meta_graph.graph_def.library.function
        types.update(node.op for node in meta_graph.graph_def.node)
        types.update(node.op for function in library for node in function.node_def)
        types.difference_update(function.signature.name for function in library)
    foreign = sorted(types - ALLOWED)
    require(not foreign, "A served model must consist of stock operations.", operations=foreign)
