# What somebody has around them who types the commands of a page: every command runs in a shell of its own that begins where
# the one before it ended. ADMIN, GRPC and AUTHORITY are where the server listens.

portcullis() {
  case "$1 ${2-}" in
    "revoke "* | "node "* | "remote-user "* | "keys "* | "token list" | "token show" | "token end" | "shadow "*)
      case " $* " in
        *" --server "*) command portcullis "$@" ;;
        *) command portcullis "$@" --server "$ADMIN" ;;
      esac ;;
    *) command portcullis "$@" ;;
  esac
}

# An answer that says no is a command that fails.
curl() { command curl --silent --show-error --fail-with-body --noproxy '*' "$@"; }

# What is on the clipboard, and who reads manual pages.
wl-paste() { cat "$HOME/token.txt"; }
man() { cat > /dev/null; }

# The first value of this name in what a verb prints as JSON.
first() {
  local name="$1"
  shift
  portcullis "$@" -o json | tr -d ' \n' | grep -o "\"$name\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4
}

denied() { first decision_id check --server "$GRPC" DELETE https://api.example.test/workspaces/ws-alice; }

old_key() {
  portcullis keys rotate --now > /dev/null
  portcullis keys list -o json | tr -d ' \n' | tr '}' '\n' | grep '"signs":false' | grep -o '"kid":"[^"]*"' | head -n 1 | cut -d '"' -f 4
}

delegated() {
  curl "http://$AUTHORITY/token" -H "Authorization: Bearer $JOBS" \
    -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange -d subject_token="$ALICE" \
    -d subject_token_type=urn:ietf:params:oauth:token-type:access_token -d workspace=ws-alice -d action=read > /dev/null
  first id token list
}

node() {
  portcullis node add "$1" --base-url https://n.example.org --jwks-url https://n.example.org/network/jwks \
    --token-url https://n.example.org/network/token --authorization-url https://n.example.org/ui/network/authorize \
    --redirect-uri https://n.example.org/network/link > /dev/null 2>&1 || true
}
no_node() { portcullis node remove node-b > /dev/null 2>&1 || true; }
bob() { node node-b && portcullis remote-user add node-b bob > /dev/null 2>&1 || true; }
no_bob() { node node-b && portcullis remote-user remove node-b bob > /dev/null 2>&1 || true; }

# Node B of a page about two nodes: this server, which knows node A.
node_b() { node node-a && echo "http://$AUTHORITY"; }

set -ea
if [ -e "$STATE" ]; then
  . "$STATE"
  cd "$WHERE"
fi
trap 'WHERE=$PWD; export -p > "$STATE"' EXIT
