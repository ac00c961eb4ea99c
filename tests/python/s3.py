"""An S3 server for tests (moto) on a free port: users, keys and buckets, with signatures and policies checked.

Prints one line of JSON and serves until its standard input ends, so that it never outlives the test. With the name of a
directory it serves TLS, under a certificate that it makes there.
"""

import datetime
import ipaddress
import json
import pathlib
import ssl
import sys
import threading

import boto3
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

REGION = "eu-central-1"
BUCKET = "blobs"


def certificate(directory):
    """An authority and a certificate of its for this machine; gives the file to trust and what to serve with."""
    now = datetime.datetime.now(datetime.timezone.utc)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("authority", "127.0.0.1")]

    def signed(index, extensions):
        made = x509.CertificateBuilder(names[0], names[index], keys[index].public_key(), x509.random_serial_number())
        made = made.not_valid_before(now - datetime.timedelta(hours=1))
        made = made.not_valid_after(now + datetime.timedelta(days=1))
        for extension, critical in extensions:
            made = made.add_extension(extension, critical)
        return made.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    authority = signed(0, [(x509.BasicConstraints(ca=True, path_length=None), True)])
    own = signed(1, [(address, False), (x509.BasicConstraints(ca=False, path_length=None), True)])
    plain = serialization.NoEncryption()
    key = keys[1].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    files = [pathlib.Path(directory, name) for name in ("authority.pem", "own.pem", "key.pem")]
    for file, content in zip(files, (authority, own, key)):
        file.write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[2])
    return str(files[0]), context


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


def user(iam, name, actions):
    """A user who may do so much, and its keys."""
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


def main():
    authority, context = certificate(sys.argv[1]) if len(sys.argv) > 1 else (None, None)
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet, ssl_context=context)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    session = boto3.Session(aws_access_key_id="setup", aws_secret_access_key="setup", region_name=REGION)
    session.client("s3", endpoint_url=endpoint, verify=authority).create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    iam = session.client("iam", endpoint_url=endpoint, verify=authority)
    worker = user(iam, "worker", ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListBucket"])
    reader = user(iam, "reader", ["s3:GetObject", "s3:ListBucket"])
    # From here on every request is checked.
    requests.post(f"{endpoint}/moto-api/reset-auth", data="0", timeout=10, verify=authority).raise_for_status()
    told = {"endpoint": endpoint, "region": REGION, "bucket": BUCKET, "worker": worker, "reader": reader}
    print(json.dumps(told), flush=True)
    sys.stdin.read()


main()
