"""Makes calls by Python's plain blocking sockets and prints one line of JSON for each.

The command line and the output are those of testkit-call.
"""

import argparse
import ipaddress
import json
import socket
import struct
import sys
import time


class Failure(Exception):
    """A step that failed."""

    def __init__(self, step, cause):
        super().__init__(step)
        # A blocking socket reports its own timeout as EAGAIN, or as EINPROGRESS in connect.
        waited = isinstance(cause, BlockingIOError)
        self.errno = None if waited else getattr(cause, "errno", None)
        self.text = f"{step}: {'no answer in time' if waited else cause}"


class At:
    """Names the step for errors raised inside of it."""

    def __init__(self, step):
        self.step = step

    def __enter__(self):
        return self

    def __exit__(self, kind, cause, _trace):
        if isinstance(cause, (OSError, ValueError)):
            raise Failure(self.step, cause) from cause


def parse(text):
    """Splits 10.96.0.1:80 or [fd00::1]:80."""
    host, _, port = text.rpartition(":")
    return ipaddress.ip_address(host.strip("[]")), int(port)


def shown(address):
    """The address as Rust's SocketAddr reads it."""
    host, port = address[0].split("%")[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def microseconds(started):
    return (time.perf_counter_ns() - started) // 1000


class Caller:
    def __init__(self, arguments):
        self.arguments = arguments
        self.kept = None

    def address(self, target):
        ip, port = target
        if self.arguments.mapped and ip.version == 4:
            return socket.AF_INET6, (f"::ffff:{ip}", port)
        return (socket.AF_INET if ip.version == 4 else socket.AF_INET6), (str(ip), port)

    def open(self, family):
        kind, protocol = socket.SOCK_DGRAM, socket.IPPROTO_UDP
        if self.arguments.verb == "tcp":
            kind = socket.SOCK_STREAM
            # IPPROTO_MPTCP, which older versions of Python have no name for.
            protocol = 262 if self.arguments.mptcp else socket.IPPROTO_TCP
        opened = socket.socket(family, kind, protocol)
        # Not settimeout(): that would make the socket non-blocking behind our back.
        wait = self.arguments.timeout_ms
        limit = struct.pack("ll", wait // 1000, wait % 1000 * 1000)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        if self.arguments.local_port is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(("" if family == socket.AF_INET else "::", self.arguments.local_port))
        return opened

    def connected(self, target, call):
        family, address = self.address(target)
        if self.kept is not None:
            if self.arguments.reconnect:
                with At("connect"):
                    self.kept.connect(address)
            return self.kept
        with At("socket"):
            opened = self.open(family)
        started = time.perf_counter_ns()
        try:
            with At("connect"):
                opened.connect(address)
        except Failure:
            opened.close()
            raise
        call["connect_us"] = microseconds(started)
        return opened

    def call(self, number, target, call):
        verb = self.arguments.verb
        if verb == "udp-unconnected":
            family, address = self.address(target)
            if self.kept is None:
                with At("socket"):
                    self.kept = self.open(family)
            with At("send"):
                self.kept.sendto(str(number).encode(), address)
            self.receive(self.kept, number, call)
            return
        opened = self.connected(target, call)
        # What failed is not kept, so the next call opens anew.
        self.kept = None
        try:
            with At("getpeername"):
                call["peer"] = shown(opened.getpeername())
            if verb == "tcp":
                self.request(opened, call)
            else:
                with At("send"):
                    opened.send(str(number).encode())
                self.receive(opened, number, call)
        except Failure:
            opened.close()
            raise
        if self.arguments.keep_open or (self.arguments.reconnect and verb != "tcp"):
            self.kept = opened
        else:
            opened.close()

    def request(self, opened, call):
        with At("getsockname"):
            call["local"] = shown(opened.getsockname())
        with At("send"):
            opened.sendall(b"GET / HTTP/1.1\r\nHost: testkit\r\n\r\n")
        with At("receive"):
            call["answer"] = json.loads(self.body(opened))

    @staticmethod
    def body(opened):
        """Reads one response and returns its body; the connection stays usable."""
        data = b""
        length = None
        while True:
            head, separator, rest = data.partition(b"\r\n\r\n")
            if separator and length is None:
                fields = [line.split(b":", 1) for line in head.split(b"\r\n")[1:]]
                length = next(int(v) for k, v in fields if k.lower() == b"content-length")
            if separator and len(rest) >= length:
                return rest[:length]
            more = opened.recv(4096)
            if not more:
                raise ConnectionError("unexpected end of file")
            data += more

    @staticmethod
    def receive(opened, number, call):
        """Receives until the answer to this datagram comes; a late one is passed over."""
        with At("getsockname"):
            call["local"] = shown(opened.getsockname())
        while True:
            with At("receive"):
                data, source = opened.recvfrom(65535)
                answer = json.loads(data)
            if answer.get("echo") == str(number):
                call["source"] = shown(source)
                call["answer"] = answer
                return


def make(caller, number, text):
    call = {"target": text}
    started = time.perf_counter_ns()
    try:
        caller.call(number, parse(text), call)
    except Failure as failure:
        call["errno"] = failure.errno
        call["error"] = failure.text
    call["total_us"] = microseconds(started)
    print(json.dumps(call), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["tcp", "udp-connected", "udp-unconnected"])
    parser.add_argument("target")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--mapped", action="store_true")
    parser.add_argument("--mptcp", action="store_true")
    parser.add_argument("--local-port", type=int)
    parser.add_argument("--keep-open", action="store_true")
    parser.add_argument("--reconnect", action="store_true")
    parser.add_argument("--interactive", action="store_true")
    parser.add_argument("--timeout-ms", type=int, default=2000)
    arguments = parser.parse_args()
    caller = Caller(arguments)
    if arguments.interactive:
        for number, line in enumerate(sys.stdin):
            make(caller, number, line.strip() or arguments.target)
    else:
        for number in range(arguments.count):
            make(caller, number, arguments.target)


if __name__ == "__main__":
    main()
