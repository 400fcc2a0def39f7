#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""testssl (Debian: testssl.sh) scans a server with the default context and finds nothing to object to.
Where it is not installed, only the gravest part is tried by hand, in tls_interop_test.py."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

BUILD = os.environ.get("ASYNCIO_BUILD_DIR", "build/dev")
PROGRAM = f"{BUILD}/example_32_tls_echo"
DEADLINE = 280  # seconds
# Protocols, ciphers, forward secrecy, preferences, what the server says of itself, known holes.
CHECKS = ["-p", "-s", "-f", "-P", "-S", "-U"]
# The certificate is the test's own: nobody publishes whether it was revoked.
# Its openssl hangs up before TLS 1.3's session ticket comes, now and then, and it cannot check that then.
# An openssl without engines cannot try GOST's ciphers, says testssl of the openssl that it runs itself.
NOT_OURS = {"cert_revocation", "sessionresumption_ticket", "engine_problem"}


def make_certificate(folder):
    cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return cert, key


def scan(folder, port, cert):
    report = f"{folder}/report.json"
    command = ["testssl", "--color", "0", "--warnings", "off", "--nodns", "none", "--add-ca", cert,
               "--jsonfile", report, *CHECKS, f"localhost:{port}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE)
    with open(report) as file:
        found = json.load(file)
    if len(found) < 50:
        raise AssertionError(f"a scan of {len(found)} lines is none:\n{done.stdout}")
    return [f"{x['severity']}: {x['id']}: {x['finding']}" for x in found
            if x["severity"] not in ("OK", "INFO", "DEBUG") and x["id"] not in NOT_OURS]


def main():
    if not os.path.exists(PROGRAM) or not shutil.which("testssl"):
        print("not run: no OpenSSL, or no testssl")
        return 0
    if os.environ.get("CI") and not BUILD.endswith("release"):
        print("not run: it takes minutes, and CI runs it with the release build")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        cert, key = make_certificate(folder)
        # What it is told by clients that break off is not for our eyes.
        server = subprocess.Popen([PROGRAM, "serve", cert, key, "0"], stdout=subprocess.PIPE, text=True,
                                  stderr=subprocess.DEVNULL)
        try:
            port = re.search(r":(\d+)$", server.stdout.readline())[1]
            objections = scan(folder, port, cert)
        finally:
            server.send_signal(signal.SIGINT)
            code = server.wait(20)
    print("\n".join(objections) or "nothing to object to")
    interrupted = 130  # what run_main() makes of Ctrl-C
    if code != interrupted:
        print("the server ended with", code)
    return 1 if objections or code != interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
