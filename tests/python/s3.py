"""An S3 server for tests (moto) on a free port: users, keys and buckets, with signatures and policies checked.

Prints one line of JSON and serves until its standard input ends, so that it never outlives the test.
"""

import json
import sys

import boto3
import requests
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"
BUCKET = "blobs"


def user(iam, name, actions):
    """A user who may do so much, and its keys."""
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


def main():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    session = boto3.Session(aws_access_key_id="setup", aws_secret_access_key="setup", region_name=REGION)
    session.client("s3", endpoint_url=endpoint).create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    iam = session.client("iam", endpoint_url=endpoint)
    worker = user(iam, "worker", ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListBucket"])
    reader = user(iam, "reader", ["s3:GetObject", "s3:ListBucket"])
    # From here on every request is checked.
    requests.post(f"{endpoint}/moto-api/reset-auth", data="0", timeout=10).raise_for_status()
    told = {"endpoint": endpoint, "region": REGION, "bucket": BUCKET, "worker": worker, "reader": reader}
    print(json.dumps(told), flush=True)
    sys.stdin.read()
    server.stop()


main()
