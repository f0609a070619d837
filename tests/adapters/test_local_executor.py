"""Commands on this machine: real processes, signals and terminals."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import textwrap
from pathlib import Path

import pytest

from greenai.adapters.executors.local import LocalExecutor, check_command, is_alive
from greenai.errors import GreenaiError, InputError

PYTHON = sys.executable

RUNNER = """
import os, sys
from greenai.adapters.executors.local import LocalExecutor
executor = LocalExecutor()
handle = executor.launch([sys.executable, "-u", "-c", os.environ["CHILD"]], "r1", {})
code = executor.wait(handle)
print("ended", code, flush=True)
sys.exit(code)
"""
"""A process that does what `greenai run` does: launch, wait, end with the child's code."""

COUNTING_CHILD = """
import signal, sys, time
seen = []
def note(number, frame):
    seen.append(signal.Signals(number).name)
    print("got", seen[-1], flush=True)
for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT"):
    signal.signal(getattr(signal, name), note)
print("ready", flush=True)
sys.stdin.readline()
print("seen", *seen, flush=True)
"""


def runner(child: str, **options) -> subprocess.Popen[str]:
    env = os.environ | {"CHILD": textwrap.dedent(child)}
    return subprocess.Popen([PYTHON, "-u", "-c", RUNNER], env=env, text=True, **options)


def piped(child: str, **options) -> subprocess.Popen[str]:
    return runner(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)


def run(*command: str) -> int:
    executor = LocalExecutor()
    return executor.wait(executor.launch(command, "r1", {}))


def test_the_exit_code_comes_back():
    assert run(PYTHON, "-c", "raise SystemExit(7)") == 7
    assert run("true") == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_signal_is_128_plus_its_number(number):
    assert run(PYTHON, "-c", f"import os; os.kill(os.getpid(), {int(number)})") == 128 + number


def test_the_environment_is_added_to():
    executor = LocalExecutor()
    code = "import os; raise SystemExit(os.environ['GREENAI_RUN_ID'] != 'r9' or 'PATH' not in os.environ)"
    assert executor.wait(executor.launch([PYTHON, "-c", code], "r1", {"GREENAI_RUN_ID": "r9"})) == 0


def test_no_shell_reads_the_command(tmp_path):
    marker = tmp_path / "marker"
    assert run("echo", f"; touch {marker}") == 0
    assert not marker.exists()


def test_a_run_is_launched_once(tmp_path):
    executor = LocalExecutor()
    log = tmp_path / "log"
    command = [PYTHON, "-c", f"open({str(log)!r}, 'a').write('x')"]
    first = executor.launch(command, "r1", {})
    assert executor.launch(command, "r1", {}) == first
    assert executor.wait(first) == 0
    assert executor.launch(command, "r1", {}) == first
    assert executor.wait(first) == 0
    assert log.read_text(encoding="utf-8") == "x"


def test_a_handle_names_the_process_and_its_start():
    executor = LocalExecutor()
    handle = executor.launch(["sleep", "30"], "r1", {})
    pid = executor.pid(handle)
    assert is_alive(handle)
    assert not is_alive(f"{pid}:1")
    os.kill(pid, signal.SIGKILL)
    assert executor.wait(handle) == 137
    assert not is_alive(handle)


def test_a_process_of_another_greenai_is_waited_for_but_its_code_is_not_made_up():
    other = LocalExecutor()
    handle = other.launch(["sleep", "0.2"], "r1", {})
    with pytest.raises(GreenaiError, match="another process started it"):
        LocalExecutor().wait(handle)
    assert other.wait(handle) == 0
    with pytest.raises(GreenaiError):
        LocalExecutor().wait(handle)


def test_a_pid_used_again_is_not_waited_for():
    with pytest.raises(GreenaiError):
        LocalExecutor().wait(f"{os.getpid()}:1")


def test_two_commands_at_once():
    executor = LocalExecutor()
    first = executor.launch(["sleep", "0.1"], "r1", {})
    second = executor.launch([PYTHON, "-c", "raise SystemExit(3)"], "r2", {})
    assert (executor.wait(second), executor.wait(first)) == (3, 0)


def test_signals_have_their_old_effect_afterwards():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    run("true")
    assert {number: signal.getsignal(number) for number in before} == before


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2"])
def test_a_signal_to_greenai_reaches_the_child_once_and_greenai_lives_on(name):
    # A session of its own has no terminal: what comes is from kill, not from a keyboard.
    with piped(COUNTING_CHILD, start_new_session=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(getattr(signal, name))
        assert process.stdout.readline() == f"got {name}\n"
        output, _ = process.communicate("go\n", timeout=30)
    assert output == f"seen {name}\nended 0\n"


def test_greenai_ends_with_the_code_of_a_child_that_a_signal_ended():
    child = "import time; print('ready', flush=True); time.sleep(60)"
    with piped(child, start_new_session=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert output == "ended 143\n"
    assert process.returncode == 143


def test_a_child_that_ignores_the_signal_is_waited_for():
    child = """
        import signal, sys
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        sys.stdin.readline()
    """
    with piped(child, start_new_session=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.poll() is None
        output, _ = process.communicate("go\n", timeout=30)
    assert output == "ended 0\n"


def test_what_greenai_ignores_the_child_ignores_too():
    child = "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, flush=True)"
    code = "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    env = os.environ | {"CHILD": child}
    done = subprocess.run([PYTHON, "-c", code, PYTHON, "-c", RUNNER], env=env, capture_output=True, text=True, check=False)
    assert done.stdout == "True\nended 0\n"


def test_an_inherited_sigchld_ignore_costs_no_exit_code():
    code = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    env = os.environ | {"CHILD": "raise SystemExit(7)"}
    done = subprocess.run([PYTHON, "-c", code, PYTHON, "-c", RUNNER], env=env, capture_output=True, text=True, check=False)
    assert done.stdout == "ended 7\n"


def test_ctrl_c_at_the_terminal_reaches_the_child_exactly_once():
    """The terminal interrupts the whole foreground group; a greenai that passed it on would do it twice.

    greenai stands still until the child has had its own, so that two would not melt into one;
    SIGUSR1 comes after SIGINT, so when it has arrived nothing is left to be passed on.
    """
    primary, secondary = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(secondary, termios.TIOCSCTTY, 0)

    process = runner(COUNTING_CHILD, stdin=secondary, stdout=secondary, stderr=secondary, preexec_fn=take_terminal)
    os.close(secondary)
    try:
        assert read_until(primary, "ready")
        process.send_signal(signal.SIGSTOP)
        os.write(primary, b"\x03")
        assert read_until(primary, "got SIGINT")
        process.send_signal(signal.SIGUSR1)
        process.send_signal(signal.SIGCONT)
        assert read_until(primary, "got SIGUSR1").count("SIGINT") == 0
        os.write(primary, b"go\n")
        rest = read_until(primary, "ended 0")
        assert rest.count("SIGINT") == 1
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(primary)


def read_until(terminal: int, words: str) -> str:
    text = ""
    while words not in text:
        text += os.read(terminal, 1024).decode()
    return text


def test_off_the_main_thread_commands_run_without_taking_signals_over():
    from concurrent.futures import ThreadPoolExecutor

    before = signal.getsignal(signal.SIGTERM)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run, PYTHON, "-c", "raise SystemExit(4)").result() == 4
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("command", "problem", "remedy"),
    [
        ([], "no command", "greenai run -- python train.py"),
        ([""], "no command", "greenai run -- python train.py"),
        (["no-such-program"], "not found on the PATH", "install it"),
        (["python train.py"], "not found on the PATH", "greenai run -- python train.py"),
        (["./no/such/file"], "does not exist", "check the path"),
        (["/tmp"], "is a directory", "name a program in it"),
    ],
)
def test_a_command_that_cannot_start_is_refused_before_anything_is_waited_for(command, problem, remedy):
    with pytest.raises(InputError, match=problem) as caught:
        check_command(command)
    assert remedy in caught.value.hint
    with pytest.raises(InputError, match=problem):
        LocalExecutor().launch(command, "r1", {})


def test_a_file_that_is_not_executable_is_named_with_the_remedy(tmp_path):
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    with pytest.raises(InputError, match="not executable") as caught:
        check_command([str(script)])
    assert caught.value.hint == f"chmod +x {script}"
    script.chmod(0o755)
    check_command([str(script)])
    assert run(str(script)) == 3


def test_a_script_without_interpreter_is_refused_by_name_and_signals_are_given_back(tmp_path):
    script = tmp_path / "job"
    script.write_text("exit 3\n", encoding="utf-8")
    script.chmod(0o755)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(InputError, match="cannot be started") as caught:
        run(str(script))
    assert "#!/bin/sh" in caught.value.hint
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_path_of_the_environment_given_counts(tmp_path):
    program = Path(tmp_path) / "mine"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    check_command(["mine"], {"PATH": str(tmp_path)})
    with pytest.raises(InputError):
        check_command(["mine"], {"PATH": "/nowhere"})
