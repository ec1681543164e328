# SPDX-License-Identifier: Apache-2.0
"""A program in a terminal that tmux emulates, for tests."""

import os
import shlex
import shutil
import subprocess
import tempfile

import pytest

from exporter import wait_for

TMUX = shutil.which("tmux")
ENDED = "the program ended with"


class Terminal:
    """Runs a command in a terminal. After it has ended, the terminal shows ENDED with its exit code."""

    def __init__(self, command, width=80, height=24, environment=None):
        if not TMUX:
            pytest.skip("tmux is not installed")
        self.place = tempfile.TemporaryDirectory(prefix="kvtel-terminal-")
        self.socket = f"{self.place.name}/tmux"
        # A search for leaks stands still where the terminal goes away meanwhile; e2e_top_cli has it.
        sanitizer = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "detect_leaks=0")))
        environment = {"LC_ALL": "C.UTF-8", "NO_COLOR": "", "ASAN_OPTIONS": sanitizer, **(environment or {})}
        words = ["env", *(f"{name}={value}" for name, value in environment.items()), *map(str, command)]
        # The shell goes on: its terminal shows whether the program gave it back.
        script = f"echo $$ >{self.place.name}/shell; {shlex.join(words)}; echo '{ENDED}' $?; stty -a; exec sleep 3600"
        self.tmux("-u", "-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), "sh", "-c", script)

    def tmux(self, *arguments):
        inherited = {name: value for name, value in os.environ.items() if name not in ("TMUX", "TMUX_PANE")}
        done = subprocess.run(
            [TMUX, "-S", self.socket, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={**inherited, "LC_ALL": "C.UTF-8"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tmux("kill-server")
        self.place.cleanup()

    def screen(self, styles=False):
        """The lines on the screen, without the blanks at their ends."""
        text = self.tmux("capture-pane", "-p", *(["-e"] if styles else []))
        return [line.rstrip() for line in text.split("\n")[:-1]]

    def wait_for(self, text):
        """Waits until a text is on the screen; returns the screen."""
        found = []

        def is_there():
            found[:] = self.screen()
            return any(text in line for line in found)

        wait_for(is_there, lambda: f"{text!r} on the screen\n" + "\n".join(found))
        return found

    def wait_for_screen(self, expected):
        """Waits until the screen is this one. `expected`: lines; those below are empty."""
        found = []

        def is_there():
            found[:] = self.screen()
            return found[: len(expected)] == expected and not any(found[len(expected) :])

        wait_for(is_there, lambda: "\n".join(["expected", *expected, "found", *found]))

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def pid(self):
        """Of the program."""
        with open(f"{self.place.name}/shell") as file:
            shell = int(file.read())

        def child():
            with open(f"/proc/{shell}/task/{shell}/children") as file:
                return file.read().split()

        wait_for(child, "the program is started")
        return int(child()[0])

    def wait_for_end(self):
        """Waits until the program has ended; returns its exit code, after a look at how it left the terminal."""
        screen = self.wait_for("-tostop")  # the end of what stty says
        line = next(line for line in screen if line.startswith(ENDED))
        said = " ".join(screen)
        assert " icanon" in said and " echo " in said and " isig" in said, said
        assert self.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").split() == ["0", "1"]
        return int(line.removeprefix(ENDED))
