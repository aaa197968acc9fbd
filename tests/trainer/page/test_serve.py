"""`trainer app` where it cannot begin: one line, and no server."""

from __future__ import annotations

import socket

import pytest

from trainer.page import serve


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--max-megapixels", "0"), "--max-megapixels 0: above 0 and at most 134"),
        (("--max-megapixels", "nan"), "--max-megapixels nan: above 0 and at most 134"),
        (("--port", "65536"), "--port 65536: from 1 to 65535, or 0 for any that is free"),
        (("--host", "no-such-host.invalid"), "--host no-such-host.invalid: no such host"),
        (("--host", "192.0.2.1"), "--host 192.0.2.1: not an address of this machine"),
        (("--port", "0", "--weights", "nowhere"), "--weights nowhere: no fuser.json in it"),
    ],
)
def test_what_it_cannot_be_told_is_one_line(trainer_main, arguments, told):
    code, out, err = trainer_main("app", *arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


def test_a_port_that_is_taken_is_named_with_another(trainer_main):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = trainer_main("app", "--port", port)
    assert code == 2
    assert f"--port {port}: is taken; give another, such as --port {port + 1}" in err


def test_without_gradio_it_says_what_to_install(trainer_main, monkeypatch):
    monkeypatch.setattr(serve, "find_spec", lambda _: None)
    code, _, err = trainer_main("app")
    assert code == 2
    assert err == "trainer: app: gradio is not installed, which makes the page; pip install 'mmaif[app]'\n"


def test_its_help_shows_an_example(trainer_main):
    code, out, _ = trainer_main("app", "--help")
    assert code == 0
    assert "trainer app --weights runs/mine/weights --port 7861" in " ".join(out.split())
