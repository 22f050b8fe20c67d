"""VideoScore2 (Apache-2.0): quality, alignment and physics, 1 to 5, after it has thought. Reads commit e6abe26.

Its own script samples; here the reply is greedy, so that a clip always gets the same values, and each value is the
mean of 1 to 5 by the probabilities of the digit. Run it with the Python of its environment; see docs/reward_servers.md.

    python serve_videoscore2.py --folder VideoScore2 --model TIGER-Lab/VideoScore2@REVISION
"""

import argparse
import ast
import os
import re
from string import Template

import reward_server

SCALES = {
    "quality": "visual quality:",
    "alignment": "text-to-video alignment:",
    "physics": "physical/common-sense consistency:",
}
SAMPLED_FPS = 2.0


def template_in(folder):
    """The instruction of its script `vs2_inference.py`: the only text that is a call of `Template`."""
    with open(os.path.join(folder, "vs2_inference.py"), encoding="utf-8") as file:
        tree = ast.parse(file.read())
    (text,) = [
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Template"
    ]
    return Template(text)


def reply_of(model, tokenizer, inputs, max_tokens):
    """The model's greedy reply: its tokens as texts, and for each of them the logits it was chosen by."""
    import torch

    with torch.no_grad():
        out = model.generate(
            **inputs, max_new_tokens=max_tokens, do_sample=False, output_logits=True, return_dict_in_generate=True
        )
    tokens = out.sequences[0, inputs["input_ids"].shape[1] :].tolist()
    return [tokenizer.decode([token]) for token in tokens], [each[0] for each in out.logits]


def values_of(pieces, logits, digits):
    """The value on each scale, or words where the reply has none.

    Args:
        pieces: the reply's tokens as texts.
        logits: for each of them, the logits it was chosen by.
        digits: tokens of 1 to 5, in order.
    """
    ends = []
    for piece in pieces:
        ends.append((ends[-1] if ends else 0) + len(piece))
    reply, found = "".join(pieces), {}
    for scale, name in SCALES.items():
        # The last one: it may name the scale in its thoughts too.
        places = [each.end() for each in re.finditer(re.escape(name) + r"\s*(?=[1-5])", reply, re.IGNORECASE)]
        if not places:
            found[scale] = f"no number after {name!r} in its reply: ...{reply[-80:]}"
            continue
        token = next(i for i, end in enumerate(ends) if end > places[-1])
        chances = logits[token].float().softmax(-1)[digits]
        found[scale] = float((chances / chances.sum() * chances.new_tensor([1, 2, 3, 4, 5])).sum())
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True, help="clone of github.com/TIGER-AI-Lab/VideoScore2")
    parser.add_argument("--model", required=True, help="NAME@REVISION of the weights on the Hub, as in the recipe")
    parser.add_argument("--max-tokens", type=int, default=1024)
    parser.add_argument("--device", default="cuda")
    given, _ = parser.parse_known_args()

    from qwen_vl_utils import process_vision_info
    from transformers import AutoModelForImageTextToText, AutoProcessor

    name, _, revision = given.model.partition("@")
    processor = AutoProcessor.from_pretrained(name, revision=revision or None)
    model = AutoModelForImageTextToText.from_pretrained(name, revision=revision or None, torch_dtype="auto")
    model = model.to(given.device).eval()
    template = template_in(given.folder)
    digits = [processor.tokenizer.encode(digit, add_special_tokens=False)[-1] for digit in "12345"]

    def score(clip, text, dimension):
        video = {"type": "video", "video": clip.path, "fps": SAMPLED_FPS}
        words = {"type": "text", "text": template.substitute(t2v_prompt=text)}
        messages = [{"role": "user", "content": [video, words]}]
        prompt = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        images, videos = process_vision_info(messages)
        inputs = processor(
            text=[prompt], images=images, videos=videos, fps=SAMPLED_FPS, padding=True, return_tensors="pt"
        )
        inputs = inputs.to(given.device)
        return values_of(*reply_of(model, processor.tokenizer, inputs, given.max_tokens), digits)

    reward_server.serve(given.model, list(SCALES), score)


if __name__ == "__main__":
    main()
