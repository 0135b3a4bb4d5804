#!/bin/sh
# Makes localhost.pem: a certificate for 127.0.0.1 that nobody but the tests trusts, with its key, for a century.
cd "$(dirname "$0")" || exit 1
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj "/CN=hepar tests" \
    -addext "subjectAltName=IP:127.0.0.1" -keyout key.pem -out certificate.pem &&
    cat key.pem certificate.pem > localhost.pem && rm key.pem certificate.pem
