package replycache

// Asks are the things besides the question that a reply depends on.
type Asks uint8

// What a query may ask for in its header and its OPT record.
const (
	EDNS Asks = 1 << iota // it has an OPT record
	DO
	CD
	RD
	AD
	// TCP, TLS and HTTPS are not asked for: they keep apart what is counted apart.
	TCP
	TLS
	HTTPS
)

// keyHead is the length of a key without its question.
const keyHead = 5

// MaxKey is the length of the longest key: names have at most 255 octets (RFC
// 1035 section 2.3.4), and a type and a class follow.
const MaxKey = keyHead + 255 + 4

// AppendKey appends the key of a question to b: who asks, by the number of its
// network, what else the reply depends on, and the question as it stands in the
// message, in lower case (RFC 4343). The question is well formed.
func AppendKey(b []byte, network uint32, asks Asks, question []byte) []byte {
	b = append(b, byte(network>>24), byte(network>>16), byte(network>>8), byte(network), byte(asks))
	start := len(b)
	b = append(b, question...)
	// Lengths of labels are below 64, so they are never taken for letters.
	name := b[start : len(b)-4]
	for i, octet := range name {
		if octet-'A' < 26 {
			name[i] = octet | 0x20
		}
	}
	return b
}
