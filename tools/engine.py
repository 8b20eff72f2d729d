"""Start, stop and describe the local engine: MiniStack, an AWS API on this machine.

Called by the Makefile and by test/engine, each with its own --state directory, so
that several engines can run side by side. It runs in the virtual environment
that tools/requirements-engine.txt makes; `env`, `exec`, `status` and `stop` on any
Python 3.

Whoever means the engine reaches it by `exec`, or by `env` and a shell's eval. Both
first take away all that leads to an AWS account (isolated.py), and end with an error
where the engine does not answer: what was meant for it must not land in the account
of whoever runs it.

The engine listens on 127.0.0.1 only, over TLS and with IAM enforced, so that a
local run proves permissions and TLS instead of skipping them. It keeps nothing
over a restart: every start is an empty account.

The state directory holds engine.json (process, port), engine.log, cert.pem and
key.pem, ca-bundle.pem (the system's roots and ours) and tmp/.
"""

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import resource
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import isolated
import reach

HOST = reach.HOST
START_SECONDS = 60  # 2 to 4 s on two idle cores; the rest is for a busy CI machine
STOP_SECONDS = 10  # the server itself gives open connections 3 s
LOG_LINES = 15  # of the engine's log, shown when it does not start


class Problem(Exception):
    """Something the person at the keyboard can act on. Printed as it is, without a trace."""


class Engine:
    """One engine, known by its state directory."""

    def __init__(self, state):
        self.state = Path(state).absolute()
        self.record_file = self.state / "engine.json"
        self.log = self.state / "engine.log"
        self.cert = self.state / "cert.pem"
        self.key = self.state / "key.pem"
        self.bundle = self.state / "ca-bundle.pem"

    @contextlib.contextmanager
    def locked(self):
        """Hold the state directory, so that two starts at once make one engine."""
        self.state.mkdir(parents=True, exist_ok=True)
        with open(self.state / "lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def record(self):
        """What the last start wrote: {"pid", "started", "boot", "port"}; {} before the first."""
        try:
            return json.loads(self.record_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}

    def url(self):
        return f"https://localhost:{self.record()['port']}"

    def processes(self):
        """Ids of the engine and of the functions it started, which share its session."""
        record = self.record()
        pid = record.get("pid")
        if not pid or record["boot"] != boot_id():
            return []
        leader = proc_stat(pid)
        if leader and leader["started"] != record["started"]:
            return []  # the number has gone to a stranger
        stats = (proc_stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return [stat["pid"] for stat in stats if stat and stat["session"] == pid and stat["state"] != "Z"]

    def running(self):
        return self.record().get("pid") in self.processes()

    def healthy(self):
        """Whether our own process runs and answers over TLS with our certificate."""
        if not self.running():
            return False
        trust = ssl.create_default_context(cafile=self.cert)
        direct = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
        )
        try:
            with direct.open(f"{self.url()}/_ministack/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False


def boot_id():
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def proc_stat(pid):
    """The fields of /proc/<pid>/stat used here (proc_pid_stat(5)), or None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold blanks and brackets
    return {"pid": pid, "state": fields[0], "session": int(fields[3]), "started": int(fields[19])}


def start(engine, asked_port, outputs, account):
    import certificate  # here, because it needs the virtual environment

    with engine.locked():
        if engine.healthy():
            port = engine.record()["port"]
            if asked_port and asked_port != port:
                raise Problem(f"the engine already runs on port {port}. To move it to {asked_port}: make stop, then again.")
            print(f"engine: running at {engine.url()}")
            return
        end(engine)
        if outputs:
            Path(outputs).unlink(missing_ok=True)  # it told of a deployment that is gone
        certificate.make(engine.cert, engine.key, engine.bundle)
        port = choose_port(asked_port, engine.record().get("port"))
        launch(engine, port, account)
        print(f"engine: started at {engine.url()}, log {os.path.relpath(engine.log)}")


def choose_port(asked, last):
    """The port asked for, else the last one (URLs stay as they were), else any free one."""
    if asked:
        if not is_free(asked):
            raise Problem(f"port {asked} is in use. Set ENGINE_PORT to another, or leave it out and a free one is taken.")
        return asked
    if last and is_free(last):
        return last
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: TIME_WAIT is no hindrance
        try:
            probe.bind((HOST, port))
        except PermissionError as err:
            raise Problem(f"port {port} is not allowed for this user. Choose one above 1023.") from err
        except OSError:
            return False
        return True


def launch(engine, port, account):
    tmp = engine.state / "tmp"
    tmp.mkdir(exist_ok=True)
    # Functions inherit the engine's environment, so it starts from nothing: no
    # credential, profile or proxy of the user can reach a function.
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp),
        "TMPDIR": str(tmp),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "GATEWAY_PORT": str(port),
        "AWS_ENDPOINT_URL": f"https://localhost:{port}",  # what functions call back to
        "MINISTACK_REGION": reach.REGION,
        "MINISTACK_ACCOUNT_ID": account,
        "AUTH": "true",
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(engine.cert),
        "MINISTACK_SSL_KEY": str(engine.key),
        "SSL_CERT_FILE": str(engine.cert),  # functions call the engine and nobody else
        "AWS_CA_BUNDLE": str(engine.cert),
        "LAMBDA_EXECUTOR": "local",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(tmp / "state"),
        "S3_DATA_DIR": str(tmp / "s3"),
    }
    with open(engine.log, "wb") as log:
        process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), "serve", "--state", str(engine.state), "--port", str(port)],
            env=environment, cwd=engine.state, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,  # Ctrl-C in make does not reach it; stop finds its functions by the session
        )
    stat = proc_stat(process.pid)
    record = {"pid": process.pid, "started": stat["started"], "boot": boot_id(), "port": port}
    engine.record_file.write_text(json.dumps(record) + "\n", encoding="utf-8")

    try:
        deadline = time.monotonic() + START_SECONDS
        while not engine.healthy():
            if process.poll() is not None:
                raise Problem(not_started(engine, f"stopped while starting (exit status {process.returncode})"))
            if time.monotonic() > deadline:
                raise Problem(not_started(engine, f"did not answer within {START_SECONDS} s"))
            time.sleep(0.1)
    except BaseException:
        end(engine)
        raise


def not_started(engine, what):
    lines = engine.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    return "\n".join(
        [f"the engine {what}. The end of {os.path.relpath(engine.log)}:"]
        + [f"  {line}" for line in lines]
        + ["If its files look damaged: make clean, then again. If a port is the trouble: set ENGINE_PORT."]
    )


def end(engine):
    """Stop the engine and its functions; whether there was anything to stop."""
    found = engine.processes()
    for sig, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        for pid in engine.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sig)
        deadline = time.monotonic() + seconds
        while engine.processes() and time.monotonic() < deadline:
            time.sleep(0.05)
    if left := engine.processes():
        raise Problem(f"processes {left} of the engine do not end. Look at them with: ps -o pid,stat,cmd {' '.join(map(str, left))}")
    return bool(found)


def stop(engine):
    if not engine.record():
        print("engine: not running")
        return
    with engine.locked():
        print("engine: stopped" if end(engine) else "engine: not running")


def status(engine):
    if engine.healthy():
        print(f"engine: running at {engine.url()}, process {engine.record()['pid']}, log {os.path.relpath(engine.log)}")
        return
    if engine.running():
        raise Problem(f"the engine runs but does not answer; see {os.path.relpath(engine.log)}. make stop ends it.")
    raise Problem("the engine is not running. make run starts it.")


def answering(engine):
    """Raise a Problem unless the engine answers."""
    if not engine.healthy():
        if engine.running():
            raise Problem("the engine runs but does not answer. make stop ends it, make run starts it anew.")
        raise Problem("the engine is not running. make run starts it.")


def env(engine, outputs, stack):
    """Print what makes a shell's environment that of exec, for its eval.

    Without an engine that answers, the last line is `false`, so that the eval fails, and
    a script that goes on all the same reaches nothing.
    """
    wanted = reach.environment(engine, outputs, stack)
    gone = sorted(name for name in os.environ if name not in wanted)
    if gone:
        print("unset", *gone)
    for name, value in wanted.items():
        if os.environ.get(name) != value or name.startswith(isolated.PREFIXES):
            print(f"export {name}={shlex.quote(value)}")
    try:
        answering(engine)
    except Problem:
        print("false")
        raise


def execute(engine, outputs, stack, program):
    """Become the program (a list of words), in an environment that leads to the engine alone."""
    answering(engine)
    sys.stdout.flush()
    try:
        os.execvpe(program[0], program, reach.environment(engine, outputs, stack))
    except OSError as err:
        raise Problem(f"{program[0]}: {err.strerror}") from err


def ending_polls(app):
    """End a long poll when its client hangs up.

    MiniStack goes on with it, and hands the next message to nobody: it stays hidden for
    its visibility timeout, and a consumer that was stopped and started again misses it.
    """

    async def answer(scope, receive, send):
        if scope["type"] != "http" or (b"x-amz-target", b"AmazonSQS.ReceiveMessage") not in scope["headers"]:
            await app(scope, receive, send)
            return
        whole = asyncio.Event()  # the request has been read, so what comes next is the hanging up

        async def receive_request():
            message = await receive()
            if not message.get("more_body"):
                whole.set()
            return message

        async def hang_up():
            await whole.wait()
            while (await receive())["type"] != "http.disconnect":
                pass
            poll.cancel()

        poll = asyncio.ensure_future(app(scope, receive_request, send))
        watch = asyncio.ensure_future(hang_up())
        await asyncio.wait({poll})
        watch.cancel()
        if not poll.cancelled():
            poll.result()  # what went wrong in it, goes wrong here

    return answer


def serve(engine, port):
    """Be the engine: MiniStack's application under hypercorn, until SIGTERM.

    Not by the `ministack` command, for two reasons. Over TLS it also takes port
    443 where it may; and hypercorn's defaults break Go clients: they negotiate
    HTTP/2, and once a connection has carried keep_alive_max_requests (1,000)
    requests the client hangs or sends some of them twice (seen with ministack
    1.5.33 and hypercorn 0.18.0). With HTTP/1.1 and no such limit 20,000 of
    20,000 messages arrive once.
    """
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config
    from ministack.app import app

    import permissions  # here, because it needs the virtual environment

    permissions.as_on_aws()
    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.certfile = str(engine.cert)
    config.keyfile = str(engine.key)
    config.alpn_protocols = ["http/1.1"]
    config.keep_alive_max_requests = 1_000_000_000  # never, in a local run
    config.keep_alive_timeout = 75  # seconds; as the `ministack` command has it

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a soft limit of 1,024 files ends a load test early
    asyncio.run(hypercorn_serve(ending_polls(app), config))


def main():
    parser = argparse.ArgumentParser(prog="engine.py", description="The local engine (MiniStack).")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("start", "start it, or keep the one that runs"),
        ("stop", "stop it and the functions it runs"),
        ("status", "say whether it runs and where"),
        ("env", "print shell exports that point AWS clients at it, for eval"),
        ("exec", "run a program that reaches it and no AWS account: exec -- program ..."),
        ("serve", "be the engine, in the foreground; `start` calls this"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--state", default=".local/engine", help="directory of this engine (default %(default)s)")
        if name in ("start", "env", "exec"):
            command.add_argument("--outputs", help="the CDK CLI's --outputs-file of the deployment on this engine")
        if name == "start":
            command.add_argument("--account", default="000000000000", help="the account that it plays (default %(default)s)")
        if name in ("env", "exec"):
            command.add_argument("--stack", default="NylasWebhooks-local", help="its stack (default %(default)s)")
        if name == "exec":
            command.add_argument("program", nargs="+")
        if name == "serve":
            command.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    engine = Engine(args.state)
    try:
        if args.command == "start":
            start(engine, asked_port(), args.outputs, args.account)
        elif args.command == "stop":
            stop(engine)
        elif args.command == "status":
            status(engine)
        elif args.command == "env":
            env(engine, args.outputs, args.stack)
        elif args.command == "exec":
            execute(engine, args.outputs, args.stack, args.program)
        else:
            serve(engine, args.port)
    except Problem as problem:
        sys.exit(f"engine: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)  # 128 + SIGINT, as shells have it


def asked_port():
    text = os.environ.get("ENGINE_PORT", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise Problem(f"ENGINE_PORT is {text!r}: give a number from 1 to 65535, or leave it out and a free one is taken.")
    return int(text)


if __name__ == "__main__":
    main()
