"""HPSv3 (MIT): human preference for pictures, the mean over frames spread evenly. Reads the package `hpsv3` 1.0.0.

An image model sees no motion: reward it beside a judge that does, or clips become slideshows. Run it with the Python of
HPSv3's environment; see docs/reward_servers.md.

    python serve_hpsv3.py --model MizzenAI/HPSv3@REVISION --num-frames 8
"""

import argparse

import reward_server

parser = argparse.ArgumentParser()
parser.add_argument(
    "--model", required=True, help="name and revision of the weights; the recipe adds the frames: NAME, 8 frames"
)
parser.add_argument("--weights", help="file HPSv3.safetensors; without it, the package fetches it from the Hub")
parser.add_argument("--num-frames", type=int, default=8)
parser.add_argument("--device", default="cuda")
given, _ = parser.parse_known_args()

from hpsv3 import HPSv3RewardInferencer  # noqa: E402

model = HPSv3RewardInferencer(checkpoint_path=given.weights, device=given.device)


def score(clip, text, dimension):
    pictures = clip.pictures(given.num_frames)
    # Each row is a mean and its uncertainty. Names, because releases differ in the order of the arguments.
    rows = [model.reward(prompts=[text], image_paths=[each])[0] for each in pictures]
    return {"HPSv3": sum(float(row[0]) for row in rows) / len(rows)}


if __name__ == "__main__":
    reward_server.serve(f"{given.model}, {given.num_frames} frames", ["HPSv3"], score)
