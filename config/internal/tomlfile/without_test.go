package tomlfile

import "testing"

// What is left out leaves the other lines where they were, however it is written.
func TestWithout(t *testing.T) {
	const text = `# the hub
deadline = "2s"
listen.dns = [
  ":53", # all
]
store = { url = "https://a.example/", channel = "b" }

[listener]
b = """
[tls]
"""
  [ tls ] # for all
  cert = "a"
[networks.hub]
tls = "kept"
[[tls.more]]
password = "secret"
[traffic]
state = "/a" # here
top = false
`
	const want = `# the hub
deadline = "2s"





[listener]
b = """
[tls]
"""


[networks.hub]
tls = "kept"


[traffic]

top = false
`
	if got := Without(text, "listen", "tls", "store", "traffic.state"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if got := Without(text); got != text {
		t.Errorf("with nothing to leave out, got:\n%s", got)
	}
}
