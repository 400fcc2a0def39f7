import asyncio
import ssl
import sys


async def echo(reader, writer):
    async for line in reader:
        writer.write(line)
        await writer.drain()
    writer.close()


async def serve(certificate, key, port):
    ctx = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ctx.load_cert_chain(certificate, key)
    ctx.set_alpn_protocols(["echo"])
    server = await asyncio.start_server(echo, "127.0.0.1", port, ssl=ctx)
    host, port = server.sockets[0].getsockname()
    print(f"listening on {host}:{port}", flush=True)
    async with server:
        await server.serve_forever()


async def connect(trusted, port, text):
    ctx = ssl.create_default_context()
    ctx.load_verify_locations(trusted)
    ctx.set_alpn_protocols(["echo"])
    reader, writer = await asyncio.open_connection("localhost", port, ssl=ctx)
    connection = writer.get_extra_info("ssl_object")
    subject = dict(pair for field in connection.getpeercert()["subject"] for pair in field)
    print(f"{connection.version()} with {subject['commonName']}", flush=True)
    writer.write(f"{text}\n".encode())
    answer = await reader.readline()
    print(answer.decode(), end="")
    writer.close()
    await writer.wait_closed()


async def program(arguments):
    match arguments:
        case "serve", certificate, key, port:
            await serve(certificate, key, int(port))
        case "connect", trusted, port, text:
            await connect(trusted, int(port), text)
        case _:
            sys.exit("usage: serve CERT KEY PORT | connect CA PORT TEXT")


try:
    asyncio.run(program(sys.argv[1:]))
except KeyboardInterrupt:
    sys.exit(130)
