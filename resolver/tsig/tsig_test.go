package tsig_test

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/tsig"
	"pldns/zones"
)

var (
	secret = []byte("0123456789abcdef0123456789abcdef")
	now    = time.Unix(1_700_000_000, 0)
)

func key(algorithm string) *tsig.Key {
	return &tsig.Key{Name: zones.MustName("Transfer.Corp.example"), Algorithm: algorithm, Secret: secret}
}

func pack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	octets, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return octets
}

// axfr is always the same, so that all signatures of it at one time are.
func axfr() *dns.Msg {
	m := new(dns.Msg).SetAxfr("corp.example.")
	m.Id = 4711
	return m
}

// ring knows the keys.
func ring(keys ...*tsig.Key) tsig.Ring {
	r := tsig.Ring{}
	for _, k := range keys {
		r[k.Name] = k
	}
	return r
}

// received is a request that a server which knows the keys has read.
func received(t testing.TB, request []byte, at time.Time, keys ...*tsig.Key) *tsig.Request {
	t.Helper()
	q, err := ring(keys...).Receive(request, at)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// reply is one message of a transfer.
func reply(t testing.TB, records ...string) []byte {
	t.Helper()
	m := new(dns.Msg).SetReply(axfr())
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	return pack(t, m)
}

// Both sides of this package, and both of the DNS library, agree for every algorithm, about the
// request, the first reply and later ones.
func TestBothSides(t *testing.T) {
	const soa = "corp.example. 60 IN SOA ns.corp.example. mail.corp.example. 7 60 60 60 60"
	for _, algorithm := range []string{"hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"} {
		k, at := key(algorithm), time.Now() // the library has no other time
		shared := base64.StdEncoding.EncodeToString(secret)
		request, replies := k.Sign(pack(t, axfr()), at)
		if err := dns.TsigVerify(append([]byte(nil), request...), shared, "", false); err != nil {
			t.Errorf("%s: the library says of a request: %v", algorithm, err)
		}
		var asked dns.Msg
		if err := asked.Unpack(request); err != nil {
			t.Fatal(err)
		}
		mac := asked.IsTsig().MAC
		q := received(t, request, at, k)
		if q.Key != k || q.Fault != nil || string(q.Plain) != string(pack(t, axfr())) {
			t.Fatalf("%s: %+v", algorithm, q)
		}
		for i := range 3 {
			signed := q.Sign(reply(t, soa), at)
			if err := dns.TsigVerify(append([]byte(nil), signed...), shared, mac, i > 0); err != nil {
				t.Errorf("%s: the library says of reply %d: %v", algorithm, i, err)
			}
			var m dns.Msg
			if err := m.Unpack(signed); err != nil {
				t.Fatal(err)
			}
			mac = m.IsTsig().MAC
			plain, err := replies.Verify(signed, at)
			if err != nil || string(plain) != string(reply(t, soa)) {
				t.Errorf("%s: reply %d: %v", algorithm, i, err)
			}
		}
		if err := replies.End(); err != nil {
			t.Error(err)
		}

		byLibrary := axfr()
		byLibrary.SetTsig("transfer.CORP.example.", algorithm+".", tsig.Fudge, at.Unix())
		theirs, _, err := dns.TsigGenerate(byLibrary, shared, "", false)
		if err != nil {
			t.Fatal(err)
		}
		if q := received(t, theirs, at, k); q.Key != k {
			t.Errorf("%s: a request that the library signed: %v", algorithm, q.Fault)
		}
	}
}

// What is wrong with a request is told to whoever sent it, in the words of both sides.
func TestFaultsOfARequest(t *testing.T) {
	k, other, stranger := key("hmac-sha256"), key("hmac-sha256"), key("hmac-sha256")
	other.Secret = []byte("another secret of the same length")
	stranger.Name = zones.MustName("stranger.example")
	const hour = time.Hour
	for _, test := range []struct {
		name  string
		by    *tsig.Key
		clock time.Time // of the server
		code  uint16
		here  string // what the server says
		there string // what the client says
	}{
		{"an unknown key", stranger, now, dns.RcodeBadKey, "BADKEY: it is signed with another key", "BADKEY: the server does not know this key"},
		{"another algorithm", key("hmac-sha512"), now, dns.RcodeBadKey, "BADKEY", "another algorithm for it"},
		{"another secret", other, now, dns.RcodeBadSig, "BADSIG: the signature is wrong", "BADSIG: the server says that the signature is wrong"},
		{"a slow clock", k, now.Add(hour), dns.RcodeBadTime, "1h0m0s behind", "1h0m0s ahead of this one"},
		{"a fast clock", k, now.Add(-hour), dns.RcodeBadTime, "1h0m0s ahead", "1h0m0s behind this one"},
		{"just in time", k, now.Add(tsig.Fudge * time.Second), 0, "", ""},
	} {
		request, replies := test.by.Sign(pack(t, axfr()), now)
		q := received(t, request, test.clock, k)
		if test.code == 0 {
			if q.Fault != nil || q.Key != k {
				t.Errorf("%s: %v", test.name, q.Fault)
			}
			continue
		}
		if q.Key != nil || q.Fault == nil || q.Fault.Code != test.code || !strings.Contains(q.Fault.Error(), test.here) {
			t.Errorf("%s: the server says %v", test.name, q.Fault)
			continue
		}
		m := new(dns.Msg).SetRcode(axfr(), dns.RcodeNotAuth)
		_, err := replies.Verify(q.Sign(pack(t, m), test.clock), now)
		var fault *tsig.Fault
		if !errors.As(err, &fault) || !fault.Told || fault.Code != test.code || !strings.Contains(err.Error(), test.there) {
			t.Errorf("%s: the client says %v", test.name, err)
		}
	}
}

// A MAC that is shortened tells whoever sent it, if it is right as far as it goes.
func TestShortMAC(t *testing.T) {
	k := key("hmac-sha256")
	shortened := func(size int) []byte {
		request, _ := k.Sign(pack(t, axfr()), now)
		cut := 32 - size
		end := len(request) - 6 - cut // before the original id
		request = append(request[:end:end], request[end+cut:]...)
		binary.BigEndian.PutUint16(request[end-size-2:], uint16(size))
		at := end - size - 10 - len("\x0bhmac-sha256\x00") - 2
		binary.BigEndian.PutUint16(request[at:], binary.BigEndian.Uint16(request[at:])-uint16(cut))
		return request
	}
	if q := received(t, shortened(32), now, k); q.Key != k {
		t.Fatal("what is not shortened is not read")
	}
	q := received(t, shortened(16), now, k)
	if q.Key != nil || q.Fault == nil || q.Fault.Code != dns.RcodeBadTrunc {
		t.Errorf("half of a MAC: %+v", q)
	}
	for _, size := range []int{15, 1, 0} {
		if _, err := ring(k).Receive(shortened(size), now); !errors.Is(err, tsig.ErrMalformed) {
			t.Errorf("a MAC of %d octets: %v", size, err)
		}
	}
}

// Every octet of a reply counts, but the id, which forwarders change.
func TestEveryOctetCounts(t *testing.T) {
	k := key("hmac-sha256")
	request, _ := k.Sign(pack(t, axfr()), now)
	q := received(t, append([]byte(nil), request...), now, k)
	good := q.Sign(reply(t, "a.corp.example. 60 IN A 192.0.2.1"), now)
	for i := range good {
		changed := append([]byte(nil), good...)
		changed[i] ^= 1
		_, replies := k.Sign(pack(t, axfr()), now) // the same octets as request
		if _, err := replies.Verify(changed, now); (err == nil) != (i < 2) {
			t.Errorf("octet %d: %v", i, err)
		}
	}
}

// Messages of a transfer may stand unsigned between signed ones, ninety-nine of them, and the
// last has to be signed. What is changed, lost or put between is seen with the next signature.
func TestUnsignedBetween(t *testing.T) {
	k := key("hmac-sha256")
	unsigned := func(i int) []byte { return reply(t, "a.corp.example. 60 IN TXT "+strings.Repeat("x", i+1)) }
	// stream signs a message after n unsigned ones, as a server does (RFC 8945 section 5.3.1).
	stream := func(n int) (messages [][]byte) {
		request, _ := k.Sign(pack(t, axfr()), now)
		q := received(t, request, now, k)
		messages = append(messages, q.Sign(unsigned(0), now))
		var between []byte
		for i := range n {
			messages = append(messages, unsigned(i))
			between = append(between, unsigned(i)...)
		}
		return append(messages, q.SignAfter(between, reply(t), now))
	}
	verify := func(messages [][]byte) error {
		_, replies := k.Sign(pack(t, axfr()), now)
		for _, m := range messages {
			if _, err := replies.Verify(m, now); err != nil {
				return err
			}
		}
		return replies.End()
	}
	for _, test := range []struct {
		name   string
		n      int
		change func([][]byte) [][]byte
		want   string
	}{
		{"none", 0, nil, ""},
		{"three", 3, nil, ""},
		{"ninety-nine", 99, nil, ""},
		{"a hundred", 100, nil, "not signed"},
		{"the last is unsigned", 3, func(m [][]byte) [][]byte { return m[:3] }, "not signed"},
		{"the first is unsigned", 3, func(m [][]byte) [][]byte { return m[1:] }, "not signed"},
		{"one is lost", 3, func(m [][]byte) [][]byte { return append(m[:2:2], m[3:]...) }, "BADSIG"},
		{"one is put between", 3, func(m [][]byte) [][]byte { return append(m[:2:2], append([][]byte{unsigned(7)}, m[2:]...)...) }, "BADSIG"},
		{"two change places", 3, func(m [][]byte) [][]byte { m[1], m[2] = m[2], m[1]; return m }, "BADSIG"},
		{"one is changed", 3, func(m [][]byte) [][]byte { m[2][20] ^= 32; return m }, "BADSIG"},
		{"the first comes again", 0, func(m [][]byte) [][]byte { return [][]byte{m[0], append([]byte(nil), m[0]...)} }, "BADSIG"},
	} {
		messages := stream(test.n)
		if test.change != nil {
			for i := range messages {
				messages[i] = append([]byte(nil), messages[i]...)
			}
			messages = test.change(messages)
		}
		err := verify(messages)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// A TSIG record that is not the last, that is there twice, or with something behind it is none.
func TestPlaceOfTheRecord(t *testing.T) {
	k := key("hmac-sha256")
	signed := func() []byte { request, _ := k.Sign(pack(t, axfr()), now); return request }
	twice, _ := k.Sign(signed(), now)
	opt := append(signed(), 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0)
	opt[11]++
	for name, request := range map[string][]byte{
		"twice": twice, "octets behind it": append(signed(), 0), "OPT behind it": opt,
		"cut": signed()[:60], "no message": {1, 2, 3}, "nothing": nil,
	} {
		if _, err := ring(k).Receive(request, now); !errors.Is(err, tsig.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ring(k).Receive(pack(t, axfr()), now); !errors.Is(err, tsig.ErrMissing) {
		t.Errorf("none: %v", err)
	}
}

// There is no MAC of an algorithm that is not known.
func TestSizes(t *testing.T) {
	for algorithm, want := range map[string]int{"hmac-sha384": 48, "hmac-md5": 0, "": 0} {
		if size := key(algorithm).Size(); size != want {
			t.Errorf("%q: %d octets", algorithm, size)
		}
	}
}

// Whatever octets come, they are read or refused, and nobody who lacks the secret signs.
func FuzzVerify(f *testing.F) {
	k := key("hmac-sha256")
	request, _ := k.Sign(pack(f, axfr()), now)
	f.Add(request)
	q := received(f, append([]byte(nil), request...), now, k)
	f.Add(q.Sign(reply(f, "a.corp.example. 60 IN A 192.0.2.1"), now))
	f.Add(q.Sign(reply(f), now))
	f.Fuzz(func(t *testing.T, message []byte) {
		stranger := &tsig.Key{Name: k.Name, Algorithm: k.Algorithm, Secret: []byte("a secret that no seed is signed with")}
		if q, err := ring(stranger).Receive(append([]byte(nil), message...), now); err == nil && q.Key != nil {
			t.Error("a request is verified")
		}
		if q, err := ring(k).Receive(append([]byte(nil), message...), now); err == nil {
			q.Sign(reply(t), now)
		}
		_, replies := stranger.Sign(pack(t, axfr()), now)
		if _, err := replies.Verify(message, now); err == nil {
			t.Error("a reply is verified")
		}
	})
}
