"""Keys and certificates for a test: an authority, what it vouches for, and a stranger's."""

import subprocess

from cluster import HOST


def make_certificate(directory, name, authority=None):
    key, cert, request = (directory / f"{name}.{end}" for end in ("key", "pem", "csr"))
    run = lambda *arguments: subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
    run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    key.chmod(0o600)
    if authority is None:
        run("req", "-x509", "-new", "-key", key, "-subj", f"/CN={name}", "-days", "2", "-out", cert)
        return key, cert
    names = directory / f"{name}.names"
    names.write_text(f"subjectAltName=DNS:{name},IP:{HOST}\n", encoding="ascii")
    run("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
    run("x509", "-req", "-in", request, "-CA", authority[1], "-CAkey", authority[0], "-CAcreateserial", "-days", "2",
        "-extfile", names, "-out", cert)
    return key, cert


class Certificates:
    def __init__(self, directory):
        self.directory = directory
        self.authority = make_certificate(directory, "authority")
        self.server = make_certificate(directory, "localhost", self.authority)
        self.client = make_certificate(directory, "postgres", self.authority)
        self.stranger = make_certificate(directory, "stranger")

    def options(self, mode, key_and_cert=None, **settings):
        key, cert = key_and_cert or self.server
        settings = {"sslmode": mode, "key_file": key, "cert_file": cert, **settings}
        return [part for name, value in settings.items() for part in ("--set", f"client_tls_{name}={value}")]
