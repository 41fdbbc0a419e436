#!/bin/sh
# LocalStack runs this when it is ready. It makes what a server on this machine needs to keep its
# files in S3 (LENTICULAR_STORAGE=s3://lenticular make serve), and the queue of the drop folder.
# `sam deploy` does not need it: the template makes its own.
set -eu
export AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-eu-central-1}"

awslocal s3api head-bucket --bucket lenticular 2>/dev/null ||
  awslocal s3api create-bucket --bucket lenticular --create-bucket-configuration "LocationConstraint=$AWS_DEFAULT_REGION"
queue=$(awslocal sqs create-queue --queue-name lenticular-incoming --query QueueUrl --output text)
arn=$(awslocal sqs get-queue-attributes --queue-url "$queue" --attribute-names QueueArn \
  --query Attributes.QueueArn --output text)
awslocal s3api put-bucket-notification-configuration --bucket lenticular \
  --notification-configuration "{\"QueueConfigurations\": [{\"QueueArn\": \"$arn\",
    \"Events\": [\"s3:ObjectCreated:*\"], \"Filter\": {\"Key\": {\"FilterRules\":
    [{\"Name\": \"prefix\", \"Value\": \"incoming/\"}]}}}]}"
