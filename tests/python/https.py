"""A door with TLS and a password before an HTTP server.

    python https.py DIRECTORY HOST:PORT USER PASSWORD

Makes a certificate for 127.0.0.1 under an authority of its own, whose certificate it writes to DIRECTORY/ca.pem; prints
its port, and hands on what comes with the password. Every second request is answered 503 first, as by a registry that is
about to elect another. It ends with its standard input.
"""

import base64
import datetime
import http.client
import http.server
import ipaddress
import os
import pathlib
import ssl
import sys
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DIRECTORY, UPSTREAM, USER, PASSWORD = pathlib.Path(sys.argv[1]), *sys.argv[2:]
WANTED = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def certificate(name, issuer=None):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=24))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    return built, key


def pem(one):
    return one.public_bytes(serialization.Encoding.PEM)


class Door(http.server.BaseHTTPRequestHandler):
    busy = False

    def answer(self):
        Door.busy = not Door.busy
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if Door.busy:
            return self.tell(503, b'{"error_code":50003,"message":"electing"}')
        if self.headers.get("authorization") != WANTED:
            return self.tell(401, b'{"error_code":401,"message":"Unauthorized"}')
        upstream = http.client.HTTPConnection(UPSTREAM)
        headers = {"content-type": self.headers["content-type"]} if body else {}
        upstream.request(self.command, self.path, body, headers)
        told = upstream.getresponse()
        self.tell(told.status, told.read())

    do_GET = do_POST = answer

    def tell(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


authority = certificate("tests")
own, key = certificate("127.0.0.1", authority)
(DIRECTORY / "ca.pem").write_bytes(pem(authority[0]))
private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
(DIRECTORY / "own.pem").write_bytes(pem(own) + private)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(DIRECTORY / "own.pem")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
os._exit(0)
