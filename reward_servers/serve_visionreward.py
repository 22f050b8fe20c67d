"""VisionReward-Video (Apache-2.0 code): the weighted sum of its checklist's yes and no. Reads commit 511960d.

Its script loads the weights with `trust_remote_code`, so read their code first. Run it with the Python of its
environment; see docs/reward_servers.md.

    python serve_visionreward.py --folder VisionReward --model THUDM/VisionReward-Video@REVISION
"""

import argparse
import importlib.util
import os

import reward_server

parser = argparse.ArgumentParser()
parser.add_argument("--folder", required=True, help="clone of github.com/THUDM/VisionReward")
parser.add_argument("--model", required=True, help="name and revision of the weights, as in the recipe")
given, _ = parser.parse_known_args()


def load(folder):
    """Its script as a module: it loads the model, and the questions and weights of the folder it is run in."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        spec = importlib.util.spec_from_file_location("inference_video", "inference-video.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        os.chdir(before)
    return module


model = load(given.folder)


def score(clip, text, dimension):
    return {"VisionReward": model.score(clip.path, text)}


if __name__ == "__main__":
    reward_server.serve(given.model, ["VisionReward"], score)
