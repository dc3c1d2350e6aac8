"""ONNX Runtime and OpenVINO behind one call: run(images) -> first output."""
import numpy as np


class OnnxRuntime:
    """mode "exact": integer products without saturation on CPUs before VNNI, which is what the file says;
    "default": as it comes; "unfused": no graph optimization, so every Q/DQ node runs on its own."""

    def __init__(self, model, threads, mode="default", spinning=True):
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # errors come as exceptions; no second copy on stderr
        if mode == "exact":
            options.add_session_config_entry("session.x64quantprecision", "1")
        if mode == "unfused":
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        if not spinning:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        batch = self.session.get_inputs()[0].shape[0]
        self.batch = batch if isinstance(batch, int) else 0

    def run(self, images):
        return self.session.run(None, {self.input: images})[0]


class OpenVino:
    """The CPU plugin; what is float in the file stays float32 instead of becoming bfloat16."""

    def __init__(self, model, threads):
        import openvino as ov

        core = ov.Core()
        config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        self.compiled = core.compile_model(core.read_model(str(model)), "CPU", config)
        shape = self.compiled.input(0).partial_shape
        self.batch = shape[0].get_length() if shape[0].is_static else 0
        self.request = self.compiled.create_infer_request()

    def run(self, images):
        return np.array(self.request.infer([images])[self.compiled.output(0)])


ENGINES = {
    "ort-exact": ("ONNX Runtime, exact", lambda model, threads: OnnxRuntime(model, threads, "exact")),
    "ort": ("ONNX Runtime", lambda model, threads: OnnxRuntime(model, threads)),
    "ort-unfused": ("ONNX Runtime, unfused", lambda model, threads: OnnxRuntime(model, threads, "unfused")),
    "openvino": ("OpenVINO", lambda model, threads: OpenVino(model, threads)),
}


def run_all(engine, images, batch=100):
    """The first output for all images, in batches that the network allows."""
    batch = engine.batch or batch
    outputs = []
    for first in range(0, len(images), batch):
        part = images[first:first + batch]
        rows = len(part)
        if engine.batch and rows < batch:
            part = np.concatenate([part, np.repeat(part[-1:], batch - rows, axis=0)])
        outputs.append(engine.run(np.ascontiguousarray(part)))
    return np.concatenate(outputs)[:len(images)]
