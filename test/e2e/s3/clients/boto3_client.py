"""What a user of boto3 does. Ends with 0 if all of it went as with S3. Environment: S3_ENDPOINT, S3_ID, S3_SECRET."""

import hashlib
import os
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET = "boto3-bucket"
MIB = 1024 * 1024


def client(**config):
    return boto3.client(
        "s3",
        endpoint_url=os.environ["S3_ENDPOINT"],
        aws_access_key_id=os.environ["S3_ID"],
        aws_secret_access_key=os.environ["S3_SECRET"],
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, **config),
    )


def code_of(call):
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "none"


def same(found, wanted):
    assert found == wanted, f"found {found!r} instead of {wanted!r}"


s3 = client()
s3.create_bucket(Bucket=BUCKET)
s3.head_bucket(Bucket=BUCKET)
same(s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"], None)

body = b"hello " * 1000
key = "dir/a b+c@é&<1>.txt"
put = s3.put_object(Bucket=BUCKET, Key=key, Body=body, ContentType="text/plain", Metadata={"colour": "red"})
same(put["ETag"], f'"{hashlib.md5(body).hexdigest()}"')
got = s3.get_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
same(got["Body"].read(), body)
same([got["ContentType"], got["Metadata"], got["ContentLength"]], ["text/plain", {"colour": "red"}, len(body)])
same(s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=-5")["Body"].read(), body[-5:])
for algorithm in ["CRC32", "SHA1", "SHA256"]:
    s3.put_object(Bucket=BUCKET, Key=f"sum/{algorithm}", Body=body, ChecksumAlgorithm=algorithm)
    same(s3.get_object(Bucket=BUCKET, Key=f"sum/{algorithm}", ChecksumMode="ENABLED")["Body"].read(), body)

same(code_of(lambda: s3.get_object(Bucket=BUCKET, Key="absent")), "NoSuchKey")
same(code_of(lambda: s3.head_object(Bucket=BUCKET, Key="absent")), "404")
same(code_of(lambda: s3.get_object(Bucket=BUCKET, Key=key, IfMatch='"0"')), "PreconditionFailed")
same(code_of(lambda: s3.put_object(Bucket=BUCKET, Key=key, Body=b"", IfNoneMatch="*")), "PreconditionFailed")

large = os.urandom(20 * MIB)
with open("large.bin", "wb") as file:
    file.write(large)
transfer = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
s3.upload_file("large.bin", BUCKET, "large", Config=transfer, ExtraArgs={"Metadata": {"a": "1"}})
head = s3.head_object(Bucket=BUCKET, Key="large")
same([head["ContentLength"], head["Metadata"], head["ETag"].endswith('-4"')], [len(large), {"a": "1"}, True])
s3.download_file(BUCKET, "large", "again.bin", Config=transfer)
with open("again.bin", "rb") as file:
    same(hashlib.sha256(file.read()).digest(), hashlib.sha256(large).digest())

s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": key})
same(s3.get_object(Bucket=BUCKET, Key="copy")["Body"].read(), body)

for i in range(25):
    s3.put_object(Bucket=BUCKET, Key=f"list/{i % 5}/{i:02}", Body=b"x")
pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 7}))
same([item["Key"] for page in pages for item in page["Contents"]], sorted(f"list/{i % 5}/{i:02}" for i in range(25)))
grouped = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", Delimiter="/")
same([each["Prefix"] for each in grouped["CommonPrefixes"]], [f"list/{i}/" for i in range(5)])
first = s3.list_objects(Bucket=BUCKET, Prefix="dir/")
same([item["Key"] for item in first["Contents"]], [key])
assert BUCKET in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]

url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=60)
same(urllib.request.urlopen(url).read(), body)

keys = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
deleted = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": each} for each in keys]})
same(sorted(each["Key"] for each in deleted["Deleted"]), sorted(keys))
same(s3.list_objects_v2(Bucket=BUCKET)["KeyCount"], 0)
s3.delete_bucket(Bucket=BUCKET)
print("ok")
