"""MLServer's custom runtime over ONNX Runtime, in an environment of its own: pip install 'mlserver<1.8' onnxruntime."""

import os

import numpy as np
import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Network(MLModel):
    """Open Inference Protocol: input `images` (N, 1, 28, 28) UINT8, output `probabilities` (N, 10)."""

    async def load(self) -> bool:
        """Open the network."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["NETWORK"], options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Probabilities."""
        images = NumpyCodec.decode_input(payload.inputs[0])
        (logits,) = self.session.run(["logits"], {"images": images})
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shares = powers / powers.sum(axis=-1, keepdims=True)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("probabilities", shares)])
