"""Models that Mainstem did not write, and what ONNX Runtime says of them.

    models.py make DIR                          writes cases: NAME.onnx, NAME.rows (float32), NAME.want (float32)
                                                and cases.txt with "NAME WIDTH" lines
    models.py run MODEL ROWS WIDTH LABELS WANT  runs a model, writes its labels (int64) and second column (float32)

A case's `want` is the second column of its float output with two columns, or the only column.
"""

import os
import pathlib
import sys
import warnings

# Several threads for such small models wait for each other more than they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

warnings.filterwarnings("ignore")
WIDTH = 4


def session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def build(nodes, output="probabilities", width=WIDTH, initializers=(), columns=None):
    graph = helper.make_graph(
        nodes,
        "case",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, columns])],
        list(initializers),
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


# Every comparison, at values where rounding, zero's sign, infinity and NaN matter.
GRID = np.array([-np.inf, -1.5, -0.0, 0.0, 1e-45, 0.5, 1.0, 3.4028235e38, np.inf, np.nan], dtype=np.float32)
MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def grid_rows(rng, rows=500, width=WIDTH):
    return rng.choice(GRID, size=(rows, width)).astype(np.float32)


def random_trees(rng, prefix, classes, modes, trees=7, depth=4, positive=False, per_leaf=None):
    """Attributes of random trees; node ids and the order of nodes are shuffled, as the format allows."""
    a = {key: [] for key in ["treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids"]}
    missing, leaves = [], {key: [] for key in ["treeids", "nodeids", "ids", "weights"]}
    for tree in range(trees):
        nodes = []

        def grow(level):
            at = len(nodes)
            nodes.append(None)
            if level == depth or (level > 0 and rng.random() < 0.2):
                nodes[at] = ("LEAF", 0, 0.0, 0, 0, 0)
                return at
            yes, no = grow(level + 1), grow(level + 1)
            threshold = rng.choice(GRID[~np.isnan(GRID)])
            nodes[at] = (rng.choice(modes), rng.integers(WIDTH), threshold, yes, no, rng.integers(2))
            return at

        grow(0)
        ids = np.concatenate([[0], 1 + rng.permutation(len(nodes) - 1)])
        for at in range(len(nodes)):
            mode, feature, value, yes, no, tracks = nodes[at]
            a["treeids"].append(tree)
            a["nodeids"].append(int(ids[at]))
            a["featureids"].append(int(feature))
            a["modes"].append(str(mode))
            a["values"].append(float(value))
            a["truenodeids"].append(int(ids[yes]) if mode != "LEAF" else 0)
            a["falsenodeids"].append(int(ids[no]) if mode != "LEAF" else 0)
            missing.append(int(tracks))
            if mode == "LEAF":
                for one in classes if per_leaf is None else rng.choice(classes, per_leaf, replace=False):
                    leaves["treeids"].append(tree)
                    leaves["nodeids"].append(int(ids[at]))
                    leaves["ids"].append(int(one))
                    leaves["weights"].append(float(rng.random() / trees if positive else rng.normal()))
    attributes = {f"nodes_{key}": value for key, value in a.items()}
    attributes["nodes_missing_value_tracks_true"] = missing
    attributes.update({f"{prefix}_{key}": value for key, value in leaves.items()})
    return attributes


def classifier(attributes, transform="NONE", labels=(0, 1), base=None, outputs=("label", "probabilities")):
    if base is not None:
        attributes = {**attributes, "base_values": base}
    return helper.make_node(
        "TreeEnsembleClassifier",
        ["input"],
        list(outputs),
        domain="ai.onnx.ml",
        classlabels_int64s=list(labels),
        post_transform=transform,
        **attributes,
    )


def tree_cases(rng):
    label = helper.make_node("Cast", ["label"], ["float_label"], to=TensorProto.FLOAT)

    def both(name, attributes, **options):
        node = classifier(attributes, **options)
        yield name, build([node], columns=2), grid_rows(rng)
        # The label as the only float output.
        wide = build([node, label], output="float_label")
        del wide.graph.output[0].type.tensor_type.shape.dim[1]
        yield f"{name}_label", wide, grid_rows(rng)

    for mode in MODES:
        yield from both(f"mode_{mode}", random_trees(rng, "class", [0], [mode]), transform="LOGISTIC")
    for transform in ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"]:
        for positive in [False, True]:
            for base in [None, [0.25]]:
                trees = random_trees(rng, "class", [0], MODES, positive=positive)
                name = f"single_{transform}_{positive}_{base is not None}"
                yield from both(name, trees, transform=transform, base=base, labels=(3, 7))
            trees = random_trees(rng, "class", [1], MODES, positive=positive)
            yield from both(f"one_{transform}_{positive}", trees, transform=transform)
            trees = random_trees(rng, "class", [0, 1], MODES, positive=positive)
            yield from both(f"pair_{transform}_{positive}", trees, transform=transform)
        for base in [None, [0.5, -0.25, 0.125]]:
            for per_leaf in [None, 1]:
                trees = random_trees(rng, "class", [0, 1, 2], MODES, per_leaf=per_leaf)
                name = f"three_{transform}_{base is not None}_{per_leaf}"
                node = classifier(trees, transform, labels=(5, 6, 9), base=base)
                for column in range(3):
                    index = numpy_helper.from_array(np.array([column]), "column")
                    pick = helper.make_node("Gather", ["probabilities", "column"], ["picked"], axis=1)
                    yield f"{name}_{column}", build([node, pick], "picked", initializers=[index], columns=1), grid_rows(rng)
                wide = build([node, label], output="float_label")
                del wide.graph.output[0].type.tensor_type.shape.dim[1]
                yield f"{name}_label", wide, grid_rows(rng)
    for aggregate in ["SUM", "AVERAGE", "MIN", "MAX"]:
        for targets in [1, 2]:
            for base in [None, [0.5, -0.25][:targets]]:
                attributes = random_trees(rng, "target", list(range(targets)), MODES)
                if base is not None:
                    attributes["base_values"] = base
                node = helper.make_node(
                    "TreeEnsembleRegressor",
                    ["input"],
                    ["probabilities"],
                    domain="ai.onnx.ml",
                    n_targets=targets,
                    aggregate_function=aggregate,
                    **attributes,
                )
                yield f"regressor_{aggregate}_{targets}_{base is not None}", build([node], columns=targets), grid_rows(rng)


def scikit_cases(rng):
    from skl2onnx import to_onnx
    from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    width = 8
    rows = rng.normal(size=(600, width)).astype(np.float32)
    rows[:, 1] = np.round(rows[:, 1])
    signal = rows[:, 0] * 2 + rows[:, 1] - rows[:, 2] * rows[:, 3] + rng.normal(size=600) * 0.5
    labels = (signal > 0).astype(np.int64)
    holes = np.where(rng.random(rows.shape) < 0.1, np.float32(np.nan), rows)
    models = {
        "gradient_boosting": GradientBoostingClassifier(n_estimators=60, random_state=1),
        "random_forest": RandomForestClassifier(n_estimators=51, max_depth=8, random_state=1),
        "extra_trees": ExtraTreesClassifier(n_estimators=31, random_state=1),
        "decision_tree": DecisionTreeClassifier(max_depth=6, random_state=1),
        "histogram_boosting": HistGradientBoostingClassifier(max_iter=40, random_state=1),
        "logistic": LogisticRegression(),
        "scaled_logistic": make_pipeline(StandardScaler(), LogisticRegression()),
        "normalized_logistic": make_pipeline(Normalizer("l2"), LogisticRegression()),
        "ranged_forest": make_pipeline(MinMaxScaler(), RandomForestClassifier(n_estimators=21, max_depth=5, random_state=1)),
        "network": make_pipeline(StandardScaler(), MLPClassifier((24, 12), max_iter=80, random_state=1)),
        "network_logistic": MLPClassifier((7,), activation="logistic", max_iter=80, random_state=1),
        "network_tanh": MLPClassifier((9, 5), activation="tanh", max_iter=80, random_state=1),
    }
    for name, model in models.items():
        data = holes if name == "histogram_boosting" else rows
        model.fit(data, labels)
        for zipmap in [False, True]:
            options = {"zipmap": zipmap}
            onnx_model = to_onnx(model, rows[:1], options=options, target_opset={"": 17, "ai.onnx.ml": 3})
            yield f"scikit_{name}{'_zipmap' if zipmap else ''}", onnx_model, data


def operator_cases(rng):
    """One small model per operator; the last step leaves two float columns."""
    node, array = helper.make_node, numpy_helper.from_array
    two = rng.normal(size=(200, 2)).astype(np.float32)
    positive = np.abs(two) + np.float32(0.1)
    unary = ["Abs", "Ceil", "Elu", "Exp", "Floor", "HardSigmoid", "Identity", "LeakyRelu", "LogSoftmax", "Neg"]
    unary += ["Reciprocal", "Relu", "Sigmoid", "Sign", "Softmax", "Softplus", "Softsign", "Tanh"]
    for op in unary:
        yield f"op_{op}", build([node(op, ["input"], ["y"])], "y", 2, columns=2), two
    for op in ["Log", "Sqrt"]:
        yield f"op_{op}", build([node(op, ["input"], ["y"])], "y", 2, columns=2), positive
    row = array(np.array([[0.5, -1.25]], dtype=np.float32), "row")
    for op in ["Add", "Div", "Max", "Min", "Mul", "Sub", "Sum"]:
        yield f"op_{op}", build([node(op, ["input", "row"], ["y"])], "y", 2, [row], 2), two
    power = array(np.array([[0.5, -1.25]], dtype=np.float32), "row")
    yield "op_Pow", build([node("Pow", ["input", "row"], ["y"])], "y", 2, [power], 2), positive
    for op in ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]:
        nodes = [node(op, ["input", "row"], ["b"]), node("Cast", ["b"], ["y"], to=TensorProto.FLOAT)]
        yield f"op_{op}", build(nodes, "y", 2, [row], 2), np.where(rng.random((200, 2)) < 0.3, [[0.5, -1.25]], two).astype(np.float32)
    for op in ["And", "Or"]:
        nodes = [node("Less", ["input", "row"], ["a"]), node("Greater", ["input", "low"], ["b"]), node("Not", ["b"], ["c"])]
        nodes += [node(op, ["a", "c"], ["d"]), node("Cast", ["d"], ["y"], to=TensorProto.FLOAT)]
        low = array(np.array([[-0.3, 0.4]], dtype=np.float32), "low")
        yield f"op_{op}", build(nodes, "y", 2, [row, low], 2), two
    holes = np.where(rng.random(two.shape) < 0.3, np.float32(np.nan), two)
    nodes = [node("IsNaN", ["input"], ["b"]), node("Where", ["b", "row", "input"], ["y"])]
    yield "op_IsNaN_Where", build(nodes, "y", 2, [row], 2), holes
    low, high = array(np.float32(-0.5), "low"), array(np.float32(0.75), "high")
    yield "op_Clip", build([node("Clip", ["input", "low", "high"], ["y"])], "y", 2, [low, high], 2), two
    five = rng.normal(size=(200, 5)).astype(np.float32)
    weights = array(rng.normal(size=(5, 2)).astype(np.float32), "weights")
    turned = array(rng.normal(size=(2, 5)).astype(np.float32), "turned")
    bias = array(rng.normal(size=2).astype(np.float32), "bias")
    yield "op_MatMul", build([node("MatMul", ["input", "weights"], ["y"])], "y", 5, [weights], 2), five
    gemm = node("Gemm", ["input", "turned", "bias"], ["y"], transB=1, alpha=0.5, beta=2.0)
    yield "op_Gemm", build([gemm], "y", 5, [turned, bias], 2), five
    numbers = [array(np.abs(rng.normal(size=2)).astype(np.float32) + 0.1, name) for name in "abcd"]
    batch = node("BatchNormalization", ["input", "a", "b", "c", "d"], ["y"])
    yield "op_BatchNormalization", build([batch], "y", 2, numbers, 2), two
    for op in ["ReduceMax", "ReduceMean", "ReduceMin"]:
        yield f"op_{op}", build([node(op, ["input"], ["y"], axes=[1], keepdims=1)], "y", 5, columns=1), five
    axis = array(np.array([1]), "axis")
    yield "op_ReduceSum", build([node("ReduceSum", ["input", "axis"], ["y"], keepdims=1)], "y", 5, [axis], 1), five
    nodes = [node("ArgMax", ["input"], ["m"], axis=1, keepdims=1), node("Cast", ["m"], ["y"], to=TensorProto.FLOAT)]
    yield "op_ArgMax", build(nodes, "y", 5, columns=1), five
    starts, ends = array(np.array([1]), "starts"), array(np.array([3]), "ends")
    yield "op_Slice", build([node("Slice", ["input", "starts", "ends", "axis"], ["y"])], "y", 5, [starts, ends, axis], 2), five
    picks = array(np.array([4, 2]), "picks")
    yield "op_Gather", build([node("Gather", ["input", "picks"], ["y"], axis=1)], "y", 5, [picks], 2), five
    extract = node("ArrayFeatureExtractor", ["input", "picks"], ["y"], domain="ai.onnx.ml")
    yield "op_ArrayFeatureExtractor", build([extract], "y", 5, [picks], 2), five
    nodes = [node("Unsqueeze", ["input", "axis"], ["u"]), node("Squeeze", ["u", "axis"], ["s"]), node("Concat", ["s", "input"], ["c"], axis=1)]
    nodes += [node("Slice", ["c", "starts", "ends", "axis"], ["y"])]
    yield "op_Squeeze_Concat", build(nodes, "y", 5, [axis, starts, ends], 2), five
    shape, back = array(np.array([-1, 2, 1]), "shape"), array(np.array([-1, 2]), "back")
    nodes = [node("Reshape", ["input", "shape"], ["r"]), node("Transpose", ["r"], ["t"], perm=[0, 2, 1]), node("Flatten", ["t"], ["f"]), node("Reshape", ["f", "back"], ["y"])]
    yield "op_Reshape_Transpose_Flatten", build(nodes, "y", 2, [shape, back], 2), two
    constant = node("Constant", [], ["k"], value=array(np.array([[2.0, 3.0]], dtype=np.float32)))
    yield "op_Constant", build([constant, node("Mul", ["input", "k"], ["y"])], "y", 2, columns=2), two
    scaler = node("Scaler", ["input"], ["y"], domain="ai.onnx.ml", offset=[0.5, -1.0], scale=[2.0, 3.0])
    yield "op_Scaler", build([scaler], "y", 2, columns=2), two
    two[0] = 0
    for norm in ["L1", "L2"]:
        yield f"op_Normalizer_{norm}", build([node("Normalizer", ["input"], ["y"], domain="ai.onnx.ml", norm=norm)], "y", 2, columns=2), two
    linear = node("LinearRegressor", ["input"], ["y"], domain="ai.onnx.ml", coefficients=[0.5, -1.0, 0.25, 2.0, 1.0], intercepts=[0.125], targets=1)
    yield "op_LinearRegressor", build([linear], "y", 5, columns=1), five


def expected(model, rows):
    run = session(model.SerializeToString())
    outputs = run.run(None, {run.get_inputs()[0].name: rows})
    floats = []
    for value in outputs:
        if isinstance(value, list):
            value = np.array([[row[key] for key in sorted(row)] for row in value], dtype=np.float32)
        if value.dtype == np.float32:
            floats.append(value.reshape(len(rows), -1))
    assert len(floats) == 1, [value.shape for value in floats]
    return floats[0][:, -1].astype(np.float32)


def make(folder):
    rng = np.random.default_rng(7)
    names = []
    for cases in [tree_cases, scikit_cases, operator_cases]:
        for name, model, rows in cases(rng):
            want = expected(model, rows)
            (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
            (folder / f"{name}.rows").write_bytes(rows.astype("<f4").tobytes())
            (folder / f"{name}.want").write_bytes(want.astype("<f4").tobytes())
            names.append(f"{name} {rows.shape[1]}\n")
    (folder / "cases.txt").write_text("".join(names))


def run(model, rows, width, labels, want):
    onnx.checker.check_model(onnx.load(model), full_check=True)
    data = np.frombuffer(pathlib.Path(rows).read_bytes(), dtype="<f4").reshape(-1, int(width))
    classes, probabilities = session(model).run(["label", "probabilities"], {"input": data})
    pathlib.Path(labels).write_bytes(classes.astype("<i8").tobytes())
    pathlib.Path(want).write_bytes(probabilities[:, 1].astype("<f4").tobytes())


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(pathlib.Path(sys.argv[2]))
    else:
        run(*sys.argv[2:])
