"""What is shown to people holds no key and no control character; what is no key stays."""

from __future__ import annotations

import random
import string

import pytest

from rushes.errors import UserError
from rushes.plain import HIDDEN, hidden, hidden_line, names_secret, plain, safe

KEYS = [
    "sk-abcdef123",
    "sk-proj-a1B2c3D4e5F6g7H8",
    "hf_AbCdEfGhIjKlMnOpQrStUvWx",
    "ghp_0123456789abcdefABCDEF",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA-1234567890abcdefgh",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
    "xoxb-123456789012-abcdef",
]
NO_KEYS = [
    "Qwen/Qwen2.5-VL-7B-Instruct",
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
    "HunyuanVideoTransformer3DModel",
    "5f" * 32,
    "models--org--name/snapshots/0e9cb2f3f1b8d0a24c2b0c6d4ff8a2b9c55cf1ab",
    "http://localhost:8000/v1",
    "--set train.num_steps=200",
    "the standard bearer carrying a flag",
    "expected: key=value",
    "sk-learn, hf_transfer",
    "export OPENAI_API_KEY=..., or --set runtime.servers.main.key_env=OPENAI_API_KEY",
    "--set train.max_tokens=1000000, --tokenizer Qwen/Qwen2.5, api_key=null, a secret: the fox",
    "--key-env OPENAI_API_KEY, keyframes=12345678, num_tokens=1234567",
    '{"key":"0123456789abcdef","first_token":"yesterday","work_key":"0123456789abcdef"}',
]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_hidden_wherever_it_stands(key: str) -> None:
    for text in (key, f"url 'http://x/v1?k={key}'", f"{{a: {key}}}", f"Authorization: Bearer {key}"):
        assert key not in hidden(text) and HIDDEN in hidden(text)
    assert key not in str(UserError(f"no {key}", expected=key, got=key, next_step=key))


@pytest.mark.parametrize("text", NO_KEYS)
def test_what_is_no_key_is_shown(text: str) -> None:
    assert safe(text) == text


def test_passwords_in_addresses_and_random_texts_are_hidden() -> None:
    for address in (
        "http://me:hunter2@host/v1",
        "ray://me:hun/ter2@host:1",
        "//hunter2@host",
        "http://h/?api_key=hunter2",
    ):
        assert "ter2" not in hidden(address)
    for typed in (
        "env OPENAI_API_KEY=hunter2 python server.py",
        "python server.py --api-key hunter2 --port 1",
        "api_key='hunter2'",
        """environment: {"HF_TOKEN": "hunter2", 'password': 'hunter2'}""",
        "--password=hunter2 --token hunter2",
    ):
        assert "hunter2" not in hidden(typed), typed
    rng = random.Random(0)
    made = ["".join(rng.choices(string.ascii_letters + string.digits, k=40)) for _ in range(500)]
    assert sum(hidden(text) == HIDDEN for text in made) >= 495


def test_a_typed_line_is_hidden_by_its_name() -> None:
    assert hidden_line("  main: {url: x, api_key: hunter2}") == f"  main: {{url: x, api_key: {HIDDEN}"
    assert "hunter2" not in hidden_line("my.Secret=hunter2")
    assert hidden_line("base.max_tokens: [1") == "base.max_tokens: [1"
    named = ("api_key", "hfToken", "x-secret", "PASSWORD", "Authorization")
    assert all(map(names_secret, named)) and not any(map(names_secret, ("key_env", "max_tokens", "tokenizer", "url")))


def test_a_terminal_gets_no_control_characters() -> None:
    assert plain("a\x1b[2J\x9b2J\r\x00\u202eb\udc80\n\tc") == "a\\x1b[2J\\x9b2J\\x0d\\x00\\u202eb\\udc80\n\tc"
    assert "\x1b" not in str(UserError("bad \x1b[2J", next_step="\x1b]0;x\x07"))
