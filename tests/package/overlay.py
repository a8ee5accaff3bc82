"""A copy of this machine's root file system to install things in: an overlay whose upper layer is memory, in a mount namespace
of its own. It is gone when its one process is."""

import subprocess

SETUP = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
mount --rbind /dev /mnt/root/dev
mount -t proc proc /mnt/root/proc
mount -t tmpfs tmpfs /mnt/root/run
printf '#!/bin/sh\\nexit 101\\n' >/mnt/root/usr/sbin/policy-rc.d
chmod 755 /mnt/root/usr/sbin/policy-rc.d
echo ready
exec sleep infinity
"""


class NotPossible(Exception):
    """Without the rights to mount there is no overlay."""


class Overlay:
    def __init__(self):
        # Its own process namespace: the end of its first process is the end of all that were started inside.
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", SETUP],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            self.process.kill()
            raise NotPossible(self.process.stderr.read().strip())
        self.init = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True,
                                   check=True).stdout.split()[0]

    def command(self, *arguments):
        return ["nsenter", "--target", self.init, "--mount", "--pid", "chroot", "/mnt/root", *map(str, arguments)]

    def run(self, *arguments, check=True):
        """Runs a command inside; its standard output. Fails with all it said."""
        done = subprocess.run(self.command(*arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"},
                              timeout=120, check=False)
        assert not check or done.returncode == 0, f"{arguments}:\n{done.stdout}{done.stderr}"
        return done.stdout if check else done

    def put(self, source, target):
        with open(source, "rb") as data:
            subprocess.run(self.command("tee", target), stdin=data, stdout=subprocess.DEVNULL, check=True)

    def destroy(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
