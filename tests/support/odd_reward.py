"""A reward server that behaves, or misbehaves, as its argument says: `python odd_reward.py MODE [FILE]`.

It follows the protocol by hand, apart from the reference server, so that both ends are checked against the page.
"""

import json
import os
import signal
import sys
import time

MODE = FILE = ""
GREETING = {"protocol": "rushes-reward-1", "model": "fake/one@1", "scales": ["VQ", "TA"], "compares": True}


def say(reply) -> None:
    print(json.dumps(reply) if not isinstance(reply, str) else reply, flush=True)


def good(asked) -> dict:
    if asked["ask"] == "prefer":
        return {"id": asked["id"], "p_first": 0.75}
    return {"id": asked["id"], "values": {"VQ": len(asked["text"]) / 10, "TA": -1.5}}


def reply(asked, number: int) -> object:
    is_first = number == 1 and not (FILE and os.path.exists(FILE))
    if FILE and is_first:
        open(FILE, "w").close()
    if MODE == "dies" and is_first:
        sys.stderr.write("CUDA out of memory\n")
        os.kill(os.getpid(), signal.SIGKILL)
    if MODE == "exits":
        sys.stderr.write("no weights\n")
        sys.exit(3)
    if MODE == "garbage" and is_first:
        return "Loading checkpoint shards: 100%"
    if MODE == "hangs" and is_first:
        time.sleep(600)
    if MODE == "huge" and is_first:
        return "{" + " " * (3 << 20) + "}"
    if MODE == "late" and is_first:
        return json.dumps(good(asked)) + "\n" + json.dumps(good(asked))
    if MODE == "slow":
        time.sleep(0.3)
    if MODE == "flood":
        sys.stderr.write("warning: slow tokenizer\n" * 40_000)
    if MODE == "echo":
        return {"id": asked["id"], "error": f"bad key {os.environ.get('MY_API_KEY')} {asked['text']}"}
    values = {
        "nan": {"VQ": float("nan"), "TA": 1.0},
        "words": {"VQ": "no face in it", "TA": 1.0},
        "text": {"VQ": "0.5", "TA": True},
        "short": {"VQ": 1.0},
        "long": {"VQ": 1.0, "TA": 2.0, "MQ": 3.0},
        "list": [1.0, 2.0],
    }
    if MODE in values:
        return {"id": asked["id"], "values": values[MODE]}
    if MODE == "range":
        return {"id": asked["id"], "p_first": 1.5}
    return good(asked)


def main() -> None:
    number = 0
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["ask"] == "hello":
            say({**GREETING, **({"model": "fake/other@2"} if MODE == "other" else {})})
            continue
        number += 1
        say(reply(asked, number))


def with_a_child() -> None:
    """Something that it started outlives it, unless the whole group is ended."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    with open(FILE, "w") as file:
        file.write(f"{os.getpid()} {pid}")


if __name__ == "__main__":
    MODE, FILE = sys.argv[1], (sys.argv[2] if len(sys.argv) > 2 else "")
    if MODE == "child":
        with_a_child()
    main()
