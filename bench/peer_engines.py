"""The engines of peers.py behind one face, all on the same inputs in one process: Octet through its C API, ONNX
Runtime, OpenVINO and, where it is installed and its files lie beside the ONNX file, ncnn.

An engine has run() -> None, outputs() -> list of float32 arrays of the last run, and precision() -> what its weighted
operators really compute in. Inputs are given once, before the runs.
"""
import collections
import ctypes
import os
import tempfile
from pathlib import Path

import numpy as np

WEIGHTED_INT8 = {"QLinearConv", "QGemm", "QLinearMatMul", "ConvInteger", "MatMulInteger", "MatMulIntegerToFloat",
                 "DynamicQuantizeMatMul", "QAttention"}
WEIGHTED_FLOAT = {"Conv", "FusedConv", "NhwcFusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul", "ConvTranspose"}


class Unavailable(Exception):
    """The engine is not installed, or has no file for this network."""


class OctetEngine:
    """A .octet file through the C API of octet/octet.h."""

    def __init__(self, model, threads, library):
        lib = self.lib = ctypes.CDLL(str(library))
        pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
        for name, result, arguments in (
                ("octet_load", pointer, [text]), ("octet_unload", None, [pointer]),
                ("octet_open", pointer, [pointer, number]), ("octet_close", None, [pointer]),
                ("octet_input_count", number, [pointer]), ("octet_output_count", number, [pointer]),
                ("octet_output_dims", number, [pointer, number, ctypes.POINTER(ctypes.c_int64), number]),
                ("octet_output_type", text, [pointer, number]), ("octet_error", text, []),
                ("octet_run", number, [pointer, ctypes.c_int64, ctypes.POINTER(pointer), ctypes.POINTER(pointer)])):
            function = getattr(lib, name)
            function.restype, function.argtypes = result, arguments
        self.engine = self._check(lib.octet_load(os.fsencode(model)))
        self.session = self._check(lib.octet_open(self.engine, threads))

    def _check(self, value):
        if not value:
            raise RuntimeError(self.lib.octet_error().decode())
        return value

    def set_inputs(self, arrays, batch):
        self.arrays = [np.ascontiguousarray(a) for a in arrays]
        self.results = []
        self.batch = 1  # an engine of a fixed batch counts it as one
        for i in range(self.lib.octet_output_count(self.engine)):
            dims = (ctypes.c_int64 * 16)()
            rank = self.lib.octet_output_dims(self.engine, i, dims, 16)
            shape = list(dims[:rank])
            if shape and shape[0] < 0:
                shape[0] = self.batch = batch
            self.results.append(np.empty(shape, self.lib.octet_output_type(self.engine, i).decode()))
        self._in = (ctypes.c_void_p * len(self.arrays))(*(a.ctypes.data for a in self.arrays))
        self._out = (ctypes.c_void_p * len(self.results))(*(a.ctypes.data for a in self.results))

    def run(self):
        if self.lib.octet_run(self.session, self.batch, self._in, self._out) != 0:
            raise RuntimeError(self.lib.octet_error().decode())

    def outputs(self):
        return [r.copy() for r in self.results]

    def close(self):
        self.lib.octet_close(self.session)
        self.lib.octet_unload(self.engine)


class OnnxRuntimeEngine:
    def __init__(self, model, threads, exact=False, spinning=True):
        import onnxruntime as ort

        self.model, self.exact = model, exact
        self.session = ort.InferenceSession(str(model), self._options(ort, threads, spinning),
                                            providers=["CPUExecutionProvider"])
        self.ort = ort

    def _options(self, ort, threads, spinning=True):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # errors come as exceptions
        if self.exact:
            options.add_session_config_entry("session.x64quantprecision", "1")
        if not spinning:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options

    def set_inputs(self, arrays, batch):
        self.feeds = {i.name: a for i, a in zip(self.session.get_inputs(), arrays)}

    def run(self):
        self.last = self.session.run(None, self.feeds)

    def outputs(self):
        return self.last

    def precision(self):
        """Counts weighted nodes of the graph that ONNX Runtime really runs."""
        import onnx

        with tempfile.TemporaryDirectory() as folder:
            options = self._options(self.ort, 1)
            options.optimized_model_filepath = os.path.join(folder, "optimized.onnx")
            self.ort.InferenceSession(str(self.model), options, providers=["CPUExecutionProvider"])
            graph = onnx.load(options.optimized_model_filepath).graph
        kinds = collections.Counter(n.op_type for n in graph.node)
        return {"int8": sum(kinds[k] for k in WEIGHTED_INT8), "float": sum(kinds[k] for k in WEIGHTED_FLOAT)}

    def close(self):
        del self.session


class OpenVinoEngine:
    """The CPU plugin for one request at a time. `hint` f32 keeps float parts in float32; None leaves the choice to
    OpenVINO, which takes bfloat16 where the processor has it."""

    def __init__(self, model, threads, hint="f32"):
        import openvino as ov

        core = ov.Core()
        config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        if hint:
            config["INFERENCE_PRECISION_HINT"] = hint
        self.network = core.read_model(str(model))
        self.core, self.config = core, config
        self.compiled = core.compile_model(self.network, "CPU", config)
        self.request = self.compiled.create_infer_request()

    def set_inputs(self, arrays, batch):
        import openvino as ov

        if any(self.compiled.input(i).partial_shape.is_dynamic for i in range(len(arrays))):  # a plan for this batch
            self.network.reshape({i: list(a.shape) for i, a in enumerate(arrays)})
            self.compiled = self.core.compile_model(self.network, "CPU", self.config)
            self.request = self.compiled.create_infer_request()
        self.arrays = [np.ascontiguousarray(a) for a in arrays]
        for i, a in enumerate(self.arrays):
            self.request.set_input_tensor(i, ov.Tensor(a, shared_memory=True))

    def run(self):
        self.request.infer()

    def outputs(self):
        return [np.array(self.request.get_output_tensor(i).data) for i in range(len(self.compiled.outputs))]

    def precision(self):
        counts = collections.Counter()
        for op in self.compiled.get_runtime_model().get_ops():
            info = op.get_rt_info()
            kind = info["layerType"].astype(str) if "layerType" in info else op.get_type_name()
            if kind not in ("Convolution", "GroupConvolution", "FullyConnected", "MatMul"):
                continue
            counts["int8" if info["runtimePrecision"].astype(str) in ("i8", "u8") else "float"] += 1
        return {"int8": counts["int8"], "float": counts["float"]}

    def close(self):
        del self.request, self.compiled


class NcnnEngine:
    """NAME.ncnn.param and NAME.ncnn.bin beside NAME.onnx (make_int8_networks.py --ncnn); images run one by one."""

    def __init__(self, model, threads):
        param = Path(model).with_suffix(".ncnn.param")
        if not param.exists():
            raise Unavailable(f"there is no {param.name}")
        import ncnn

        self.ncnn, self.net = ncnn, ncnn.Net()
        self.net.opt.num_threads = threads
        if self.net.load_param(str(param)) != 0 or self.net.load_model(str(param.with_suffix(".bin"))) != 0:
            raise RuntimeError(f"ncnn cannot read {param}")
        self.counts = collections.Counter()
        for line in param.read_text().splitlines():
            if line.startswith(("Convolution", "InnerProduct")):
                self.counts["int8" if " 8=" in line else "float"] += 1
        self.names = None

    def set_inputs(self, arrays, batch):
        if batch != 1 or len(arrays) != 1:
            raise Unavailable("ncnn runs networks of one input at batch 1 here")
        self.array = np.ascontiguousarray(arrays[0][0])
        self.mat = self.ncnn.Mat(self.array)

    def run(self):
        extractor = self.net.create_extractor()
        extractor.input("input", self.mat)
        self.last = [extractor.extract(name) for name in self.names or self.net.output_names()]

    def outputs(self):
        return [np.array(mat)[None] for _, mat in self.last]

    def precision(self):
        return {"int8": self.counts["int8"], "float": self.counts["float"]}

    def close(self):
        self.net.clear()


# name -> (title, maker of an engine from an ONNX file and a number of threads)
PEERS = {
    "ort": ("ONNX Runtime", lambda model, threads: OnnxRuntimeEngine(model, threads)),
    "ort-exact": ("ONNX Runtime, exact", lambda model, threads: OnnxRuntimeEngine(model, threads, exact=True)),
    "ort-no-spin": ("ONNX Runtime, no spinning",
                    lambda model, threads: OnnxRuntimeEngine(model, threads, spinning=False)),
    "openvino": ("OpenVINO, f32", lambda model, threads: OpenVinoEngine(model, threads)),
    "openvino-default": ("OpenVINO", lambda model, threads: OpenVinoEngine(model, threads, hint=None)),
    "ncnn": ("ncnn", lambda model, threads: NcnnEngine(model, threads)),
}
