"""Linux of another version, in an emulator, with programs of this system in it.

    image = guest.kernel("6.1", "/where/it/is/kept")    # Debian's kernel package, unpacked; nothing is installed
    root = guest.Root()
    lines = root.modules(image, ["tls"])                # what loads them, with those they need
    root.program("/build/asyncio_os_tests", "/tests/asyncio_os_tests")   # with the shared objects it loads
    root.file("/etc/hosts", "127.0.0.1 localhost\\n")
    root.init(lines)                                    # what process 1 does, in busybox's shell
    output = guest.boot(image, root.write(path), log, seconds=600)

The root file system is an archive in memory (newc), which Linux unpacks into a tmpfs. Needs qemu-system-x86 and
busybox-static. Emulated (TCG) unless QEMU_ACCEL says otherwise: where /dev/kvm is it still may not work.
"""
import glob
import os
import re
import shutil
import stat
import subprocess

META_PACKAGE = "linux-image-cloud-amd64"  # the smallest
BUSYBOX = "/bin/busybox"


class Unavailable(Exception):
    """What cannot be had here, for a line that begins with `skipped: `."""


def command(*words: str, **more) -> str:
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False, **more)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(words)}: {(done.stderr.strip() or 'failed').splitlines()[-1]}")
    return done.stdout


def kernel(version: str, folder: str) -> str:
    """The path of the newest kernel that `META_PACKAGE` stands for, which has to be of that version."""
    for program, package in (("qemu-system-x86_64", "qemu-system-x86"), ("busybox", "busybox-static"), ("apt-get", "apt")):
        if not shutil.which(program):
            raise Unavailable(f"{program} is missing: apt-get install {package}")
    package = re.search(r"Depends: (linux-image-[0-9]\S+)", command("apt-cache", "depends", META_PACKAGE))
    if not package:
        raise Unavailable(f"apt-cache knows no {META_PACKAGE}: apt-get update")
    if not package[1].startswith(f"linux-image-{version}."):
        raise Unavailable(f"{META_PACKAGE} is {package[1]} here, not Linux {version}")
    unpacked = os.path.join(folder, package[1])
    images = glob.glob(os.path.join(unpacked, "boot/vmlinuz-*"))
    if not images:
        os.makedirs(unpacked, exist_ok=True)
        command("apt-get", "download", package[1], cwd=folder, timeout=600)
        archive = glob.glob(os.path.join(folder, package[1] + "_*.deb"))[0]
        command("dpkg-deb", "-x", archive, unpacked)
        os.remove(archive)
        images = glob.glob(os.path.join(unpacked, "boot/vmlinuz-*"))
    return images[0]


class Root:
    """A root file system: path -> (mode, content)."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[int, bytes]] = {}
        for name in ("bin", "sbin", "lib", "lib64"):
            self._add(f"/usr/{name}/.", stat.S_IFREG | 0o644, b"")
            self._add(f"/{name}", stat.S_IFLNK | 0o777, f"usr/{name}".encode())
        for name in ("proc", "sys", "dev", "root"):
            self._add(f"/{name}/.", stat.S_IFREG | 0o644, b"")
        self.program(BUSYBOX, "/usr/bin/busybox")

    def _add(self, path: str, mode: int, content: bytes) -> None:
        parts = path.strip("/").split("/")
        for depth in range(1, len(parts)):
            self.entries.setdefault("/".join(parts[:depth]), (stat.S_IFDIR | 0o755, b""))
        if parts[-1] != ".":
            self.entries["/".join(parts)] = (mode, content)

    def file(self, path: str, content: str, mode: int = 0o644) -> None:
        self._add(path, stat.S_IFREG | mode, content.encode())

    def copy(self, source: str, path: str) -> None:
        """Into the folder that `path` really has: /bin is a link."""
        with open(source, "rb") as file:
            content = file.read()
        path = re.sub(r"^/(bin|sbin|lib|lib64)/", r"/usr/\1/", path)
        self._add(path, stat.S_IFREG | 0o755, content)

    def program(self, source: str, path: str) -> None:
        """And the shared objects that it loads, where its loader looks for them."""
        self.copy(source, path)
        done = subprocess.run(["ldd", source], capture_output=True, text=True, check=False)
        for library in re.findall(r"(/\S+) \(0x", done.stdout):
            self.copy(library, library)

    def system_programs(self, names: list[str]) -> None:
        for name in names:
            where = shutil.which(name)
            if not where:
                raise Unavailable(f"there is no program {name} here")
            self.program(os.path.realpath(where), f"/usr/bin/{name}")

    def modules(self, image: str, names: list[str]) -> list[str]:
        """The kernel's modules of these names; returns the commands that load them, each behind those it needs."""
        tree = os.path.join(os.path.dirname(os.path.dirname(image)), "lib/modules")
        files = {os.path.basename(path)[:-3].replace("-", "_"): path for path in glob.glob(f"{tree}/**/*.ko", recursive=True)}
        order: list[str] = []

        def add(name: str) -> None:
            if name in order:
                return
            if name not in files:
                raise Unavailable(f"the kernel has no module {name}")
            with open(files[name], "rb") as file:
                needs = re.search(rb"\0depends=([^\0]*)\0", file.read())
            for other in needs[1].decode().split(",") if needs and needs[1] else []:
                add(other.replace("-", "_"))
            order.append(name)

        for name in names:
            add(name)
        for name in order:
            self.copy(files[name], f"/modules/{name}.ko")
        return [f"$b insmod /modules/{name}.ko || echo === no module {name}" for name in order]

    def init(self, lines: list[str]) -> None:
        """What process 1 does once the system is up; the machine goes off after it."""
        start = ["#!/bin/busybox sh", "export PATH=/usr/bin HOME=/root LANG=C.UTF-8", "b=/bin/busybox",
                 "$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev",
                 "$b ln -s /proc/self/fd /dev/fd; for i in 0:stdin 1:stdout 2:stderr; do $b ln -s /proc/self/fd/${i%:*} /dev/${i#*:}; done",
                 "$b mkdir -p /dev/pts /dev/shm /tmp; $b mount -t devpts pts /dev/pts",
                 "$b mount -t tmpfs shm /dev/shm; $b mount -t tmpfs tmp /tmp",
                 "$b mount -t tracefs trace /sys/kernel/tracing",
                 "$b ip link set lo up; ulimit -n 20000", *lines, "$b poweroff -f"]
        self.file("/init", "\n".join(start) + "\n", 0o755)

    def write(self, path: str) -> str:
        with open(path, "wb") as out:
            console = (stat.S_IFDIR | 0o755, b"")
            entries = {**self.entries, "dev": console}
            for number, (name, (mode, content)) in enumerate(entries.items()):
                self._record(out, number + 1, name, mode, content, (0, 0))
            self._record(out, len(entries) + 1, "dev/console", stat.S_IFCHR | 0o600, b"", (5, 1))
            self._record(out, 0, "TRAILER!!!", 0, b"", (0, 0))
        return path

    @staticmethod
    def _record(out, number: int, name: str, mode: int, content: bytes, device: tuple[int, int]) -> None:
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        out.write(head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4))


def boot(image: str, root: str, log: str, seconds: float) -> str:
    """All that comes over the serial line, which is kept in `log`. The machine has two processors and 1 GiB."""
    words = ["qemu-system-x86_64", "-accel", os.environ.get("QEMU_ACCEL", "tcg"), "-cpu", "max", "-smp", "2", "-m", "1G",
             "-kernel", image, "-initrd", root, "-append", "console=ttyS0 quiet panic=-1", "-nographic", "-no-reboot", "-nic", "none"]
    with open(log, "wb") as out:
        try:
            subprocess.run(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            out.write(f"\nstopped after {seconds:.0f} s\n".encode())
    with open(log, encoding="utf-8", errors="replace", newline="") as file:
        return file.read().replace("\r", "")
