-- Prosody 0.12 for load runs: fast, no limits, no encryption required. servers.py fills in the words between @.
run_as_root = false
daemonize = false
pidfile = "@DIR@/prosody.pid"
data_path = "@DIR@/data"
log = { warn = "@DIR@/prosody.log" }

network_backend = "epoll"
network_settings = { tcp_backlog = 4096 }
gc = { mode = "generational" }

interfaces = { "127.0.0.1" }
c2s_ports = { @PORT@ }
c2s_direct_tls_ports = { @TLS_PORT@ }
s2s_ports = {}
http_ports = {}
https_ports = { @WEB_PORT@ }
https_ssl = { certificate = "@DIR@/cert.pem", key = "@DIR@/key.pem" }
http_default_host = "localhost"

ssl = { certificate = "@DIR@/cert.pem", key = "@DIR@/key.pem" }
c2s_direct_tls_ssl = { certificate = "@DIR@/cert.pem", key = "@DIR@/key.pem" }

c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_hashed"
storage = "internal"
allow_registration = true

-- Debian's default list without: limits, dialback, invites*, admin_*, posix extras
modules_enabled = {
  "disco", "roster", "saslauth", "tls", "blocklist", "bookmarks", "carbons", "pep", "private",
  "smacks", "vcard4", "vcard_legacy", "csi_simple", "ping", "register", "time", "uptime", "version",
  "offline", "posix", "bosh", "websocket",
}
modules_disabled = { "s2s" }

VirtualHost "localhost"

Component "conference.localhost" "muc"
  restrict_room_creation = false
