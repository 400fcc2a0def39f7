#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The TLS echo example against others: Python's asyncio and openssl's s_client and s_server, both ways, and
curl as a client. On both backends."""
import asyncio
import os
import re
import signal
import ssl
import subprocess
import sys
import tempfile

BUILD = os.environ.get("ASYNCIO_BUILD_DIR", "build/dev")
PROGRAM = f"{BUILD}/example_32_tls_echo"
DEADLINE = 20  # seconds


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def make_certificate(folder, name):
    """A certificate that signs itself, for one host name."""
    cert, key = f"{folder}/{name}.pem", f"{folder}/{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return cert, key


async def start(*command, environment=None, **more):
    return await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                                                stderr=asyncio.subprocess.STDOUT, env=environment, **more)


async def output_of(*command, environment=None, text=b""):
    process = await start(*command, environment=environment)
    out, _ = await asyncio.wait_for(process.communicate(text), DEADLINE)
    return process.returncode, out.decode(errors="replace")


async def our_server(cert, key, environment):
    server = await start(PROGRAM, "serve", cert, key, "0", environment=environment)
    line = (await asyncio.wait_for(server.stdout.readline(), DEADLINE)).decode()
    return server, int(re.search(r":(\d+)$", line).group(1))


async def stop(server):
    server.send_signal(signal.SIGINT)
    out = await asyncio.wait_for(server.stdout.read(), DEADLINE)
    check(await server.wait() == 130, "the server ended with", server.returncode, out)


async def python_client(port, cert, version):
    context = ssl.create_default_context(cafile=cert)
    context.minimum_version = context.maximum_version = version
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    for line in (b"hello\n", b"x" * 60000 + b"\n", b"bye\n"):
        writer.write(line)
        check(await asyncio.wait_for(reader.readline(), DEADLINE) == line, "python: another echo")
    writer.close()
    await asyncio.wait_for(writer.wait_closed(), DEADLINE)


async def openssl_client(port, cert):
    client = await start("openssl", "s_client", "-quiet", "-no_ign_eof", "-verify_return_error", "-verify_hostname", "localhost", "-CAfile", cert,
                         "-servername", "localhost", "-connect", f"127.0.0.1:{port}")
    client.stdin.write(b"from s_client\n")
    while True:
        line = await asyncio.wait_for(client.stdout.readline(), DEADLINE)
        check(line, "s_client ended")
        if line == b"from s_client\n":
            break
    client.stdin.close()
    await asyncio.wait_for(client.wait(), DEADLINE)


async def as_server(folder, environment):
    cert, key = make_certificate(folder, "localhost")
    stranger, _ = make_certificate(folder, "stranger")
    server, port = await our_server(cert, key, environment)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        await python_client(port, cert, version)
    await openssl_client(port, cert)
    # No HTTP here, but the handshake is curl's own, and the echo of its request comes back.
    _, out = await output_of("curl", "-sv", "--http0.9", "--max-time", "3", "--cacert", cert, "--resolve",
                             f"localhost:{port}:127.0.0.1", f"https://localhost:{port}/over-curl")
    check("SSL certificate verify ok" in out and "GET /over-curl" in out, "curl:", out)
    for old in ("-tls1", "-tls1_1"):
        code, out = await output_of("openssl", "s_client", old, "-cipher", "ALL:@SECLEVEL=0", "-connect", f"127.0.0.1:{port}")
        check(code != 0, "the server speaks", old, out)
    code, out = await output_of("openssl", "s_client", "-tls1_2", "-cipher", "AES128-SHA", "-connect", f"127.0.0.1:{port}")
    check(code != 0, "the server takes ciphers without forward secrecy", out)
    code, out = await output_of("openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{port}", "-CAfile", cert, text=b"R\nhi\n")
    check("Compression: NONE" in out, "the server compresses", out)
    code, out = await output_of(PROGRAM, "connect", cert, str(port), "ours", environment=environment)
    check((code, out) == (0, "TLSv1.3 with localhost\nours\n"), "our client:", code, out)
    code, out = await output_of(PROGRAM, "connect", stranger, str(port), "ours", environment=environment)
    check(code == 1 and "certificate verify failed" in out, "a stranger was trusted:", code, out)
    await stop(server)


async def python_echo(reader, writer):
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


async def as_client(folder, environment):
    cert, key = make_certificate(folder, "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    async with await asyncio.start_server(python_echo, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        code, out = await output_of(PROGRAM, "connect", cert, str(port), "to python", environment=environment)
        check((code, out) == (0, "TLSv1.3 with localhost\nto python\n"), "to python:", code, out)
    wrong, wrong_key = make_certificate(folder, "elsewhere")
    context.load_cert_chain(wrong, wrong_key)
    async with await asyncio.start_server(python_echo, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        code, out = await output_of(PROGRAM, "connect", wrong, str(port), "x", environment=environment)
        check(code == 1 and "hostname mismatch" in out, "another name was taken:", code, out)
    # s_server -rev says each line backwards.
    theirs = await start("openssl", "s_server", "-rev", "-accept", "127.0.0.1:0", "-cert", cert, "-key", key)
    while not (match := re.search(rb"ACCEPT .*?:(\d+)", await asyncio.wait_for(theirs.stdout.readline(), DEADLINE))):
        pass
    code, out = await output_of(PROGRAM, "connect", cert, match.group(1).decode(), "stressed", environment=environment)
    theirs.kill()
    await theirs.wait()
    check((code, out) == (0, "TLSv1.3 with localhost\ndesserts\n"), "to s_server:", code, out)


def main():
    if not os.path.exists(PROGRAM):
        print("not built: no OpenSSL")
        return 0
    for backend in ("epoll", "io_uring"):
        environment = dict(os.environ, ASYNCIO_BACKEND=backend)
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(as_server(folder, environment))
            asyncio.run(as_client(folder, environment))
        print(backend, "ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
