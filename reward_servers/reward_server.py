"""Serves a reward model to Rushes by the protocol of docs/reward_servers.md. Copy this file beside your own script.

It needs Python 3.8 and nothing else, so that it runs in the environment of any reward model. Import it before the
model's own packages: from then on, what they print goes to the standard error, because the standard output belongs to
the replies.

    import reward_server                                                     # first of all
    model = my_package.load("weights")                                       # 1. load
    def score(clip, text, dimension):                                        # 2. judge
        return {"quality": model.rate(clip.path, text)}
    reward_server.serve("owner/model@revision", ["quality"], score)          # 3. serve
"""

import argparse
import json
import os
import sys
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer

PROTOCOL = "rushes-reward-1"
MAX_REQUEST_BYTES = 2**20

_replies = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)


class Clip:
    """A clip of a request."""

    def __init__(self, path, num_frames, fps):
        self.path = path
        """An mp4 (H.264 in RGB, lossless); it is replaced after the reply."""
        self.num_frames = num_frames
        """How many frames it has."""
        self.fps = fps
        """Frames per second."""

    def pictures(self, num):
        """`num` frames, evenly from the first to the last, as files beside the clip; needs OpenCV."""
        import cv2

        wanted = sorted({round(i * (self.num_frames - 1) / max(1, num - 1)) for i in range(num)})
        reader, paths = cv2.VideoCapture(self.path), []
        for number in range(self.num_frames):
            is_read, picture = reader.read()
            if not is_read:
                raise ValueError(f"expected {self.num_frames} frames, got {number}")
            if number in wanted:
                paths.append(f"{self.path}-{number:05d}.png")
                cv2.imwrite(paths[-1], picture)
        return paths


def serve(model, scales=(), score=None, prefer=None):
    """Answer requests until there are no more.

    Args:
        model: the model's name with the revision of its weights; the recipe must have the same.
        scales: names of the scales that `score` gives values on.
        score: called with a `Clip`, the prompt and its dimension; returns {scale: number}, higher is better. In place
            of a number it may give words: why there is none.
        prefer: called with two `Clip`s, the prompt and its dimension; returns the probability that the first one is
            the better, 0 to 1, or words.
    """
    parser = argparse.ArgumentParser(description=f"Reward server for {model}")
    parser.add_argument("--port", type=int, help="serve at http://127.0.0.1:PORT; without it, standard input")
    parser.add_argument("--key-env", help="environment variable with the key that requests must bring")
    given, _ = parser.parse_known_args()

    def reply(line):
        return _reply(line, {"model": model, "scales": list(scales), "compares": prefer is not None}, score, prefer)

    if given.port is not None:
        _serve_http(given.port, os.environ[given.key_env] if given.key_env else None, reply)
        return
    for line in sys.stdin.buffer:
        _replies.write(reply(line) + b"\n")
        _replies.flush()


def _reply(line, greeting, score, prefer):
    """The reply to one request; an error of the model becomes words, and the server goes on."""
    number = None
    try:
        asked = json.loads(line.decode("utf-8"))
        number = asked.get("id")
        if asked["ask"] == "hello":
            found = dict(greeting, protocol=PROTOCOL)
        elif asked["ask"] == "score" and score is not None:
            found = {"id": number, "values": score(Clip(**asked["clip"]), asked["text"], asked["dimension"])}
        elif asked["ask"] == "prefer" and prefer is not None:
            pair = Clip(**asked["first"]), Clip(**asked["second"])
            found = {"id": number, "p_first": prefer(pair[0], pair[1], asked["text"], asked["dimension"])}
        else:
            raise ValueError(f"this server cannot {asked['ask']!r}")
        return json.dumps(found, default=float).encode("ascii")
    except Exception as error:
        traceback.print_exc()
        return json.dumps({"id": number, "error": f"{type(error).__name__}: {error}"}).encode("ascii")


def _serve_http(port, key, reply):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            length = int(self.headers.get("content-length") or 0)
            if key is not None and self.headers.get("authorization") != f"Bearer {key}":
                self._send(401, b'{"error": "wrong or missing key"}')
            elif not 0 < length <= MAX_REQUEST_BYTES or self.headers.get("content-type") != "application/json":
                self._send(400, b'{"error": "expected a JSON body of at most 1 MiB"}')
            else:
                self._send(200, reply(self.rfile.read(length)))

        def _send(self, status, body):
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            if status != 200:
                self.close_connection = True
                self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(body)

    server = HTTPServer(("127.0.0.1", port), Handler)
    print(f"serving at http://127.0.0.1:{server.server_port}", file=sys.stderr, flush=True)
    server.serve_forever()
