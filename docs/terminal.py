#!/usr/bin/env python3
"""Records the output of `cortex` on a terminal, as the pictures docs/src/img/cli*.svg.

    cargo build --release --bins --examples
    python3 -m venv target/terminal && target/terminal/bin/pip install pyte==0.8.2
    target/terminal/bin/python docs/terminal.py

The script starts a camera at 30 Hz and a sensor at 100 Hz, runs `cortex` on a pseudo-terminal, and draws
the terminal's contents. It needs Linux with `unshare`: the graph runs in a mount namespace, so that it
can use the default address without affecting this machine's graph.
"""

import fcntl
import html
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pyte

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(os.environ.get("CORTEX_PROGRAMS", ROOT / "target/release"))
IMAGES = ROOT / "docs/src/img"
COLUMNS, LINES = 96, 40

# Width of a character, height of a line, padding of the frame.
WIDTH, HEIGHT, PADDING = 8, 18, 14
COLOURS = {
    "default": "#d8dee9",
    "brightblack": "#8a94a6",
    "red": "#f2777a",
    "green": "#99cc99",
    "brown": "#ffcc66",
    "cyan": "#66cccc",
}


def start(*arguments):
    """Starts a program of the graph, without output."""
    program, *rest = arguments
    quiet = subprocess.DEVNULL
    return subprocess.Popen([PROGRAMS / program, *rest], stdin=quiet, stdout=quiet, stderr=quiet)


def record(arguments, seconds=None):
    """Returns the lines of the terminal after `cortex` has ended; sends Ctrl-C after `seconds`."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {**os.environ, "TERM": "xterm-256color"}
        for variable in ("NO_COLOR", "CORTEX_DISCOVERY", "RUST_LOG"):
            environment.pop(variable, None)
        os.execve(PROGRAMS / "cortex", ["cortex", *arguments], environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    end = time.monotonic() + seconds if seconds else None
    while True:
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:  # The program has ended.
                break
            # pyte does not support faint characters.
            stream.feed(data.replace(b"\x1b[2m", b"\x1b[90m"))
        if end and time.monotonic() >= end:
            os.write(terminal, b"\x03")
            end = None
    os.waitpid(pid, 0)
    os.close(terminal)
    rows = [[screen.buffer[y][x] for x in range(COLUMNS)] for y in range(LINES)]
    while rows and all(character.data == " " for character in rows[-1]):
        rows.pop()
    return rows


def runs(row):
    """Returns runs of characters of one style: column, style, text."""
    found = []
    for at, character in enumerate(row):
        style = (character.fg, character.bold)
        if found and found[-1][1] == style:
            found[-1][2] += character.data
        else:
            found.append([at, style, character.data])
    return [(at, style, text.rstrip()) for at, style, text in found if text.strip()]


def draw(name, *commands):
    """Writes a picture of commands and their output."""
    width = 2 * PADDING + COLUMNS * WIDTH
    height = 2 * PADDING + sum(len(rows) + 1 for _, rows in commands) * HEIGHT
    title = html.escape(", ".join(command for command, _ in commands))
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        f"<title>{title}</title>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#1f2430"/>',
        '<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="13" xml:space="preserve">',
    ]

    def write(x, y, text, fill, is_bold=False):
        # Fixed lengths keep the columns aligned in any font.
        weight = ' font-weight="bold"' if is_bold else ""
        text = text.replace(" ", "\u00a0")
        out.append(
            f'<text x="{PADDING + x * WIDTH}" y="{PADDING + (y + 0.75) * HEIGHT:g}" textLength="{len(text) * WIDTH}"'
            f' lengthAdjust="spacingAndGlyphs" fill="{fill}"{weight}>{html.escape(text)}</text>'
        )

    y = 0
    for command, rows in commands:
        write(0, y, "$", COLOURS["green"])
        write(2, y, command, COLOURS["default"], True)
        for y, row in enumerate(rows, y + 1):
            for x, (colour, is_bold), text in runs(row):
                write(x, y, text, COLOURS[colour], is_bold)
        y += 1
    out += ["</g>", "</svg>", ""]
    (IMAGES / f"{name}.svg").write_text("\n".join(out), encoding="utf-8")


def show(*arguments, seconds=None):
    """Runs a command; returns it with its output lines."""
    rows = record(arguments, seconds)
    assert rows, f"{arguments} printed nothing"
    return " ".join(["cortex", *arguments]), rows


def wait_for(topic):
    """Waits until the topic has a publisher."""
    subprocess.run([PROGRAMS / "cortex", "topic", "info", topic, "--timeout", "30"], check=True, stdout=subprocess.DEVNULL)


def main():
    os.environ.pop("CORTEX_DISCOVERY", None)
    if "--inside" not in sys.argv:
        # A private mount of the default address's folder, visible only to this process.
        inside = 'mkdir -p /tmp/cortex && mount -t tmpfs none /tmp/cortex && chmod 700 /tmp/cortex && exec "$@"'
        command = ["unshare", "--map-root-user", "--mount", "sh", "-c", inside, "sh"]
        sys.exit(subprocess.run([*command, sys.executable, __file__, "--inside"]).returncode)

    camera = start("camera")
    viewer = start("viewer")
    wait_for("/cam/frame")
    sensor = start(
        "cortex", "topic", "pub", "--rate", "100", "-w", "0", "--node", "imu",
        "--class", "robot.msgs.Imu", "/imu", '{"acceleration": [0.1, 0.0, 9.81], "stamp": 1.5}',
    )
    try:
        wait_for("/imu")
        echo = show("topic", "echo", "--once", "/cam/frame")
        # The sensor stalls for a moment, and then catches up.
        for seconds, what in ((6.2, signal.SIGSTOP), (8.7, signal.SIGCONT)):
            threading.Timer(seconds, sensor.send_signal, [what]).start()
        hz = show("topic", "hz", "--all", seconds=14.5)
        # Simulates a crash: the socket file stays.
        sensor.send_signal(signal.SIGKILL)
        sensor.wait()
        doctor = show("doctor")
        draw("cli-echo", echo)
        draw("cli-hz", hz)
        draw("cli-doctor", doctor)
        draw("cli", echo, hz, doctor)
    finally:
        for program in (sensor, viewer, camera):
            program.terminate()
            program.wait()


if __name__ == "__main__":
    main()
