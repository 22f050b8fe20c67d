"""VideoAlign / VideoReward (MIT): VQ, MQ and TA, in standard deviations of its training set. Reads commit 219ab9d.

Run it with the Python of VideoAlign's environment; see docs/reward_servers.md.

    python serve_videoalign.py --folder VideoAlign --model KwaiVGI/VideoReward@REVISION
"""

import argparse
import sys

import reward_server

parser = argparse.ArgumentParser()
parser.add_argument("--folder", required=True, help="clone of github.com/KwaiVGI/VideoAlign, with its checkpoints")
parser.add_argument("--model", required=True, help="name and revision of the weights, as in the recipe")
parser.add_argument("--device", default="cuda")
given, _ = parser.parse_known_args()

sys.path.insert(0, given.folder)
import torch  # noqa: E402
from inference import VideoVLMRewardInference  # noqa: E402

model = VideoVLMRewardInference(given.folder + "/checkpoints", device=given.device, dtype=torch.bfloat16)


def score(clip, text, dimension):
    with torch.no_grad():
        (rewards,) = model.reward([clip.path], [text], use_norm=True)
    return {name: rewards[name] for name in ("VQ", "MQ", "TA")}


if __name__ == "__main__":
    reward_server.serve(given.model, ["VQ", "MQ", "TA"], score)
