#!/bin/sh
# Brings a machine to an image and a configuration, and ends when it serves them. Both
# hubs fill in what stands between @, and have it run as root on one machine after the
# other, whenever something of it has changed: where it fails, the machines after that
# one go on as they were.
set -eu
image='@IMAGE@'
puller='@PULLER@' # client id of the identity that may pull; empty where nobody has to log in
config='@CONFIG@' # pldns.toml, in base64

# cloud-init installs podman, and may be at it still. It says 2 where it could go on.
cloud-init status --wait >/dev/null || [ $? -eq 2 ]

# login gives the registry a token of the machine's identity, and podman the one that the
# registry gives for it. Neither is an argument, which every user of the machine can read.
login() {
	registry=${image%%/*}
	curl -fsS --noproxy '*' -H Metadata:true -G http://169.254.169.254/metadata/identity/oauth2/token \
		-d api-version=2018-02-01 -d resource=https://containerregistry.azure.net -d client_id="$puller" |
		jq -r --arg service "$registry" '"grant_type=access_token&service=\($service)&access_token=\(.access_token|@uri)"' |
		curl -fsS -d @- "https://$registry/oauth2/exchange" |
		jq -r .refresh_token |
		podman login -u 00000000-0000-0000-0000-000000000000 --password-stdin "$registry" >/dev/null
}

# reload has the server read the file now, and say whether it serves it.
reload() {
	printf 'Authorization: Bearer %s\n' "$(cat /etc/pldns/admin.token)" |
		curl -fsS --noproxy '*' -o /dev/null -X POST -H @- http://127.0.0.1:8053/-/reload
}

# within tries a command every ten seconds for fifteen minutes: a role that was just
# given, and the way out, take a while to be there.
within() {
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		if [ "$tries" -ge 90 ]; then
			return 1
		fi
		sleep 10
	done
}

pull() {
	if [ -n "$puller" ]; then
		login || return 1
	fi
	podman pull -q "$image" >/dev/null
}

# An image that is there is not asked for again, so that neither a change of the
# configuration nor a start needs the registry.
if ! podman image exists "$image" && ! within pull; then
	echo "the image $image cannot be pulled" >&2
	exit 1
fi

# 65532 is the user of the image.
mkdir -p /etc/pldns /var/lib/pldns
chown 65532:65532 /var/lib/pldns
if [ ! -s /etc/pldns/admin.token ]; then
	(umask 077 && openssl rand -hex 32 >/etc/pldns/admin.token)
	chown 65532:65532 /etc/pldns/admin.token
fi

# What is faulty changes nothing.
echo "$config" | base64 -d >/etc/pldns/pldns.toml.new
podman run --rm --network none -v /etc/pldns:/etc/pldns:ro "$image" check -c /etc/pldns/pldns.toml.new
mv /etc/pldns/pldns.toml.new /etc/pldns/pldns.toml

# What a reload cannot change, such as the address for operators, takes a new start.
if [ "$(cat /etc/default/pldns 2>/dev/null)" != "IMAGE=$image" ] || ! reload; then
	echo "IMAGE=$image" >/etc/default/pldns
	systemctl restart pldns
fi
if ! within podman exec pldns /usr/bin/pldns probe; then
	echo "pldns does not serve: journalctl -u pldns says why" >&2
	exit 1
fi
