"""UnifiedReward-2.0 (MIT code): values from 1 to 5, or a preference between two takes. Reads commit ff6f520.

The model is behind vLLM, as its authors serve it (`vllm_server.sh`), on this machine. This script needs only OpenCV;
see docs/reward_servers.md.

    python serve_unifiedreward.py --folder UnifiedReward --url http://localhost:8080 --model CodeGoat24/NAME@REVISION
"""

import argparse
import ast
import base64
import json
import os
import re
import urllib.request

import reward_server

POINTWISE = ("Alignment", "Physics", "Style")
PAIRWISE = ("Alignment", "Coherence", "Style")
NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
SCRIPTS = "inference_qwen/UnifiedReward-2.0-inference"


def instruction_in(folder, script):
    """The instruction of one of its scripts, to be filled in: what it gives the name `problem`."""
    with open(os.path.join(folder, SCRIPTS, script), encoding="utf-8") as file:
        tree = ast.parse(file.read())
    (text,) = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "problem"
    ]
    pieces = text.values if isinstance(text, ast.JoinedStr) else [text]
    return lambda prompt: "".join(each.value if isinstance(each, ast.Constant) else prompt for each in pieces)


def values_in(reply):
    """The value on each scale of a pointwise reply, or words where it has none."""
    found = {}
    for name in POINTWISE:
        match = re.search(name + r" Score \(1-5\):\s*" + NUMBER, reply)
        found[name] = float(match.group(1)) if match else f"no {name} score in its reply: {reply[:80]}"
    return found


def preference_in(reply):
    """The first take's share, the mean over the scales of a pairwise reply, or words if one is missing."""
    shares = []
    for name in PAIRWISE:
        match = re.search(name + rf" Score:\s*Video 1:\s*{NUMBER}\s*Video 2:\s*{NUMBER}", reply)
        if match is None:
            return f"no {name} score in its reply: {reply[:80]}"
        first, second = float(match.group(1)), float(match.group(2))
        if first + second <= 0:
            return f"both {name} scores are 0"
        shares.append(first / (first + second))
    return sum(shares) / len(shares)


def ask(url, pictures, instruction):
    """The reply of the model behind vLLM, greedy."""
    content = []
    for path in pictures:
        with open(path, "rb") as file:
            data = base64.b64encode(file.read()).decode("ascii")
        content.append({"type": "image_url", "image_url": {"url": "data:image/png;base64," + data}})
    content.append({"type": "text", "text": instruction})
    body = {"model": "UnifiedReward", "messages": [{"role": "user", "content": content}]}
    body.update({"temperature": 0, "max_tokens": 4096})
    request = urllib.request.Request(
        url + "/v1/chat/completions", json.dumps(body).encode("ascii"), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as reply:
        return json.load(reply)["choices"][0]["message"]["content"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True, help="clone of github.com/CodeGoat24/UnifiedReward")
    parser.add_argument("--url", required=True, help="address of vLLM on this machine, without /v1")
    parser.add_argument("--model", required=True, help="name and revision of the weights that vLLM serves")
    given, _ = parser.parse_known_args()
    alone = instruction_in(given.folder, "point_score_APS_video_generation.py")
    both = instruction_in(given.folder, "pair_score_video_generation.py")

    def score(clip, text, dimension):
        return values_in(ask(given.url, clip.pictures(16), alone(text)))

    def prefer(first, second, text, dimension):
        return preference_in(ask(given.url, first.pictures(8) + second.pictures(8), both(text)))

    reward_server.serve(given.model, POINTWISE, score, prefer)


if __name__ == "__main__":
    main()
