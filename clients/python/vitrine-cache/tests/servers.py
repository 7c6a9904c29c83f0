"""Servers for tests: a real one, and one that says what it is told to."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[4]
_COMMANDS = {
    "bun": ["bun"],
    "deno": ["deno", "run", "--allow-all", "--v8-flags=--max-semi-space-size=4"],
}


class Vitrine:
    """A real server on the runtime that TEST_RUNTIME names (bun by default), from this repository."""

    def __init__(self, *flags: str, port: int = 0) -> None:
        self._folder = tempfile.mkdtemp(prefix="vitrine-cache-")
        self._process = subprocess.Popen(
            [
                *_COMMANDS[os.environ.get("TEST_RUNTIME", "bun")],
                "src/main.ts",
                "--host=127.0.0.1",
                f"--port={port}",
                "--admin-port=0",
                "--worker-timeout=10s",
                "--workers=2",
                "--l1-size=64MiB",
                f"--l2=file://{self._folder}",
                *flags,
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        printed = ""
        for line in self._process.stdout:
            printed += line
            found = re.search(r" on (https?://[\w.]+:(\d+)) ", line)
            if found is not None:
                self.url, self.port = found.group(1), int(found.group(2))
                break
        else:
            raise RuntimeError(f"start server: {printed}")
        # Whatever it prints further must not fill the pipe.
        self._drain = threading.Thread(target=self._process.stdout.read, daemon=True)
        self._drain.start()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._drain.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class Scripted:
    """
    A server that gives the scripted answers, one for each request, and keeps the requests. An answer is what it sends,
    or a function that is given the connection. After an answer that does not end with `KEEP` it closes the connection.
    """

    KEEP = b""

    def __init__(self, *answers: bytes | tuple[bytes, bytes] | Callable[[socket.socket], None]) -> None:
        self._answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Scripted:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                with connection, contextlib.suppress(OSError):
                    while self._answer(connection):
                        pass

    def _answer(self, connection: socket.socket) -> bool:
        answer = self._answers[0] if self._answers else b""
        if callable(answer):
            self._answers.pop(0)
            answer(connection)
            return False
        head = b""
        while b"\r\n\r\n" not in head:
            got = connection.recv(65536)
            if not got:
                return False
            head += got
        head, _, body = head.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        while length is not None and len(body) < int(length.group(1)):
            got = connection.recv(65536)
            if not got:
                break
            body += got
        self.requests.append(head + b"\r\n\r\n" + body)
        if self._answers:
            self._answers.pop(0)
        sent, keeps = (answer[0], True) if isinstance(answer, tuple) else (answer, False)
        connection.sendall(sent)
        return keeps


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """An answer with a Content-Length, unless `headers` have their own framing. An underscore stands for a hyphen."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if not {"content-length", "transfer-encoding"} & {name.lower() for name in fields}:
        fields["content-length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} x\r\n{lines}\r\n".encode() + body
