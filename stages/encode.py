"""Run the frozen part of the backbone once over every utterance."""

from __future__ import annotations

import json

from emopipe.backbones.parameters import BackboneChoice
from emopipe.cluster.connection import Cluster
from emopipe.encoding.corpus import encode_corpus, tell_unheard
from emopipe.encoding.encoder import Encoder
from emopipe.encoding.parameters import Encode
from emopipe.io import ranks
from emopipe.io.errors import run_stage
from emopipe.parameters import Runtime
from emopipe.recordings.resampled import MANIFEST
from emopipe.schemas import notices
from emopipe.training import devices
from emopipe.training.checkpoints import checkpoint_folder


def main() -> None:
    """Encode data/audio into data/encoded."""
    choice, settings, runtime = BackboneChoice.load(), Encode.load(), Runtime.load()
    if runtime.engine == "local" and devices.launch("stages.encode", runtime):
        return
    device = devices.set_up(runtime, seed=0)  # nothing here is drawn at random
    encoder = Encoder.load(choice, settings, device)
    weights = json.dumps(encoder.provenance)
    with checkpoint_folder("encode", [choice, settings], runtime, [MANIFEST], weights) as parts:
        with_frames = choice.features != "frozen"
        cluster = Cluster.of(runtime, cpus=runtime.threads, gpu=runtime.device != "cpu")
        utterances = encode_corpus(encoder, MANIFEST, with_frames, parts, cluster=cluster)
    if ranks.is_first():
        with notices.collected(notices.ENCODE):
            tell_unheard(MANIFEST, settings.max_seconds)
        blocks = encoder.backbone.block_count
        print(f"encode: {utterances} utterances, {blocks - encoder.trainable} of {blocks} blocks frozen")


if __name__ == "__main__":
    run_stage(main)
