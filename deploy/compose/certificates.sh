#!/bin/sh
# Makes, once, an authority, a certificate each for postgres and portcullis, and the admin token. Run by
# docker-compose.yml. The authority's key stays in /tmp (memory) and is gone with the container: to renew, remove the
# volumes postgres-tls and portcullis-tls and start again.
set -eu
umask 077

if [ -s /out/portcullis/server.key ] && [ -s /out/postgres/server.key ] && [ -s /out/token/admin_token ]; then
    echo "certificates: already there"
    exit 0
fi

cd /tmp
openssl ecparam -name prime256v1 -genkey -noout -out ca.key
openssl req -x509 -new -key ca.key -sha256 -days 825 -subj "/CN=portcullis compose CA" -out ca.crt \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"

# certificate DIRECTORY NAMES OWNER
certificate() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$1/server.key"
    openssl req -new -key "$1/server.key" -subj "/CN=${2%%,*}" -out request.csr
    printf 'subjectAltName=%s\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n' \
        "DNS:$(echo "$2" | sed 's/,/,DNS:/g')" > extensions
    openssl x509 -req -in request.csr -CA ca.crt -CAkey ca.key -CAcreateserial -sha256 -days 825 \
        -extfile extensions -out "$1/server.crt"
    cp ca.crt "$1/ca.crt"
    chmod 0444 "$1/server.crt" "$1/ca.crt"
    chmod 0400 "$1/server.key"
    chown -R "$3" "$1"
    chmod 0755 "$1"
}

certificate /out/postgres postgres 999:999
certificate /out/portcullis portcullis,localhost 65532:65532

# Read by the firewall and by Prometheus, which run as different users, and mounted nowhere else.
openssl rand -hex 32 > /out/token/admin_token
chmod 0444 /out/token/admin_token
chmod 0755 /out/token
echo "certificates: made"
